// What is written when findings have been judged: a table, a Markdown page with figures for each, and all of it as one
// HTML page.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "findings/finding.h"

namespace whet::findings {

struct Judged {
  std::string id;  ///< "F1"
  std::vector<PlannedRun> plan;
  Judgement judgement;
};

struct PageFacts {
  bool quick = false;
  double seconds = 0;                 ///< of all runs' steps together, on one core each
  std::vector<std::string> programs;  ///< "whetstone 0.1.0, revision abc, PyTorch ...": one a kind of run
};

/// One finding: claim, setting, criterion, what was measured, tables, figures (as files in `figures`/) and commands.
std::string markdown_of(const Judged& judged, const std::string& figures);

/// The table finding x criterion x measured x verdict, with links to each one's page.
std::string summary_markdown(const std::vector<Judged>& all, const PageFacts& facts);

/// All of it as one page that needs nothing else.
std::string html_of(const std::vector<Judged>& all, const PageFacts& facts);

/// Writes findings.md, F1.md ..., figures/ and index.html into `folder`, each whole or not at all. RunError when it
/// cannot.
void write_pages(const std::filesystem::path& folder, const std::vector<Judged>& all, const PageFacts& facts);

/// The name of the file of one figure: "F1-1.svg".
std::string figure_file(const std::string& id, std::size_t index);

}  // namespace whet::findings
