#include "report/facts.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>

#include "base/error.h"
#include "report/html.h"

namespace whet::report {
namespace {

using base::Json;

// A fall of less than this share of the peak is what evaluations on some hundred problems differ by anyway.
constexpr double kNoticeable = 0.05;

std::string text_of(const Json& value) {
  return value.is_string() ? value.get<std::string>() : base::to_json_line(value);
}

/// The options that tell runs apart, as a person says them; one that the config lacks is empty. The reward comes first,
/// because it is what runs are compared by.
std::vector<std::string> parts_of(const store::Run& run) {
  std::string model = option_of(run, "model");
  while (model.size() > 1 && model.ends_with('/')) model.pop_back();
  std::string rate = option_of(run, "learning_rate"), seed = option_of(run, "seed");
  // A rate of 0 asks the trainer to choose one, which it then writes down at each step.
  if (rate == "0.0" || rate == "0") {
    const Series chosen = series_of(run, "learning_rate");
    rate = chosen.empty() ? "" : fmt::format("{:g}", summarise_peak(chosen)->peak);
  }
  return {option_of(run, "reward"), option_of(run, "task"), std::filesystem::path(model).filename().string(),
          rate.empty() ? rate : "learning rate " + rate, seed.empty() ? seed : "seed " + seed};
}

/// For each part, whether it belongs into the names: it differs among the runs, or it is the reward of a lone run.
std::vector<bool> telling_parts(const std::vector<store::Run>& runs) {
  std::vector<bool> telling;
  const std::vector<std::string> first = parts_of(runs.front());
  for (std::size_t i = 0; i < first.size(); ++i) {
    telling.push_back(runs.size() == 1 ? i == 0 : std::any_of(runs.begin(), runs.end(), [&](const store::Run& run) {
      return parts_of(run)[i] != first[i];
    }));
  }
  return telling;
}

std::string joined(const std::vector<std::string>& parts, const std::vector<bool>& telling, bool wanted) {
  std::string text;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (telling[i] == wanted && !parts[i].empty()) text += (text.empty() ? "" : " \u00b7 ") + parts[i];
  }
  return text;
}

constexpr int kColors = 6, kDashes = 4;

/// Six colors are what an eye tells apart. Beyond six runs, which are often seeds of a few rewards, a color stands for
/// a reward and a dash for the run; with more rewards than colors, colors come round again.
void paint(const std::vector<store::Run>& runs, std::vector<RunFacts>& facts) {
  std::vector<std::string> rewards;
  std::vector<int> seen;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const std::string reward = parts_of(runs[i])[0];
    const auto found = std::find(rewards.begin(), rewards.end(), reward);
    const auto group = static_cast<std::size_t>(found - rewards.begin());
    if (found == rewards.end()) {
      rewards.push_back(reward);
      seen.push_back(0);
    }
    facts[i].color = static_cast<int>(group) % kColors;
    facts[i].dash = seen[group]++ % kDashes;
  }
  if (runs.size() > kColors && rewards.size() <= kColors) return;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    facts[i].color = static_cast<int>(i) % kColors;
    facts[i].dash = static_cast<int>(i) / kColors % kDashes;
  }
}

}  // namespace

Series series_of(const store::Run& run, std::string_view key) {
  Series series;
  for (const Json& line : run.metrics) {
    const auto found = line.find(key);
    if (found == line.end() || !found->is_number() || !std::isfinite(found->get<double>())) continue;
    series.push_back({line.at("step").get<std::int64_t>(), found->get<double>()});
  }
  return series;
}

std::optional<double> value_at(const Series& series, std::optional<std::int64_t> step) {
  for (const analysis::Point& point : series) {
    if (point.step == step) return point.value;
  }
  return std::nullopt;
}

std::string option_of(const store::Run& run, std::string_view key) {
  // Options are spelled with dashes on the command line and with underscores in code; configs may hold either.
  const auto same = [&](const std::string& name) {
    return name.size() == key.size() && std::equal(name.begin(), name.end(), key.begin(),
                                                   [](char a, char b) { return a == b || (a == '-' && b == '_'); });
  };
  const auto found_in = [&](const Json& table) -> std::string {
    for (const auto& [name, value] : table.items()) {
      if (same(name) && !value.is_structured()) return text_of(value);
    }
    return {};
  };
  if (!run.config.is_object()) return {};
  std::string found = found_in(run.config);
  for (const auto& [name, table] : run.config.items()) {
    if (found.empty() && table.is_object()) found = found_in(table);
  }
  return found;
}

analysis::WatchState watch_run(const store::Run& run) {
  const Series logprob = series_of(run, "base_logprob");
  const Series agreement = series_of(run, "base_agreement");
  std::vector<analysis::ViewPoint> view;
  for (const analysis::Point& point : logprob.empty() ? agreement : logprob) {
    view.push_back(
        {point.step, {.logprob = value_at(logprob, point.step), .agreement = value_at(agreement, point.step)}});
  }
  return analysis::watch_series(view);
}

std::vector<analysis::SignalPoint> signals_of(const store::Run& run) {
  std::vector<analysis::SignalPoint> points;
  for (const Json& line : run.metrics) {
    const auto number = [&](const char* name) -> std::optional<double> {
      const auto found = line.find(name);
      if (found == line.end() || !found->is_number()) return std::nullopt;
      return found->get<double>();
    };
    analysis::SignalPoint point;
    point.step = line.at("step").get<std::int64_t>();
    bool has_signal = false;
    visit_signals(point.signals, [&](std::optional<double>& value, const char* name, const char*) {
      value = number(name);
      has_signal = has_signal || value;
    });
    point.kl = number("kl_to_start");
    if (has_signal) points.push_back(point);
  }
  return points;
}

