#include "report/report.h"

#include <cmath>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "report/assets.h"
#include "report/facts.h"
#include "report/html.h"
#include "report/problems.h"
#include "report/samples.h"
#include "store/config_toml.h"

namespace whet::report {
namespace {

using base::Json;

/// Replaces each {{name}} of a template by the value that `fill` gives for it. Values are not looked at again.
template <class Fill>
std::string filled(std::string_view text, Fill&& fill) {
  std::string out;
  while (true) {
    const std::size_t open = text.find("{{");
    if (open == std::string_view::npos) break;
    const std::size_t close = text.find("}}", open);
    out += text.substr(0, open);
    out += fill(text.substr(open + 2, close - open - 2));
    text.remove_prefix(close + 2);
  }
  return out += text;
}

/// A run's color and dash, as the charts draw it.
std::string swatch(const RunFacts& run) {
  return fmt::format("<span class=\"swatch dash-{}\" style=\"--c:var(--run-{})\"></span>", run.dash, run.color);
}

std::string title_of(const std::vector<store::Run>& runs, const ReportOptions& options) {
  if (!options.title.empty()) return options.title;
  std::set<std::string> tasks;
  for (const store::Run& run : runs) {
    if (const std::string task = option_of(run, "task"); !task.empty()) tasks.insert(task);
  }
  const std::string count = runs.size() == 1 ? "One run" : fmt::format("{} runs", runs.size());
  return tasks.empty() ? count : fmt::format("{} on {}", count, fmt::join(tasks, ", "));
}

std::string mark(std::optional<std::int64_t> step) {
  return step ? fmt::format("{}", *step) : "<small>not reached</small>";
}

std::string table_of(const std::vector<RunFacts>& facts) {
  std::string rows;
  const auto cell = [&](const char* label, const std::string& value) {
    rows += fmt::format("<td data-label=\"{}\"><span>{}</span></td>", label, value);
  };
  for (const RunFacts& run : facts) {
    rows += fmt::format("<tr><th scope=\"row\">{}{}</th>", swatch(run), html_escape(run.name));
    const auto& a = run.accuracy;
    const auto at = [](double value, std::int64_t step) {
      return fmt::format("{} <small>@ {}</small>", percent(value), step);
    };
    cell("Base", a ? percent(a->first) : percent({}));
    cell("Peak", a ? at(a->peak, a->peak_step) : percent({}));
    cell("End", a ? at(a->final, a->final_step) : percent({}));
    cell("Lost", a ? percent(a->lost_share()) : percent({}));
    const bool marks = run.has_reward_accuracy;
    cell("Collapse", marks ? mark(run.collapse) : percent({}));
    cell("Below 10\u00a0%", marks ? mark(run.below_tenth) : percent({}));
    cell("Below 1\u00a0%", marks ? mark(run.below_hundredth) : percent({}));
    const auto kept = [&] { return fmt::format("{} <small>{}</small>", *run.kept, percent(run.kept_accuracy)); };
    cell("Kept, label-free", run.kept ? kept() : percent({}));
    cell("Steps", fmt::format("{}{}", run.last_step, run.finished ? "" : " <small>so far</small>"));
    rows += "</tr>\n";
  }
  return rows;
}

using Paths = std::vector<std::optional<ProblemPaths>>;

std::string stories_of(const std::vector<store::Run>& runs, const std::vector<RunFacts>& facts, const Paths& paths) {
  std::string out;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const RunFacts& run = facts[i];
    out += fmt::format("<article class=\"story\" style=\"--c:var(--run-{})\"><h3>{}</h3><p>{}</p>", run.color,
                       html_escape(run.name), html_escape(sentence_of(run)));
    if (paths[i]) {
      out += fmt::format("<p>{}</p>", html_escape(sentence_of(*paths[i], series_of(runs[i], "heldout_accuracy"))));
    }
    // The gravest sign alone: the samples below show the rest.
    if (const analysis::FailureReport failure = failure_of(runs[i]); !failure.signs.empty()) {
      out += fmt::format("<p>How it fails: {}.</p>", html_escape(failure.signs.front().evidence));
    }
    out += "</article>\n";
  }
  return out;
}

/// Text of a model or a person, cut where it would drown the page.
std::string quoted(const std::string& text) {
  constexpr std::size_t kLongest = 4000;
  if (text.size() <= kLongest) return html_escape(text);
  return fmt::format("{}<em> \u2026 {} more bytes</em>", html_escape(text.substr(0, kLongest)), text.size() - kLongest);
}

std::string sample_html(const Sample& sample) {
  const std::string verdict = sample.right ? (*sample.right ? "right" : "wrong") : "unlabelled";
  std::string out = fmt::format("<div class=\"sample {0}\"><div class=\"verdict\">{1}</div><dl>", verdict,
                                sample.right ? (*sample.right ? "\u2713 right" : "\u2717 wrong") : "no label");
  const auto entry = [&](const char* name, const std::string& value, const char* kind) {
    out += fmt::format("<dt>{}</dt><dd class=\"{}\">{}</dd>", name, kind, value);
  };
  entry("prompt", quoted(sample.prompt), "text");
  entry("output", quoted(sample.output) + (sample.truncated ? "<em> cut at the length limit</em>" : ""), "text");
  std::string answer = sample.answer ? quoted(*sample.answer) : "<em>none</em>";
  if (sample.answer && sample.group > 1) {
    answer += fmt::format("<em> {} of {} agree</em>", sample.agreeing, sample.group);
  }
  entry("answer", answer, "text");
  if (sample.label) entry("label", quoted(*sample.label), "text");
  if (sample.score) entry("reward", number(sample.score), "plain");
  return out + "</dl></div>\n";
}

std::string samples_of(const std::vector<store::Run>& runs, const std::vector<RunFacts>& facts, int count) {
  // One run is open to begin with: the first that collapsed, because that is what one comes to see.
  std::size_t open = 0;
  while (open < facts.size() && !facts[open].collapse) ++open;
  if (open == facts.size()) open = 0;
  std::string out;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const std::vector<Moment> moments = moments_of(runs[i], facts[i], count);
    out += fmt::format("<details class=\"rollouts\"{}><summary>{}{}</summary>\n", i == open ? " open" : "",
                       swatch(facts[i]), html_escape(facts[i].name));
    if (moments.empty()) out += "<p class=\"note\">This run holds no rollouts.</p>";
    out += "<div class=\"moments\">\n";
    for (const Moment& moment : moments) {
      out += fmt::format("<section><h4>{} <small>step {}</small></h4><p class=\"note\">{} of {} responses right</p>\n",
                         moment.title, moment.step, percent(moment.right), moment.rows);
      for (const Sample& sample : moment.samples) out += sample_html(sample);
      out += "</section>\n";
    }
    out += "</div></details>\n";
  }
  return out;
}

