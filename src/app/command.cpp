#include "app/command.h"

#include "store/run.h"

namespace whet::app {

base::Registry<Command>& commands() {
  static base::Registry<Command> registry("command");
  return registry;
}

void check_only_resume(const CLI::App& app) {
  for (const CLI::Option* option : app.get_options()) {
    if (option->count() == 0 || option->get_name() == "--resume") continue;
    base::user_error(app.get_name(), "{} beside --resume, want --resume alone: a run goes on with the options in its {}",
                     option->get_name(), store::kConfigFile);
  }
}

}  // namespace whet::app
