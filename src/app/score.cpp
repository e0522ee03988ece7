// whet score: any reward that needs no model, computed from somebody's rollouts.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <set>

#include "app/command.h"
#include "app/console.h"
#include "app/score_step.h"
#include "base/file.h"
#include "base/json.h"
#include "store/dumps.h"

namespace whet::app {
namespace {

constexpr const char* kPlace = "score";
constexpr std::size_t kWriteBytes = 1 << 20;

struct Arguments {
  std::vector<std::string> dumps;
  ScoreOptions options;
  std::string format, prefix, out;
  bool has_prefix = false, whole = false, json = false;
  std::vector<std::string> columns;
};

/// "label=answer_key" and the like.
std::vector<std::pair<store::Role, std::string>> named_columns(const std::vector<std::string>& given) {
  using store::Role;
  std::vector<std::pair<Role, std::string>> result;
  const std::vector<Role> roles{Role::kInput,  Role::kOutput, Role::kLabel,   Role::kStep,    Role::kTruncated,
                                Role::kLength, Role::kMask,   Role::kLogprob, Role::kEntropy, Role::kSelfCertainty,
                                Role::kGap,    Role::kPair,   Role::kPolicy,  Role::kVoter};
  for (const std::string& text : given) {
    const std::size_t at = text.find('=');
    const auto role =
        std::find_if(roles.begin(), roles.end(), [&](Role one) { return store::role_name(one) == text.substr(0, at); });
    if (at == std::string::npos || at + 1 == text.size() || role == roles.end()) {
      std::vector<std::string_view> names;
      for (const Role one : roles) names.push_back(store::role_name(one));
      base::user_error("column", "'{}', want WHAT=NAME, WHAT one of: {}", text, fmt::join(names, ", "));
    }
    result.emplace_back(*role, text.substr(at + 1));
  }
  return result;
}

/// Where the rows go: a file that appears whole or not at all, standard output, or nowhere.
class Output {
 public:
  Output(const std::string& path, bool nowhere) : nowhere_(nowhere && path.empty()) {
    if (!path.empty()) file_ = std::make_unique<base::NewFile>(path);
  }

  std::string* buffer() { return nowhere_ ? nullptr : &buffer_; }

  void write() {
    if (buffer_.empty()) return;
    if (file_) {
      file_->write(buffer_);
    } else if (std::fwrite(buffer_.data(), 1, buffer_.size(), stdout) != buffer_.size()) {
      base::run_error("output", "cannot write to standard output (is the disk full?)");
    }
    buffer_.clear();
  }

  void finish() {
    write();
    if (file_) file_->commit();
  }

 private:
  bool nowhere_;
  std::unique_ptr<base::NewFile> file_;
  std::string buffer_;
};

/// Tells where one step ends and the next begins. Rows without a step belong to the step that their file is.
class Steps {
 public:
  bool begins_new(const store::DumpRow& row, const store::DumpReader& reader) {
    if (row.starts_dump) seen_.clear();
    const bool begins = row.starts_dump || row.step != current_ || (!row.step && row.starts_file);
    current_ = row.step;
    if (begins && row.step && !seen_.insert(*row.step).second) {
      base::user_error(
          kPlace,
          "{}: step {} begins again after another, want the rows of a step to stand together (sort them, or "
          "--whole holds all rows in memory)",
          reader.text(reader.place()), *row.step);
    }
    return begins;
  }