std::string origins_of(const std::vector<store::Run>& runs, const std::vector<RunFacts>& facts) {
  std::string out;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    std::string command;
    if (runs[i].manifest.contains("command_line") && runs[i].manifest["command_line"].is_array()) {
      for (const Json& word : runs[i].manifest["command_line"]) {
        if (!command.empty()) command += " ";
        command += word.is_string() ? word.get<std::string>() : base::to_json_line(word);
      }
    }
    out += fmt::format("<details><summary>{}{}</summary>", swatch(facts[i]), html_escape(facts[i].name));
    if (!command.empty()) out += fmt::format("<h4>Command</h4><div class=\"code\">{}</div>", html_escape(command));
    out += fmt::format("<h4>Config</h4><div class=\"code\">{}</div>", html_escape(store::to_toml(runs[i].config)));
    const std::string manifest = runs[i].manifest.dump(2, ' ', false, Json::error_handler_t::replace);
    out += fmt::format("<h4>Manifest</h4><div class=\"code\">{}</div></details>\n", html_escape(manifest));
  }
  return out;
}

/// The series of a run by key: steps at which the line has the key, and the values there. A value that was not finite
/// is null, which the charts draw as a gap; a step whose line lacks the key is none.
Json chart_series(const store::Run& run) {
  Json series = Json::object();
  for (const Json& line : run.metrics) {
    for (const auto& [key, value] : line.items()) {
      if (key == "step" || !(value.is_number() || value.is_null())) continue;
      Json& entry = series[key];
      entry["x"].push_back(line.at("step"));
      // Six digits are more than a chart shows, and keep the page small.
      const bool finite = value.is_number() && std::isfinite(value.get<double>());
      entry["y"].push_back(finite ? Json::parse(fmt::format("{:.6g}", value.get<double>())) : Json());
    }
  }
  return series;
}

