// whet generate: sample from a checkpoint and read what it writes.
#include <cstdio>
#include <iostream>
#include <memory>

#include "app/command.h"
#include "base/cores.h"
#include "base/random.h"
#include "train/groups.h"
#include "train/model_options.h"
#include "train/problems.h"
#include "train/text_model.h"

namespace whet::app {
namespace {

struct GenerateOptions {
  std::string model;
  std::vector<std::string> prompt;
  std::string task;
  std::int64_t count = 4;
  std::int64_t samples = 1;
  std::int64_t seed = 0;
  train::SamplingFields sampling;
  bool greedy = false;
  bool chat = false;
  std::string device = "cpu";
  std::string precision = "float32";
  std::int64_t threads = 0;
};

template <class Visitor>
void visit_fields(GenerateOptions& o, Visitor&& visit) {
  using namespace base;
  visit(o.model, "model", "a Hugging Face folder, or the name of an embedded base model", anything());
  visit(o.prompt, "prompt", "texts to continue; '-' reads one a line from standard input", anything());
  visit(o.task, "task", "instead of --prompt: held-out problems of this task, responses graded", anything());
  visit(o.count, "count", "problems of --task", count_from(1));
  visit(o.samples, "samples", "responses to each", count_from(1));
  visit(o.seed, "seed", "fixes the draws", at_least(0));
  visit_fields(o.sampling, visit);
  visit(o.greedy, "greedy", "take the most likely token", anything());
  visit(o.chat, "chat", "each --prompt is a user's message, written by the model's chat template", anything());
  visit(o.device, "device", train::kDeviceHelp, anything());
  visit(o.precision, "precision", train::kAskedPrecisionHelp, train::precisions());
  visit(o.threads, "threads", base::kThreadsHelp, count_from(0));
}

/// What `generate` prints of one response.
base::Json row(const std::string& prompt, const std::string& text, const engine::Rollout& rollout) {
  double logprob = 0;
  for (const float value : rollout.logprob) logprob += value;
  return {{"prompt", prompt},
          {"response", text},
          {"logprob", logprob},
          {"tokens", rollout.tokens.size()},
          {"truncated", rollout.truncated}};
}

void print(const base::Json& object, bool json) {
  if (json) {
    std::printf("%s\n", base::to_json_line(object).c_str());
    return;
  }
  const auto correct = object.find("correct");
  std::printf("%s%s%s%s\n", object["prompt"].get<std::string>().c_str(), object["response"].get<std::string>().c_str(),
              object["truncated"].get<bool>() ? "..." : "",
              correct == object.end() ? ""
              : correct->get<bool>()  ? "   right"
                                      : "   wrong");
}

int run(const GenerateOptions& options, bool json) {
  if (options.prompt.empty() == options.task.empty()) base::user_error("generate", "want either --prompt or --task");
  const auto folder = train::resolve_model(options.model);
  const std::uint64_t stream = base::combine({static_cast<std::uint64_t>(options.seed), base::hash_text("generate")});
  if (options.chat && !options.task.empty()) base::user_error("generate", "--chat with --task, want it with --prompt");
  if (!options.task.empty()) {
    const auto task = train::make_task({.task = options.task});
    train::TextModel model =
        train::open_text_model(folder, train::asking_options(options.threads, options.precision, options.device));
    auto sampling = train::sampling_options(options.sampling, *task);
    sampling.greedy = options.greedy;
    for (const train::Group& group :
         train::sample_groups(*model.model, model.tokenizer, *task, train::held_out_problems(*task, options.count),
                              static_cast<int>(options.samples), sampling, stream)) {
      for (std::size_t i = 0; i < group.rollouts.size(); ++i) {
        base::Json object = row(group.problem.prompt, group.texts[i], group.rollouts[i]);
        object["answer"] = group.answers[i] ? base::Json(*group.answers[i]) : base::Json(nullptr);
        if (group.correct[i]) object["correct"] = *group.correct[i];
        print(object, json);
      }
    }
    return 0;
  }
  std::vector<std::string> texts;
  for (const std::string& prompt : options.prompt) {
    if (prompt != "-") {
      texts.push_back(prompt);
      continue;
    }
    const std::size_t before = texts.size();
    for (std::string line; std::getline(std::cin, line);) texts.push_back(line);
    if (texts.size() == before) base::user_error("prompt", "no line on standard input, want a prompt a line");
  }
  train::TextModel model =
      train::open_text_model(folder, train::asking_options(options.threads, options.precision, options.device));
  engine::SamplingOptions sampling{
      .temperature = options.sampling.temperature,
      .top_p = options.sampling.top_p,
      .top_k = static_cast<int>(options.sampling.top_k),
      .max_new_tokens = static_cast<int>(options.sampling.max_new_tokens > 0 ? options.sampling.max_new_tokens : 64),
      .greedy = options.greedy};
  const auto chat = options.chat ? train::chat_writer("all", folder) : std::nullopt;
  const auto tokens_of = [&](const std::string& text) {
    if (!chat) return train::prompt_tokens(model.tokenizer, text);
    return model.tokenizer.encode(chat->write(base::Json::array({{{"role", "user"}, {"content", text}}})));
  };
  std::vector<engine::Prompt> prompts;
  for (const std::string& text : texts) {
    prompts.push_back({tokens_of(text), base::hash_text(text), static_cast<int>(options.samples)});
  }
  const auto groups = model.model->rollout({prompts, sampling, stream});
  train::require_finite(groups);
  for (std::size_t i = 0; i < groups.size(); ++i) {
    for (const engine::Rollout& rollout : groups[i]) {
      print(row(texts[i], model.tokenizer.decode(rollout.tokens, /*skip_special=*/true), rollout), json);
    }
  }
  return 0;
}

const base::Registrar kRegistered(
    commands(), "generate",
    Command{"sample responses from a model",
            "  whet generate --model sort-strong --prompt '40317?' --samples 4\n"
            "  whet generate --model runs/vote/checkpoints/step-000300 --task sort --count 8\n"
            "  cat prompts.txt | whet generate --model DIR --prompt - --json",
            fields_and_json(run, "one JSON object a line")});

}  // namespace
}  // namespace whet::app