 private:
  std::optional<std::int64_t> current_;
  std::set<std::int64_t> seen_;
};

/// A line now and then while a long dump is read.
class Progress {
 public:
  void rows(const store::DumpCounts& counts) {
    const auto now = std::chrono::steady_clock::now();
    const double since = std::chrono::duration<double>(now - last_).count();
    if (since < (on_terminal() ? 1 : 30)) return;
    last_ = now;
    const double seconds = std::chrono::duration<double>(now - start_).count();
    const std::string text = fmt::format("score: {} rows in {}, {:.0f} a second", counts.rows, duration_text(seconds),
                                         static_cast<double>(counts.rows) / seconds);
    on_terminal() ? print_transient(text) : print_line(text);
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now(), last_ = start_;
};

/// "1 group has", "3 groups have".
std::string counted(std::int64_t count, std::string_view noun) {
  return fmt::format("{} {}{} {}", count, noun, count == 1 ? "" : "s", count == 1 ? "has" : "have");
}

double share(double part, std::int64_t whole) { return whole == 0 ? 0 : part / static_cast<double>(whole); }

base::Json summary_json(const Arguments& arguments, const StepScorer& scorer, const store::DumpReader& reader) {
  const ScoreTotals& t = scorer.totals();
  const auto labelled = [&](double value, bool known) { return known ? base::Json(value) : base::Json(); };
  base::Json object = {{"format", store::format_name(reader.format())},
                       {"task", arguments.options.task},
                       {"reward", arguments.options.reward},
                       {"files", reader.counts().files},
                       {"steps", t.steps},
                       {"groups", t.groups},
                       {"rows", t.rows},
                       {"smallest_group", t.smallest_group},
                       {"largest_group", t.largest_group},
                       {"groups_of_one", t.groups_of_one},
                       {"reward_mean", share(t.reward, t.rows)},
                       {"majority_ratio", share(t.majority_ratio, t.groups)},
                       {"unanswered", 1 - share(static_cast<double>(t.answered), t.rows)},
                       {"groups_without_answer", t.groups_without_answer},
                       {"labelled_groups", t.labelled_groups}};
  object["label_accuracy"] =
      labelled(share(static_cast<double>(t.right_groups), t.labelled_groups), t.labelled_groups > 0);
  object["true_reward"] = labelled(share(static_cast<double>(t.right_rows), t.labelled_rows), t.labelled_rows > 0);
  object["reward_accuracy"] =
      labelled(share(static_cast<double>(t.agreeing_rows), t.labelled_rows), scorer.binary() && t.labelled_rows > 0);
  object["odd_labels"] = t.odd_labels;
  object["mixed_labels"] = t.mixed_labels;
  object["mended_rows"] = reader.counts().mended;
  object["cut_lines"] = reader.counts().cut;
  return object;
}

/// What a person should know beside the figures.
std::vector<std::string> notes(const StepScorer& scorer, const store::DumpReader& reader) {
  const ScoreTotals& t = scorer.totals();
  std::vector<std::string> lines;
  for (const std::string& place : reader.counts().cut)
    lines.push_back(fmt::format("{}: the last line is cut, left out", place));
  if (reader.counts().mended > 0) {
    lines.push_back(
        fmt::format("{} NaN, a number too large, or bytes that are not UTF-8: read as null, text and U+FFFD, "
                    "written back as they are",
                    counted(reader.counts().mended, "row")));
  }
  if (t.groups_of_one == t.groups) {
    lines.push_back("every group has one rollout: agreement within a group says nothing");
  } else if (t.groups_of_one > 0) {
    lines.push_back(fmt::format("{} one rollout", counted(t.groups_of_one, "group")));
  }
  if (t.groups_without_answer > 0)
    lines.push_back(fmt::format("{} no answer at all, and so no label", counted(t.groups_without_answer, "group")));
  if (t.odd_labels > 0)
    lines.push_back(
        fmt::format("{} a label that is neither text nor number: not graded", counted(t.odd_labels, "row")));
  if (t.mixed_labels > 0)
    lines.push_back(
        fmt::format("{} rows with different labels: the first one counts", counted(t.mixed_labels, "group")));
  return lines;
}

void print_summary(const Arguments& arguments, const StepScorer& scorer, const store::DumpReader& reader) {
  const ScoreTotals& t = scorer.totals();
  const std::string size = t.smallest_group == t.largest_group
                               ? fmt::format("{}", t.largest_group)
                               : fmt::format("{} to {}", t.smallest_group, t.largest_group);
  print_line(fmt::format("{} by {}: {} rows in {} groups of {}, steps {}, files {} ({})", arguments.options.reward,
                         arguments.options.task, t.rows, t.groups, size, t.steps, reader.counts().files,
                         store::format_name(reader.format())));
  std::string line = fmt::format("  reward {:.4f}, majority ratio {:.4f}, unanswered {:.4f}", share(t.reward, t.rows),
                                 share(t.majority_ratio, t.groups), 1 - share(static_cast<double>(t.answered), t.rows));
  if (t.labelled_groups > 0) {
    line += fmt::format(", label accuracy {:.4f}, true reward {:.4f}",
                        share(static_cast<double>(t.right_groups), t.labelled_groups),
                        share(static_cast<double>(t.right_rows), t.labelled_rows));
    if (scorer.binary())
      line += fmt::format(", reward accuracy {:.4f}", share(static_cast<double>(t.agreeing_rows), t.labelled_rows));
  }
  print_line(line);
  if (t.labelled_groups > 0 && t.labelled_groups < t.groups) {
    print_line(fmt::format("  {} of {} groups have a label", t.labelled_groups, t.groups));
  }
}

int run(const Arguments& arguments) {
  store::DumpOptions options;
  options.columns = named_columns(arguments.columns);
  std::vector<store::Role> named;
  for (const auto& column : options.columns) named.push_back(column.first);
  StepScorer scorer(arguments.options, named);
  for (std::size_t i = 0; i < store::format_names().size(); ++i) {
    if (store::format_names()[i] == arguments.format) options.format = static_cast<store::DumpFormat>(i);
  }
  options.added = StepScorer::added_columns(arguments.options);
  if (arguments.has_prefix) options.prefix = arguments.prefix;
  store::DumpReader reader(arguments.dumps, options);
  Output output(arguments.out, arguments.json);
  Steps steps;
  Progress progress;
  while (const store::DumpRow* row = reader.next()) {
    const bool begins = arguments.whole ? row->starts_dump : steps.begins_new(*row, reader);
    if (begins && !scorer.empty()) {
      scorer.finish(reader.prefix(), output.buffer());
      if (output.buffer() && output.buffer()->size() > kWriteBytes) output.write();
      progress.rows(reader.counts());
    }
    scorer.add(*row, reader);
  }
  scorer.finish(reader.prefix(), output.buffer());
  if (scorer.totals().rows == 0) {
    const auto& cut = reader.counts().cut;
    base::user_error(kPlace, "no rows in {}{}, want a rollout dump", fmt::join(arguments.dumps, ", "),
                     cut.empty() ? "" : fmt::format(" ({}: the last line is cut)", fmt::join(cut, ", ")));
  }
  output.finish();
  print_transient("");
  for (const std::string& line : notes(scorer, reader)) print_line("whet: " + line);
  if (arguments.json) {
    std::printf("%s\n", base::to_json_line(summary_json(arguments, scorer, reader)).c_str());
  } else {
    print_summary(arguments, scorer, reader);
  }
  return 0;
}

const base::Registrar kRegistered(
    commands(), "score",
    Command{"compute a reward from rollout dumps of verl, TRL, NeMo-RL, AReaL or a run of ours",
            "  whet score rollouts/ --reward majority-vote > scored.jsonl\n"
            "  whet score 12.jsonl --reward semantic-entropy --json\n"
            "  whet score runs/sort --task sort --reward 'majority-vote + 0.5*format' --out scored.jsonl\n"
            "  whet score completions.jsonl --column label=solution --reward ground-truth\n"
            "  zcat dump.jsonl.gz | whet score - --reward self-certainty",
            [](CLI::App& app) -> Run {
              auto arguments = std::make_shared<Arguments>();
              app.add_option("dumps", arguments->dumps, "files, folders of files, or - for standard input")->required();
              add_fields(app, arguments->options);
              app.add_option("--format", arguments->format, "what wrote the dump; default: told from its columns")
                  ->check(CLI::IsMember(store::format_names()));
              app.add_option("--column", arguments->columns,
                             "WHAT=NAME: the column for input, output, label, step, truncated, length, "
                             "mask, logprob, entropy, self_certainty or gap, where the dump calls it otherwise; "
                             "pair, policy or voter: who votes for whom")
                  ->allow_extra_args(false);
              auto* prefix =
                  app.add_option("--prefix", arguments->prefix, "before the names of the added columns; areal: whet_");
              app.add_flag("--whole", arguments->whole, "hold all rows in memory, for dumps whose steps are mixed");
              app.add_option("--out", arguments->out, "a file for the rows; default: standard output");
              app.add_flag("--json", arguments->json,
                           "the summary as one JSON object on standard output; rows only to --out");
              return [arguments, prefix] {
                arguments->has_prefix = prefix->count() > 0;
                return run(*arguments);
              };
            }});

}  // namespace
}  // namespace whet::app
