#include "app/command.h"

#include "store/run.h"

namespace whet::app {
namespace {

std::vector<std::string>& kept_command_line() {
  static std::vector<std::string> arguments;
  return arguments;
}

}  // namespace

const std::vector<std::string>& command_line() { return kept_command_line(); }

void remember_command_line(int argc, char** argv) { kept_command_line().assign(argv, argv + argc); }

base::Registry<Command>& commands() {
  static base::Registry<Command> registry("command");
  return registry;
}

void check_only_resume(const CLI::App& app, std::string_view allowed) {
  for (const CLI::Option* option : app.get_options()) {
    const std::string name = option->get_name();
    if (option->count() == 0 || name == "--resume" || name == "--json" || name == allowed) continue;
    base::user_error(app.get_name(),
                     "{} beside --resume, want --resume alone: a run goes on with the options in its {}",
                     option->get_name(), store::kConfigFile);
  }
}

}  // namespace whet::app
