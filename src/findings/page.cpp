#include "findings/page.h"

#include <fmt/format.h>

#include "base/file.h"
#include "findings/chart.h"
#include "report/html.h"

namespace whet::findings {
namespace {

/// In a cell of a Markdown table a bar would end it.
std::string in_cell(const std::string& text) {
  std::string out;
  for (const char c : text) out += c == '|' ? std::string("\\|") : std::string(1, c);
  return out;
}

std::string markdown_table(const std::vector<std::string>& header, const std::vector<std::vector<std::string>>& rows) {
  std::string out = "|", rule = "|";
  for (const std::string& cell : header) {
    out += fmt::format(" {} |", in_cell(cell));
    rule += "---|";
  }
  out += "\n" + rule + "\n";
  for (const auto& row : rows) {
    out += "|";
    for (const std::string& cell : row) out += fmt::format(" {} |", in_cell(cell));
    out += "\n";
  }
  return out;
}

std::string html_table(const Table& table) {
  std::string out = "<table>\n";
  if (!table.title.empty()) out += fmt::format("<caption>{}</caption>\n", report::html_escape(table.title));
  out += "<thead><tr>";
  for (const std::string& cell : table.header)
    out += fmt::format("<th scope=\"col\">{}</th>", report::html_escape(cell));
  out += "</tr></thead>\n<tbody>\n";
  for (const auto& row : table.rows) {
    out += "<tr>";
    for (const std::string& cell : row) out += fmt::format("<td>{}</td>", report::html_escape(cell));
    out += "</tr>\n";
  }
  return out + "</tbody></table>\n";
}

std::string program_text(const PageFacts& facts) {
  return fmt::format("{} runs' steps took {:.0f} minutes of one core in all. Made by {}.",
                     facts.quick ? "Quick form: the" : "The", facts.seconds / 60, fmt::join(facts.programs, "; "));
}

const Finding& finding_of(const Judged& judged) { return findings().find(judged.id); }

/// The class of a verdict on the page.
const char* class_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::kReproduced:
      return "yes";
    case Verdict::kInPart:
      return "part";
    case Verdict::kNotReproduced:
      return "no";
    case Verdict::kCannotTell:
      return "unknown";
  }
  return "unknown";
}

constexpr const char* kStyle = R"(
:root{color-scheme:light dark;--ink:#1c2430;--soft:#5b6675;--ground:#fbfbf9;--line:#dfe3ea;
--yes:#1f8a5b;--part:#b9770e;--no:#b3364a}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ef;--soft:#9aa5b5;--ground:#14181f;--line:#2c3442;
--yes:#4cc38a;--part:#e0a64b;--no:#ea7085}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);font:16px/1.55 system-ui,sans-serif}
main,header{max-width:60rem;margin:0 auto;padding:0 1.25rem}
header{padding-top:2.5rem}
h1{font-size:1.9rem;margin:.2rem 0}
h2{margin:3rem 0 .5rem;padding-top:1rem;border-top:1px solid var(--line);font-size:1.35rem}
.soft,dt,caption{color:var(--soft)}
table{border-collapse:collapse;width:100%;margin:1rem 0;font-size:.88rem;display:block;overflow-x:auto}
caption{text-align:left;padding:.25rem 0}
th,td{text-align:left;vertical-align:top;padding:.4rem .7rem .4rem 0;border-bottom:1px solid var(--line)}
th{font-weight:600}
dl{display:grid;grid-template-columns:7rem 1fr;gap:.35rem 1rem}
dd{margin:0}
.verdict{font-weight:650;white-space:nowrap}
.yes{color:var(--yes)}
.part{color:var(--part)}
.no{color:var(--no)}
.unknown{color:var(--soft)}
a{color:inherit}
svg{width:100%;height:auto;border:1px solid var(--line);border-radius:6px;margin:.5rem 0}
details{margin:1rem 0}
summary{cursor:pointer}
pre{white-space:pre-wrap;font-size:.8rem;line-height:1.45;overflow-wrap:anywhere}
footer{max-width:60rem;margin:3rem auto;padding:0 1.25rem;color:var(--soft);font-size:.9rem}
@media(max-width:40rem){dl{grid-template-columns:1fr}dt{margin-top:.4rem}}
)";

}  // namespace

std::string figure_file(const std::string& id, std::size_t index) { return fmt::format("{}-{}.svg", id, index + 1); }

