#include "train/text_model.h"

#include <algorithm>

#include "base/error.h"
#include "base/file.h"

namespace whet::train {

namespace fs = std::filesystem;

namespace {

fs::path embedded_folder() { return fs::read_symlink("/proc/self/exe").parent_path() / "models"; }

}  // namespace

TextModel open_text_model(const fs::path& folder, int threads) {
  return open_text_model(folder, engine::EngineOptions{.threads = threads});
}

TextModel open_text_model(const fs::path& folder, engine::EngineOptions options) {
  // The tokenizer first: it is the smaller file, and a mistake in it is found before weights are read.
  tokenizer::Tokenizer tokenizer = tokenizer::Tokenizer::load(folder);
  const engine::ModelConfig config = engine::read_model_config(engine::weights_folder(folder));
  if (tokenizer.vocab_size() > config.vocab_size) {
    base::user_error("model", "{}: the tokenizer has {} tokens, want at most vocab_size {} of config.json",
                     folder.string(), tokenizer.vocab_size(), config.vocab_size);
  }
  if (config.eos_token_ids.empty()) {
    base::user_error("model", "{}: no eos_token_id in generation_config.json or config.json; responses could never end",
                     folder.string());
  }
  options.vocabulary_in_use = tokenizer.vocab_size();
  auto model = engine::open_model(folder, options);
  return {folder, std::move(tokenizer), std::move(model)};
}

std::vector<std::string> embedded_models() {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(embedded_folder(), error)) {
    if (fs::exists(entry.path() / "config.json")) names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

fs::path resolve_model(const std::string& name_or_folder) {
  if (name_or_folder.empty()) {
    base::user_error("model", "no model given, want --model FOLDER or one of: {}", fmt::join(embedded_models(), ", "));
  }
  for (const char* file : {"config.json", "adapter_config.json"}) {
    if (fs::exists(fs::path(name_or_folder) / file)) return name_or_folder;
  }
  const fs::path embedded = embedded_folder() / name_or_folder;
  if (name_or_folder.find('/') == std::string::npos && fs::exists(embedded / "config.json")) return embedded;
  if (fs::is_directory(name_or_folder)) base::user_error("model", "{} has no config.json", name_or_folder);
  base::user_error("model",
                   "no folder {}, and no embedded model of that name; want a Hugging Face folder or one of: {}",
                   name_or_folder, fmt::join(embedded_models(), ", "));
}

fs::path resolve_tokenizer(const std::string& name_or_folder) {
  if (fs::exists(fs::path(name_or_folder) / "tokenizer.json")) return name_or_folder;
  if (!name_or_folder.empty() && fs::is_directory(name_or_folder))
    base::user_error("model", "{} has no tokenizer.json", name_or_folder);
  return resolve_model(name_or_folder);
}

void copy_tokenizer(const fs::path& from, const fs::path& to) {
  base::write_file(to / "tokenizer.json",
                   base::read_file(from / "tokenizer.json"));  // a model without one is of no use
  for (const char* name : {"tokenizer_config.json", "special_tokens_map.json", "vocab.json", "merges.txt",
                           "added_tokens.json", "chat_template.jinja"}) {
    if (fs::exists(from / name)) base::write_file(to / name, base::read_file(from / name));
  }
}

}  // namespace whet::train
