#include "app/command.h"

namespace whet::app {

base::Registry<Command>& commands() {
  static base::Registry<Command> registry("command");
  return registry;
}

}  // namespace whet::app