analysis::FailureReport failure_of(const store::Run& run) { return analysis::name_failure(signals_of(run)); }

std::vector<RunFacts> facts_of(const std::vector<store::Run>& runs) {
  std::vector<RunFacts> all;
  if (runs.empty()) return all;
  const std::vector<bool> telling = telling_parts(runs);
  std::map<std::string, int> names;
  for (const store::Run& run : runs) {
    RunFacts facts;
    facts.name = joined(parts_of(run), telling, true);
    if (facts.name.empty()) facts.name = run.folder.filename().string();
    ++names[facts.name];
    if (!run.metrics.empty()) facts.last_step = run.metrics.back().at("step").get<std::int64_t>();
    facts.finished = run.summary.has_value();

    const Series accuracy = series_of(run, "heldout_accuracy");
    facts.accuracy = analysis::summarise_peak(accuracy);
    facts.evaluations = accuracy.size();
    facts.reward = analysis::summarise_peak(series_of(run, "reward"));

    const analysis::MarkWatch marks = analysis::watch_marks(series_of(run, "reward_accuracy"));
    facts.has_reward_accuracy = marks.enough();
    facts.collapse = marks.mark("half-peak").step;
    facts.below_tenth = marks.mark("10%").step;
    facts.below_hundredth = marks.mark("1%").step;

    const analysis::WatchState state = watch_run(run);
    if (state.verdict != analysis::Verdict::kTooFewPoints) facts.kept = state.peak_step;
    facts.kept_accuracy = value_at(accuracy, facts.kept);
    if (run.summary && run.summary->contains("kept")) {
      facts.averaged = run.summary->at("kept_steps").size();
      const base::Json& kept = run.summary->at("kept");
      if (kept.contains("heldout_accuracy")) facts.average_accuracy = kept.at("heldout_accuracy").get<double>();
    }
    facts.alarm = state.collapse_step;
    if (facts.alarm) facts.warning = state.warning_step;
    all.push_back(std::move(facts));
  }
  for (std::size_t i = 0; i < runs.size(); ++i) {
    if (names[all[i].name] > 1) all[i].name += fmt::format(" ({})", runs[i].folder.filename().string());
  }
  paint(runs, all);
  return all;
}

std::string shared_by(const std::vector<store::Run>& runs) {
  if (runs.empty()) return {};
  std::vector<std::string> parts = parts_of(runs.front());
  parts[1].clear();  // the task: a report's title names it
  return joined(parts, telling_parts(runs), false);
}

std::string sentence_of(const RunFacts& facts) {
  std::string text;
  if (!facts.accuracy) {
    text = "No held-out accuracy was measured.";
  } else {
    const analysis::PeakSummary& a = *facts.accuracy;
    const bool rose = a.peak_step != a.first_step;
    const bool fell = a.lost_share() >= kNoticeable;
    if (a.final_step == a.first_step) {
      text = fmt::format("Held-out accuracy was measured once: {} at step {}.", percent(a.first), a.first_step);
    } else if (rose) {
      text = fmt::format("Held-out accuracy rose from {} to {} at step {}", percent(a.first), percent(a.peak),
                         a.peak_step);
      if (fell) {
        text += fmt::format(", then fell to {} at step {}: {} of the peak is gone.", percent(a.final), a.final_step,
                            percent(a.lost_share()));
      } else if (a.final_step == a.peak_step) {
        text += ", its last evaluation.";
      } else {
        text += fmt::format(" and stayed there: {} at step {}.", percent(a.final), a.final_step);
      }
    } else {
      text = fmt::format("Held-out accuracy never rose above the base\u2019s {}; it was {} at step {}.",
                         percent(a.first), percent(a.final), a.final_step);
    }
    if (facts.reward) {
      const analysis::PeakSummary& r = *facts.reward;
      text += fell && r.final > r.first
                  ? fmt::format(" By its own measure all was well: the pseudo-reward went from {} to {}.",
                                number(r.first), number(r.final))
                  : fmt::format(" The pseudo-reward went from {} to {}.", number(r.first), number(r.final));
    }
  }
  if (facts.has_reward_accuracy) {
    if (facts.collapse) {
      const auto at = [](std::optional<std::int64_t> step) {
        return step ? fmt::format("at step {}", *step) : "never";
      };
      text += fmt::format(
          " It collapsed at step {}, where reward accuracy fell below half of its peak"
          " (below 10\u00a0% {}, below 1\u00a0% {}).",
          *facts.collapse, at(facts.below_tenth), at(facts.below_hundredth));
    } else {
      text += fmt::format(" Reward accuracy did not fall below half of its peak in {} steps.", facts.last_step);
    }
  }
  if (facts.kept) {
    text += " Without labels, the watch ";
    text += facts.alarm ? fmt::format("raised its alarm at step {} and kept step {}", *facts.alarm, *facts.kept)
                        : fmt::format("raised no alarm; its best checkpoint is step {}", *facts.kept);
    text += facts.kept_accuracy ? fmt::format(", where held-out accuracy was {}.", percent(facts.kept_accuracy)) : ".";
    if (facts.averaged > 0) {
      text += fmt::format(" The model in kept/ is the average of {} steps", facts.averaged);
      text += facts.average_accuracy ? fmt::format(" and has {}.", percent(facts.average_accuracy)) : ".";
    }
  }
  return text;
}

}  // namespace whet::report
