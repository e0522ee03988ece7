// The line a step that a person reads while a training run goes on.
#pragma once

#include "app/console.h"
#include "train/trainer.h"

namespace whet::app {

class StepTable {
 public:
  /// A line for the step: every step on a terminal, the measured ones elsewhere.
  void print(const train::StepReport& report);

 private:
  Eta eta_;
  int lines_ = 0;
};

}  // namespace whet::app
