// Ctrl-C and SIGTERM ask a run to stop at the next safe place; a second one ends the process at once.
#pragma once

namespace whet::train {

/// Starts listening. Safe to call more than once.
void listen_for_interrupt();
bool interrupted();

}  // namespace whet::train