/// What became of the problems of each kind, a row a problem.
Json problem_rows(const std::vector<ProblemPath>& problems) {
  Json rows = Json::array();
  for (const ProblemPath& problem : problems) {
    Json row = Json::array();
    for (const double share : problem.right) row.push_back(Json::parse(fmt::format("{:.3g}", share)));
    rows.push_back(std::move(row));
  }
  return rows;
}

Json chart_data(const std::vector<store::Run>& runs, const std::vector<RunFacts>& facts, const Paths& paths) {
  const auto step = [](std::optional<std::int64_t> value) { return value ? Json(*value) : Json(); };
  Json data = Json::array();
  for (std::size_t i = 0; i < runs.size(); ++i) {
    Json run = Json::object();
    run["name"] = facts[i].name;
    run["color"] = facts[i].color;
    run["dash"] = facts[i].dash;
    const auto& accuracy = facts[i].accuracy;
    run["peak"] = accuracy ? Json{{"x", accuracy->peak_step}, {"y", accuracy->peak}} : Json();
    run["collapse"] = step(facts[i].collapse);
    run["kept"] = step(facts[i].kept);
    run["warning"] = step(facts[i].warning);
    run["alarm"] = step(facts[i].alarm);
    run["series"] = chart_series(runs[i]);
    if (paths[i]) {
      const ProblemPaths& problems = *paths[i];
      run["problems"] = {{"x", problems.steps},
                         {"right", problem_rows(problems.right_first)},
                         {"wrong", problem_rows(problems.wrong_first)}};
      run["limit"] = problems.limit;
      for (const analysis::Point& point : problems.predicted) {
        run["series"]["predicted_accuracy"]["x"].push_back(point.step);
        run["series"]["predicted_accuracy"]["y"].push_back(Json::parse(fmt::format("{:.6g}", point.value)));
      }
    }
    data.push_back(std::move(run));
  }
  return data;
}

}  // namespace

std::string render(const std::vector<store::Run>& runs, const ReportOptions& options) {
  if (runs.empty()) base::user_error("report", "no runs, want at least one");
  const std::vector<RunFacts> facts = facts_of(runs);
  Paths paths;
  for (const store::Run& run : runs) paths.push_back(paths_of(run));
  return filled(asset("page.html"), [&](std::string_view name) -> std::string {
    if (name == "title") return html_escape(title_of(runs, options));
    if (name == "shared") return html_escape(shared_by(runs));
    if (name == "table") return table_of(facts);
    if (name == "stories") return stories_of(runs, facts, paths);
    if (name == "samples") return samples_of(runs, facts, options.samples);
    if (name == "origins") return origins_of(runs, facts);
    if (name == "version") return WHET_VERSION;
    if (name == "data") return script_json(chart_data(runs, facts, paths));
    return std::string(asset(name));
  });
}

void write_report(std::span<const std::filesystem::path> runs, const std::filesystem::path& output,
                  const ReportOptions& options) {
  // An older report is replaced; anything else that is there was surely not meant.
  constexpr std::string_view kStart = "<!doctype html>";
  if (std::filesystem::exists(output) && !base::read_file(output).starts_with(kStart)) {
    base::user_error("report", "{} already exists and is no report, want a new file (nothing was changed)",
                     output.string());
  }
  std::vector<store::Run> loaded;
  for (const std::filesystem::path& folder : runs) loaded.push_back(store::load_run(folder));
  base::write_file(output, render(loaded, options));
}

}  // namespace whet::report
