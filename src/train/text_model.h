// A model with its tokenizer: what can be asked in text.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "engine/engine.h"
#include "tokenizer/tokenizer.h"

namespace whet::train {

struct TextModel {
  std::filesystem::path folder;
  tokenizer::Tokenizer tokenizer;
  std::unique_ptr<engine::Model> model;
};

/// Opens a Hugging Face folder, or an adapter's that has a tokenizer beside it. UserError naming what is missing or does not fit, a tokenizer larger than the embedding
/// included. `threads` 0: one per core.
TextModel open_text_model(const std::filesystem::path& folder, int threads);
/// The same with all of the engine's options; the vocabulary in use is the tokenizer's.
TextModel open_text_model(const std::filesystem::path& folder, engine::EngineOptions options);

/// A folder as it is, or the name of an embedded base model (a folder beside the program, models/NAME).
/// UserError that lists the embedded models when it is neither.
std::filesystem::path resolve_model(const std::string& name_or_folder);

/// The same for a command that needs no weights: a folder with a tokenizer.json is enough.
std::filesystem::path resolve_tokenizer(const std::string& name_or_folder);

/// Names of the embedded base models.
std::vector<std::string> embedded_models();

/// Copies the tokenizer's files (tokenizer.json, tokenizer_config.json and the like) of one model folder into another.
void copy_tokenizer(const std::filesystem::path& from, const std::filesystem::path& to);

}  // namespace whet::train
