// tokenizer.json as it is read: the two long lists of its model apart from the rest, because a tree of 300,000 nodes would
// take most of the time that loading a tokenizer takes.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace whet::tokenizer {

struct TokenizerFile {
  std::string name;                                                   ///< its path, which errors begin with
  nlohmann::json parts;                                               ///< without model.vocab and model.merges
  std::vector<std::pair<std::string_view, std::int32_t>> vocabulary;  ///< ids below 2^24, each once
  std::vector<std::pair<std::string_view, std::string_view>> merges;  ///< the earliest learned first
  std::shared_ptr<const void> text;                                   ///< what the views look at

  /// UserError naming the file and the part of it that is malformed.
  static TokenizerFile read(const std::string& path);
};

}  // namespace whet::tokenizer
