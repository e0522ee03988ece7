// Base models from scratch: next-token prediction on a task's text.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/profile.h"
#include "store/run_writer.h"
#include "tasks/task.h"
#include "train/pretrain_options.h"
#include "train/text_model.h"

namespace whet::train {

struct PretrainReport {
  std::int64_t step = 0;
  std::int64_t steps = 0;
  double loss = 0;                 ///< mean negative log-likelihood of a completion token, nats, since the last report
  double tokens_per_second = 0;    ///< completion tokens
  std::int64_t tokens = 0;         ///< completion tokens so far
  double seconds = 0;              ///< since the last report
  std::optional<double> accuracy;  ///< avg@eval_samples on held-out problems, at checkpoints
};

struct PretrainSummary {
  std::int64_t steps = 0;
  bool was_interrupted = false;
  double seconds = 0;
  std::int64_t tokens = 0;
  std::filesystem::path checkpoint;  ///< the last one: a Hugging Face folder
};

class Pretrainer {
 public:
  /// A new run in `out`. UserError for options that do not fit each other, before anything is written.
  Pretrainer(const PretrainOptions& options, const std::filesystem::path& out,
             const std::vector<std::string>& command_line);
  /// Goes on with the run in `folder` from its newest checkpoint.
  explicit Pretrainer(const std::filesystem::path& folder);

  const PretrainOptions& options() const { return options_; }
  const std::filesystem::path& folder() const { return writer_->folder(); }
  std::int64_t parameters() const { return model_->parameter_count(); }
  std::int64_t first_step() const { return done_ + 1; }

  /// Runs to the end or an interrupt, and saves. RunError when the loss is not finite.
  PretrainSummary run(const std::function<void(const PretrainReport&)>& observer);

 private:
  engine::EngineOptions engine_options(std::int64_t vocabulary);
  void make_tokenizer();
  double update(std::int64_t number);
  double learning_rate_at(std::int64_t number) const;
  void append(const base::Json& metrics, const PretrainReport& report);
  void checkpoint(std::int64_t number);
  double accuracy(std::int64_t number);

  PretrainOptions options_;
  base::Profile profile_;  ///< before the model, which tells it of its work
  std::unique_ptr<tasks::Task> task_;
  std::optional<tokenizer::Tokenizer> tokenizer_;
  std::unique_ptr<engine::Model> model_;
  std::optional<store::RunWriter> writer_;
  std::int64_t done_ = 0;
  std::int64_t last_checkpoint_ = -1;
  std::int64_t tokens_ = 0;
  double loss_sum_ = 0;  ///< of the steps since the last line of metrics
  std::int64_t losses_ = 0;
};

}  // namespace whet::train
