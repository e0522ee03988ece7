// What a finding of the paper (arXiv 2603.08660) is here: an experiment declared before it is run, and the judgement
// that its runs allow. A file of this room declares one finding and ends in one registrar line.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "analysis/collapse.h"
#include "base/registry.h"
#include "store/run.h"

namespace whet::findings {

/// Options of a command by name, without the dashes.
using Options = std::vector<std::pair<std::string, std::string>>;

/// One run of an experiment, as the command that a person would type.
struct PlannedRun {
  std::string name;                    ///< of its folder; a run that two findings share has one name and one command
  std::vector<std::string> arguments;  ///< what follows `whet`, without --out
  /// What it took on one core of the machine on which it was declared. For the order and the time left, nothing else.
  double seconds = 0;
  std::vector<std::string> after = {};  ///< runs whose folders it reads, by name: --model NAME/checkpoints/...
};

enum class Verdict { kReproduced, kInPart, kNotReproduced, kCannotTell };

/// "reproduced", "reproduced in part", "not reproduced", "cannot tell".
std::string to_string(Verdict verdict);

struct Table {
  std::string title;
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;
};

struct Curve {
  std::string name;  ///< in the legend; empty: drawn like one that is named there
  std::vector<analysis::Point> points;
  int color = 0;  ///< 0 to 7
  bool dashed = false;
};

/// A chart over steps.
struct Figure {
  std::string title;
  std::string y_label;
  std::vector<Curve> curves;
};

struct Judgement {
  Verdict verdict = Verdict::kCannotTell;
  std::string measured;  ///< one or two sentences with the figures that the criterion asks for
  std::vector<Table> tables;
  std::vector<Figure> figures;
};

/// Finished runs by name.
using Runs = std::map<std::string, store::Run>;

struct Finding {
  std::string title;
  std::string claim;      ///< the paper's
  std::string setting;    ///< what is run, in a sentence or two
  std::string criterion;  ///< what must hold to call it reproduced; fixed before the runs that are judged
  std::string chosen_on;  ///< which other runs the setting was chosen on
  std::function<std::vector<PlannedRun>(bool quick)> plan;
  /// Judges all runs of one plan. A run that is too short makes the verdict kCannotTell, never a wrong one.
  std::function<Judgement(const Runs& runs)> judge;
};

/// By id: F1 to F7.
base::Registry<Finding>& findings();

/// `whet train` on sorting, the setting that most findings share: 64 problems x 8 rollouts a step, on one thread.
/// Options that are given here too replace these.
PlannedRun sort_run(std::string name, double seconds, Options options);

/// `whet pretrain` of a base for sorting: 2,500 steps on a mixture of text, each hundredth a checkpoint. Options as
/// above.
PlannedRun base_run(std::string name, double seconds, Options options);
/// Where the checkpoint of that step of a base_run() is found by a run that comes after it.
std::string checkpoint_of(const PlannedRun& base, int step);

/// The command as a person would type it in the folder of the runs.
std::string command_of(const PlannedRun& run);

/// The value of one option in a planned command line. std::logic_error when it is not there.
std::string option_of(const PlannedRun& run, const std::string& option);

}  // namespace whet::findings
