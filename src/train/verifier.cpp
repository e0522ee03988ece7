#include "train/verifier.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/random.h"
#include "text/verdict.h"

namespace whet::train {
namespace {

constexpr const char* kProblem = "problem";
constexpr const char* kSolution = "solution";
constexpr const char* kAnswer = "answer";

tasks::VerifierFormat chosen_format(const VerifierOptions& options, const tasks::Task& task) {
  tasks::VerifierFormat format = task.verifier_format();
  if (!options.verifier_template.empty()) {
    format.prompt = base::read_file(options.verifier_template);
    // Editors end a file with it; who wants one in the prompt writes two.
    if (format.prompt.ends_with('\n')) format.prompt.pop_back();
  }
  if (options.verifier_verdict == "boxed") format.rule = tasks::VerdictRule::kBoxed;
  if (options.verifier_verdict == "mark") format.rule = tasks::VerdictRule::kMark;
  return format;
}

std::optional<bool> read_verdict(tasks::VerdictRule rule, const std::string& text, bool truncated) {
  if (rule == tasks::VerdictRule::kBoxed) return text::boxed_verdict(text);
  // What stands at the end of a cut text is not what it would have ended with.
  return truncated ? std::nullopt : text::mark_verdict(text);
}

/// Places of `text` in [begin, end) where it must be cut so that no special token is found in it.
void find_cuts(const tokenizer::Tokenizer& tokenizer, std::string_view text, std::size_t begin, std::size_t end,
               std::set<std::size_t>& cuts) {
  std::set<std::string> spelt;
  for (const engine::TokenId id : tokenizer.encode(text.substr(begin, end - begin))) {
    if (tokenizer.is_special(id)) spelt.emplace(tokenizer.bytes_of(id));
  }
  std::set<std::size_t> found;
  for (const std::string& token : spelt) {
    if (token.size() < 2) continue;  // cannot be cut
    for (std::size_t at = text.find(token, begin); at < end; at = text.find(token, at + 1)) found.insert(at + 1);
  }
  if (found.empty()) return;
  cuts.insert(found.begin(), found.end());
  found.insert(end);
  for (const std::size_t cut : found) {
    find_cuts(tokenizer, text, begin, cut, cuts);
    begin = cut;
  }
}

std::optional<double> share(std::int64_t part, std::int64_t whole) {
  if (whole == 0) return std::nullopt;
  return static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

std::vector<engine::TokenId> encode_with_plain(const tokenizer::Tokenizer& tokenizer, std::string_view text,
                                               const std::vector<std::pair<std::size_t, std::size_t>>& plain) {
  std::set<std::size_t> cuts;
  for (const auto& [begin, end] : plain) find_cuts(tokenizer, text, begin, end, cuts);
  cuts.insert(text.size());
  std::vector<engine::TokenId> ids;
  std::size_t begin = 0;
  for (const std::size_t cut : cuts) {
    const auto part = tokenizer.encode(text.substr(begin, cut - begin));
    ids.insert(ids.end(), part.begin(), part.end());
    begin = cut;
  }
  return ids;
}

Verifier::Verifier(const VerifierOptions& options, const tasks::Task& task)
    : task_(task),
      format_(chosen_format(options, task)),
      template_(format_.prompt, {kProblem, kSolution, kAnswer}),
      readings_(static_cast<int>(options.verifier_readings)) {
  sampling_.temperature = options.verifier_temperature;
  sampling_.max_new_tokens = static_cast<int>(
      options.verifier_max_new_tokens > 0 ? options.verifier_max_new_tokens : format_.limit + 1);  // the end token
  const std::string& file = options.verifier_template;
  const std::string where = file.empty() ? "the task's own" : file;
  if (template_.count(kProblem) == 0) {
    base::user_error("verifier-template", "{}: no {{problem}} in it, want the place where the problem goes", where);
  }
  if (template_.count(kSolution) + template_.count(kAnswer) == 0) {
    base::user_error("verifier-template", "{}: neither {{solution}} nor {{answer}} in it, want the place where it goes",
                     where);
  }
}

Verifier::Question Verifier::question(const tasks::Problem& problem, std::string_view response,
                                      std::string_view answer) const {
  Question question;
  template_.visit([&](std::string_view own) { question.text += own; },
                  [&](std::string_view place) {
                    const std::size_t begin = question.text.size();
                    if (place == kProblem) {
                      question.text += problem.prompt;
                      return;
                    }
                    question.text += place == kAnswer ? answer : response;
                    question.written.emplace_back(begin, question.text.size());
                  });
  return question;
}

void Verifier::require_usable(const tokenizer::Tokenizer& tokenizer, const engine::ModelConfig& config) const {
  auto length = static_cast<std::int64_t>(tokenizer.prefix().size());
  const auto on_text = [&](std::string_view own) {
    try {
      length += static_cast<std::int64_t>(tokenizer.encode(own).size());
    } catch (const base::UserError& error) {
      std::string shown(own.substr(0, 40));
      std::replace(shown.begin(), shown.end(), '\n', ' ');
      base::user_error("verifier",
                       "the model cannot be asked '{}': {}; want a model that reads such text, or a "
                       "--verifier-template that this one can read",
                       shown, error.what());
    }
  };
  template_.visit(on_text, [](std::string_view) {});
  const auto limit = sampling_.max_new_tokens;
  if (length + limit < config.max_position_embeddings) return;
  base::user_error("verifier",
                   "its template has {} tokens and a verdict may have {}, want fewer than the model's {} positions "
                   "(--verifier-max-new-tokens, --verifier-template)",
                   length, limit, config.max_position_embeddings);
}

std::vector<GroupVerdicts> Verifier::read(engine::Model& model, const tokenizer::Tokenizer& tokenizer,
                                          const std::vector<Group>& groups, std::uint64_t stream) const {
  struct Place {
    std::size_t prompt;
    int first_reading;
  };
  std::vector<engine::Prompt> prompts;
  std::vector<std::vector<std::optional<Place>>> places(groups.size());
  std::vector<GroupVerdicts> verdicts(groups.size());
  const std::int64_t room = model.config().max_position_embeddings - sampling_.max_new_tokens;
  for (std::size_t g = 0; g < groups.size(); ++g) {
    const Group& group = groups[g];
    verdicts[g].resize(group.rollouts.size());
    places[g].resize(group.rollouts.size());
    std::map<std::string, std::optional<std::size_t>> asked;  // nullopt: too long
    for (std::size_t i = 0; i < group.rollouts.size(); ++i) {
      Verdict& verdict = verdicts[g][i];
      verdict.readings.resize(static_cast<std::size_t>(readings_));
      const auto answer = group.answers[i] ? task_.answer_place(group.problem, group.texts[i]) : std::nullopt;
      if (!answer) {
        verdict.asked = Verdict::Asked::kNoAnswer;
        continue;
      }
      const Question asking = question(group.problem, group.texts[i], *answer);
      const auto [entry, is_new] = asked.try_emplace(asking.text);
      if (is_new) {
        auto tokens = begin_text(tokenizer, encode_with_plain(tokenizer, asking.text, asking.written));
        if (static_cast<std::int64_t>(tokens.size()) <= room) {
          entry->second = prompts.size();
          prompts.push_back(
              {std::move(tokens), base::combine({draw_key(group.problem), base::hash_text(asking.text)}), 0});
        }
      }
      if (!entry->second) {
        verdict.asked = Verdict::Asked::kTooLong;
        continue;
      }
      engine::Prompt& prompt = prompts[*entry->second];
      places[g][i] = Place{*entry->second, prompt.samples};
      prompt.samples += readings_;
    }
  }
  if (prompts.empty()) return verdicts;
  const auto rollouts = model.rollout({prompts, sampling_, stream});
  require_finite(rollouts);
  for (std::size_t g = 0; g < groups.size(); ++g) {
    for (std::size_t i = 0; i < places[g].size(); ++i) {
      if (!places[g][i]) continue;
      const auto [prompt, first] = *places[g][i];
      for (int k = 0; k < readings_; ++k) {
        const engine::Rollout& rollout = rollouts[prompt][static_cast<std::size_t>(first + k)];
        std::string text = tokenizer.decode(rollout.tokens, /*skip_special=*/true);
        verdicts[g][i].readings[static_cast<std::size_t>(k)] = read_verdict(format_.rule, text, rollout.truncated);
        verdicts[g][i].tokens += static_cast<std::int64_t>(rollout.tokens.size());
        verdicts[g][i].texts.push_back(std::move(text));
      }
    }
  }
  return verdicts;
}

void VerdictCounts::add(const Verdict& verdict, std::optional<bool> correct) {
  ++responses;
  no_answer += verdict.asked == Verdict::Asked::kNoAnswer ? 1 : 0;
  too_long += verdict.asked == Verdict::Asked::kTooLong ? 1 : 0;
  for (const std::optional<bool>& reading : verdict.readings) {
    const bool is_true = reading.value_or(false);
    if (verdict.asked == Verdict::Asked::kYes) {
      ++readings;
      unreadable += reading ? 0 : 1;
      says_true += is_true ? 1 : 0;
    }
    if (!correct) continue;
    ++(*correct ? right : wrong);
    (*correct ? true_on_right : true_on_wrong) += is_true ? 1 : 0;
  }
}

std::optional<double> VerdictCounts::precision() const { return share(true_on_right, true_on_right + true_on_wrong); }
std::optional<double> VerdictCounts::recall() const { return share(true_on_right, right); }
std::optional<double> VerdictCounts::false_positive_rate() const { return share(true_on_wrong, wrong); }

VerdictCounts count_verdicts(const std::vector<Group>& groups, const std::vector<GroupVerdicts>& verdicts) {
  VerdictCounts counts;
  for (std::size_t g = 0; g < groups.size(); ++g) {
    for (std::size_t i = 0; i < verdicts[g].size(); ++i) counts.add(verdicts[g][i], groups[g].correct[i]);
  }
  return counts;
}

base::Json verdict_metrics(const VerdictCounts& counts) {
  base::Json metrics = base::Json::object();
  const auto set = [&](const char* name, std::optional<double> value) {
    if (value) metrics[name] = *value;
  };
  set("verifier_true", share(counts.says_true, counts.readings));
  set("verifier_unreadable", share(counts.unreadable, counts.readings));
  set("verifier_no_answer", share(counts.no_answer, counts.responses));
  set("verifier_too_long", share(counts.too_long, counts.responses));
  set("verifier_precision", counts.precision());
  set("verifier_recall", counts.recall());
  set("verifier_false_positive_rate", counts.false_positive_rate());
  return metrics;
}

}  // namespace whet::train
