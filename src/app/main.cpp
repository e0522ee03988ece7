// The program `whet`: finds the command, reads its options, and turns errors into one line and an exit code:
// 0 done, 1 the run failed, 2 the caller's mistake, 130 interrupted.
#include <cstdio>
#include <string>
#include <vector>

#include "app/command.h"

namespace whet::app {
namespace {

std::vector<std::string>& mutable_command_line() {
  static std::vector<std::string> arguments;
  return arguments;
}

int run(int argc, char** argv) {
  mutable_command_line().assign(argv, argv + argc);
  CLI::App app("whetstone: reinforcement learning without labels, watched for collapse", "whet");
  app.set_version_flag("--version", WHET_VERSION);
  app.require_subcommand(1);
  app.footer("'whet COMMAND --help' shows a command's options and examples.");
  std::vector<std::pair<CLI::App*, Run>> declared;
  for (const auto& [name, command] : commands()) {
    CLI::App* sub = app.add_subcommand(name, command.summary);
    sub->footer("Examples:\n" + command.examples);
    declared.emplace_back(sub, command.declare(*sub));
  }
  try {
    app.parse(argc, argv);
    for (const auto& [sub, body] : declared) {
      if (sub->parsed()) return body();
    }
    return 2;
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    std::fprintf(stderr, "whet: %s ('whet --help' shows how)\n", error.what());
    return 2;
  } catch (const base::UserError& error) {
    std::fprintf(stderr, "whet: %s\n", error.what());
    return 2;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "whet: %s\n", error.what());
    return 1;
  }
}

}  // namespace

const std::vector<std::string>& command_line() { return mutable_command_line(); }

}  // namespace whet::app

int main(int argc, char** argv) { return whet::app::run(argc, argv); }