std::string markdown_of(const Judged& judged, const std::string& figures) {
  const Finding& finding = finding_of(judged);
  const Judgement& judgement = judged.judgement;
  std::string out = fmt::format("# {}: {}\n\n**{}.** {}\n\n", judged.id, finding.title, to_string(judgement.verdict),
                                judgement.measured);
  out += fmt::format(
      "- **The paper:** {}\n- **Setting:** {}\n- **Criterion, fixed before the runs:** {}\n- **Setting chosen on:** "
      "{}\n",
      finding.claim, finding.setting, finding.criterion, finding.chosen_on);
  for (std::size_t i = 0; i < judgement.figures.size(); ++i) {
    out += fmt::format("\n![{}]({}/{})\n", judgement.figures[i].title, figures, figure_file(judged.id, i));
  }
  for (const Table& table : judgement.tables) {
    out += fmt::format("\n## {}\n\n{}", table.title, markdown_table(table.header, table.rows));
  }
  out += "\n## The runs\n\n```\n";
  for (const PlannedRun& run : judged.plan) out += command_of(run) + "\n";
  return out + "```\n";
}

std::string summary_markdown(const std::vector<Judged>& all, const PageFacts& facts) {
  std::vector<std::vector<std::string>> rows;
  for (const Judged& judged : all) {
    const Finding& finding = finding_of(judged);
    rows.push_back({fmt::format("[{}]({}.md): {}", judged.id, judged.id, finding.title), finding.criterion,
                    judged.judgement.measured, fmt::format("**{}**", to_string(judged.judgement.verdict))});
  }
  return fmt::format("# Findings\n\n{}\n{}\n", markdown_table({"finding", "criterion", "measured", "verdict"}, rows),
                     program_text(facts));
}

std::string html_of(const std::vector<Judged>& all, const PageFacts& facts) {
  std::string out =
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; img-src "
      "data:\">\n"
      "<link rel=\"icon\" href=\"data:,\">\n<title>Findings – whetstone</title>\n<style>";
  out += kStyle;
  out +=
      "</style>\n</head>\n<body>\n<header><p class=\"soft\">whetstone · training without "
      "labels</p>\n<h1>Findings</h1>\n"
      "<p class=\"soft\">The findings of “How Far Can Unsupervised RLVR Scale LLM Training?” (arXiv 2603.08660), each "
      "an experiment that was "
      "declared before it was run.</p></header>\n<main>\n<table>\n<thead><tr><th scope=\"col\">Finding</th><th "
      "scope=\"col\">Criterion</th>"
      "<th scope=\"col\">Measured</th><th scope=\"col\">Verdict</th></tr></thead>\n<tbody>\n";
  const auto verdict = [](const Judged& judged) {
    return fmt::format("<span class=\"verdict {}\">{}</span>", class_of(judged.judgement.verdict),
                       to_string(judged.judgement.verdict));
  };
  for (const Judged& judged : all) {
    const Finding& finding = finding_of(judged);
    out += fmt::format("<tr><td><a href=\"#{0}\">{0}</a> {1}</td><td>{2}</td><td>{3}</td><td>{4}</td></tr>\n",
                       judged.id, report::html_escape(finding.title), report::html_escape(finding.criterion),
                       report::html_escape(judged.judgement.measured), verdict(judged));
  }
  out += "</tbody></table>\n";
  for (const Judged& judged : all) {
    const Finding& finding = finding_of(judged);
    out += fmt::format("<section id=\"{0}\">\n<h2>{0}: {1}</h2>\n<p>{2} — {3}</p>\n<dl>", judged.id,
                       report::html_escape(finding.title), verdict(judged),
                       report::html_escape(judged.judgement.measured));
    for (const auto& [name, text] :
         {std::pair{"The paper", finding.claim}, std::pair{"Setting", finding.setting},
          std::pair{"Criterion", finding.criterion}, std::pair{"Chosen on", finding.chosen_on}}) {
      out += fmt::format("<dt>{}</dt><dd>{}</dd>", name, report::html_escape(text));
    }
    out += "</dl>\n";
    for (const Figure& figure : judged.judgement.figures) out += svg_of(figure);
    for (const Table& table : judged.judgement.tables) out += html_table(table);
    out += fmt::format("<details><summary>{} runs</summary><pre>", judged.plan.size());
    for (const PlannedRun& run : judged.plan) out += report::html_escape(command_of(run)) + "\n";
    out += "</pre></details>\n</section>\n";
  }
  return out +
         fmt::format("</main>\n<footer>{}</footer>\n</body>\n</html>\n", report::html_escape(program_text(facts)));
}

void write_pages(const std::filesystem::path& folder, const std::vector<Judged>& all, const PageFacts& facts) {
  const auto figures = folder / "figures";
  std::filesystem::create_directories(figures);
  for (const Judged& judged : all) {
    for (std::size_t i = 0; i < judged.judgement.figures.size(); ++i) {
      base::write_file(figures / figure_file(judged.id, i), svg_of(judged.judgement.figures[i]));
    }
    base::write_file(folder / (judged.id + ".md"), markdown_of(judged, "figures"));
  }
  base::write_file(folder / "findings.md", summary_markdown(all, facts));
  base::write_file(folder / "index.html", html_of(all, facts));
}

}  // namespace whet::findings
