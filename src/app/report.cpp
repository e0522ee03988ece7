// whet report: what happened in runs, as one page.
#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "app/command.h"
#include "app/console.h"
#include "report/report.h"

namespace whet::app {
namespace {

struct Arguments {
  std::vector<std::string> runs;
  std::string out = "report.html";
  report::ReportOptions options;
};

int run(const Arguments& arguments) {
  const std::vector<std::filesystem::path> folders(arguments.runs.begin(), arguments.runs.end());
  report::write_report(folders, arguments.out, arguments.options);
  print_line(fmt::format("{} run{} in {}", folders.size(), folders.size() == 1 ? "" : "s",
                         std::filesystem::absolute(arguments.out).lexically_normal().string()));
  return 0;
}

const base::Registrar kRegistered(
    commands(), "report",
    Command{"draw runs over each other in one HTML file: rise, collapse, signals, rollouts",
            "  whet report runs/majority runs/truth --out report.html\n"
            "  whet report runs/* --title 'Three rewards on sorting'\n"
            "The file carries everything it shows: open it in any browser, offline. Runs that go on can be drawn too.",
            [](CLI::App& app) -> Run {
              auto arguments = std::make_shared<Arguments>();
              app.add_option("runs", arguments->runs, "folders of runs")->required();
              app.add_option("--out", arguments->out, "the HTML file to write; an older report there is replaced")
                  ->capture_default_str();
              app.add_option("--title", arguments->options.title, "title of the page; by default made from the tasks");
              app.add_option("--samples", arguments->options.samples, "responses to show at each moment of a run")
                  ->check(CLI::Range(0, 100))
                  ->capture_default_str();
              return [arguments] { return run(*arguments); };
            }});

}  // namespace
}  // namespace whet::app
