// The program `whet`: finds the command, reads its options, and turns errors into one line and an exit code:
// 0 done, 1 the run failed, 2 the caller's mistake, 130 interrupted.
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <numeric>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "app/command.h"

namespace whet::app {
namespace {

/// Letters to insert, remove or replace to turn one word into another.
std::size_t edits(std::string_view from, std::string_view to) {
  std::vector<std::size_t> row(to.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= from.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= to.size(); ++j) {
      const std::size_t replaced = diagonal + (from[i - 1] == to[j - 1] ? 0 : 1);
      diagonal = std::exchange(row[j], std::min({replaced, row[j] + 1, row[j - 1] + 1}));
    }
  }
  return row.back();
}

/// Refuses what `command` does not know, naming the option that is spelt most like it: a list of forty would hide it.
[[noreturn]] void refuse_unexpected(const CLI::App& command) {
  const std::vector<std::string> unexpected = command.remaining();
  for (const std::string& argument : unexpected) {
    if (argument.rfind("--", 0) != 0) continue;
    const std::string given = argument.substr(0, argument.find('='));
    std::string closest;
    for (const CLI::Option* option : command.get_options()) {
      const std::string name = option->get_name();
      if (closest.empty() || edits(given, name) < edits(given, closest)) closest = name;
    }
    base::user_error(command.get_name(), "unknown option {}, the closest is {} ('whet {} --help' lists them)", given,
                     closest, command.get_name());
  }
  base::user_error(command.get_name(), "unexpected '{}', want options that begin with -- ('whet {} --help' lists them)",
                   unexpected.front(), command.get_name());
}

/// What the program wrote has arrived, or an error says that it has not (a full disk, a closed pipe).
void flush_output() {
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
    base::run_error("output", "cannot write to standard output: {}", std::strerror(errno));
  }
}

int run(int argc, char** argv) {
  remember_command_line(argc, argv);
  CLI::App app("whetstone: reinforcement learning without labels, watched for collapse", "whet");
  app.set_version_flag("--version", WHET_VERSION);
  app.require_subcommand(1);
  app.footer("'whet COMMAND --help' shows a command's options and examples.");
  std::vector<std::pair<CLI::App*, Run>> declared;
  for (const auto& [name, command] : commands()) {
    CLI::App* sub = app.add_subcommand(name, command.summary);
    sub->footer("Examples:\n" + command.examples);
    sub->allow_extras();  // refused by refuse_unexpected()
    declared.emplace_back(sub, command.declare(*sub));
  }
  try {
    if (argc < 2) base::user_error("command", "none given, want one of: {}", fmt::join(commands().names(), ", "));
    if (argv[1][0] != '-') (void)commands().find(argv[1]);  // its message lists the known ones
    app.parse(argc, argv);
    for (const auto& [sub, body] : declared) {
      if (!sub->parsed()) continue;
      if (sub->remaining_size() > 0) refuse_unexpected(*sub);
      const int code = body();
      flush_output();
      return code;
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
    // PyTorch's errors bring a stack trace along, after the first line.
    const std::string text = error.what();
    std::fprintf(stderr, "whet: %s\n", text.substr(0, text.find('\n')).c_str());
    return 1;
  }
}

}  // namespace

}  // namespace whet::app

int main(int argc, char** argv) { return whet::app::run(argc, argv); }
