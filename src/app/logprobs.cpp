// whet logprobs: what a model says of given texts, token by token.
#include <cmath>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <memory>

#include "app/command.h"
#include "app/console.h"
#include "base/cores.h"
#include "train/groups.h"
#include "train/model_options.h"
#include "train/text_model.h"

namespace whet::app {
namespace {

struct LogprobsOptions {
  std::string model;
  double temperature = 1.0;
  std::int64_t batch = 64;
  bool bare = false;
  bool add_special = false;
  std::string device = "cpu";
  std::string precision = "float32";
  std::int64_t threads = 0;
};

template <class Visitor>
void visit_fields(LogprobsOptions& o, Visitor&& visit) {
  using namespace base;
  visit(o.model, "model", "a Hugging Face folder, or the name of an embedded base model", anything());
  visit(o.temperature, "temperature", "logits are divided by it", above(0));
  visit(o.batch, "batch", "texts that are read before any is answered", count_from(1));
  visit(o.bare, "bare", "the text alone, without the token that begins every text of the model's", anything());
  visit(o.add_special, "add-special", "also the tokens that the model's file puts behind every text", anything());
  visit(o.device, "device", train::kDeviceHelp, anything());
  visit(o.precision, "precision", train::kAskedPrecisionHelp, train::precisions());
  visit(o.threads, "threads", base::kThreadsHelp, count_from(0));
}

/// Tokens that end a batch before it has all its texts: what a batch holds in memory stays bounded.
constexpr std::size_t kBatchTokens = 16384;

/// A value with as many digits as tell it from its neighbours in float32, and no more.
double shortest(float value) { return std::stod(fmt::format("{}", value)); }

base::Json numbers(const std::vector<float>& values, const char* what, std::size_t line) {
  base::Json list = base::Json::array();
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i])) {
      base::run_error("logprobs",
                      "line {}: the {} of token {} is {}, want a finite number (are the model's weights broken?)", line,
                      what, i + 2, values[i]);
    }
    list.push_back(shortest(values[i]));
  }
  return list;
}

class Scorer {
 public:
  Scorer(train::TextModel model, const LogprobsOptions& options) : model_(std::move(model)), options_(options) {}

  void add(base::Json&& row, const std::string& place, std::size_t line) {
    if (!row.is_object()) base::user_error(place, "line {}: {}, want an object with a 'text'", line, row.type_name());
    const auto text = row.find("text");
    if (text == row.end() || !text->is_string()) {
      base::user_error(place, "line {}: 'text' is {}, want text", line,
                       text == row.end() ? "missing" : text->type_name());
    }
    const std::string& written = text->get_ref<const std::string&>();
    tokens_.push_back(options_.bare || options_.add_special ? model_.tokenizer.encode(written, options_.add_special)
                                                            : train::prompt_tokens(model_.tokenizer, written));
    const std::int64_t longest = model_.model->config().max_position_embeddings;
    if (static_cast<std::int64_t>(tokens_.back().size()) > longest) {
      base::user_error(place, "line {}: a text of {} tokens, want at most the model's {} (max_position_embeddings)",
                       line, tokens_.back().size(), longest);
    }
    total_ += tokens_.back().size();
    rows_.push_back(std::move(row));
    lines_.push_back(line);
    if (rows_.size() >= static_cast<std::size_t>(options_.batch) || total_ >= kBatchTokens) flush();
  }

  void flush() {
    const auto scores = model_.model->score(tokens_, options_.temperature);
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      base::Json& row = rows_[i];
      row["tokens"] = tokens_[i];
      row["logprob"] = numbers(scores[i].logprob, "log-probability", lines_[i]);
      row["entropy"] = numbers(scores[i].entropy, "entropy", lines_[i]);
      row["self_certainty"] = numbers(scores[i].self_certainty, "self-certainty", lines_[i]);
      row["gap"] = numbers(scores[i].gap, "gap", lines_[i]);
      std::printf("%s\n", base::to_json_line(row).c_str());
    }
    if (std::fflush(stdout) != 0) base::run_error("logprobs", "cannot write to standard output");
    done_ += rows_.size();
    scored_ += total_;
    if (!rows_.empty()) print_transient(fmt::format("{} texts, {} tokens", done_, scored_));
    rows_.clear();
    tokens_.clear();
    lines_.clear();
    total_ = 0;
  }

 private:
  train::TextModel model_;
  const LogprobsOptions& options_;
  std::vector<base::Json> rows_;
  std::vector<std::vector<engine::TokenId>> tokens_;
  std::vector<std::size_t> lines_;
  std::size_t total_ = 0, done_ = 0, scored_ = 0;
};

int run(const LogprobsOptions& options, const std::string& file) {
  if (options.bare && options.add_special) base::user_error("logprobs", "--bare with --add-special, want one of them");
  Scorer scorer(train::open_text_model(train::resolve_model(options.model),
                                       train::asking_options(options.threads, options.precision, options.device)),
                options);
  const std::string place = file == "-" ? "standard input" : file;
  const auto add = [&](base::Json&& row, std::size_t line) { scorer.add(std::move(row), place, line); };
  if (file == "-") {
    base::for_each_json_line(std::cin, place, add);
  } else {
    base::for_each_json_line(std::filesystem::path(file), add);
  }
  scorer.flush();
  return 0;
}

const base::Registrar kRegistered(
    commands(), "logprobs",
    Command{
        "log-prob, entropy, self-certainty and top-2 gap of each token of given texts",
        "  whet logprobs --model sort-strong texts.jsonl > scored.jsonl\n"
        "  echo '{\"text\": \"40317?01347\"}' | whet logprobs --model sort-strong\n"
        "Lines {text} in; the same lines with tokens, logprob, entropy, self_certainty and gap out, in order: a value for each\n"
        "token after the first.",
        [](CLI::App& app) -> Run {
          auto options = std::make_shared<LogprobsOptions>();
          auto file = std::make_shared<std::string>("-");
          add_fields(app, *options);
          app.add_option("FILE", *file, "JSON Lines, each {\"text\": ...}; - reads standard input")
              ->capture_default_str();
          return [options, file] { return run(*options, *file); };
        }});

}  // namespace
}  // namespace whet::app
