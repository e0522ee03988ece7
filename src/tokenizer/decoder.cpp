#include "tokenizer/decoder.h"

#include <algorithm>

#include "base/error.h"
#include "tokenizer/byte_level.h"
#include "tokenizer/json_fields.h"

namespace whet::tokenizer {
namespace {

std::size_t count_field(const nlohmann::json& node, const char* name, const std::string& where) {
  const nlohmann::json& value = require(node, name, where);
  if (!value.is_number_unsigned()) base::user_error(where, "{} = {}, want a whole number", name, value.dump());
  return value.get<std::size_t>();
}

/// The byte that a token like <0x0A> stands for.
std::optional<char> fallback_byte(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || !token.ends_with('>')) return std::nullopt;
  const std::string digits(token.substr(3, 2));
  if (digits.find_first_not_of("0123456789abcdefABCDEF") != std::string::npos) return std::nullopt;
  return static_cast<char>(std::stoi(digits, nullptr, 16));
}

std::string replaced(std::string_view text, std::string_view what, std::string_view by) {
  std::string out;
  replace_literal(text, what, by, out);
  return out;
}

std::string strip(std::string_view text, std::string_view what, std::size_t start, std::size_t stop) {
  for (; start > 0 && text.starts_with(what); --start) text.remove_prefix(what.size());
  for (; stop > 0 && text.ends_with(what); --stop) text.remove_suffix(what.size());
  return std::string(text);
}

}  // namespace

Decoder::Decoder(const nlohmann::json& node, const std::string& where) {
  add(node, where);
  // What is stripped of each token is seen in its own bytes; what is stripped of the whole is not.
  bool is_fused = false;
  for (const Step& step : steps_) {
    is_fused = is_fused || step.kind == Kind::kFuse || step.kind == Kind::kByteLevel;
    if (step.kind == Kind::kMetaspace && step.drops_first) depends_on_place_ = true;
    if (is_fused && step.kind != Kind::kFuse && step.kind != Kind::kByteLevel) depends_on_place_ = true;
  }
}

void Decoder::add(const nlohmann::json& node, const std::string& where) {
  const std::string type = type_of(node, where);
  if (type == "Sequence") {
    const nlohmann::json& parts = require(node, "decoders", where);
    if (!parts.is_array()) base::user_error(where, "decoders is not a list");
    for (const nlohmann::json& part : parts) add(part, where);
    return;
  }
  Step step{};
  if (type == "ByteLevel") {
    step.kind = Kind::kByteLevel;
  } else if (type == "Replace") {
    step.kind = Kind::kReplace;
    step.replacement.emplace(node, where);
  } else if (type == "ByteFallback") {
    step.kind = Kind::kByteFallback;
  } else if (type == "Fuse") {
    step.kind = Kind::kFuse;
  } else if (type == "Strip") {
    step.kind = Kind::kStrip;
    step.content = character_field(node, "content", where);
    step.start = count_field(node, "start", where);
    step.stop = count_field(node, "stop", where);
  } else if (type == "Metaspace") {
    step.kind = Kind::kMetaspace;
    step.content = character_field(node, "replacement", where);
    const nlohmann::json* scheme = optional_field(node, "prepend_scheme");
    step.drops_first = (scheme == nullptr || *scheme != "never") && flag(node, "add_prefix_space", true, where);
  } else {
    base::user_error(
        where,
        "type {} is not supported, want ByteLevel, Replace, ByteFallback, Fuse, Strip, Metaspace or a Sequence of them",
        type);
  }
  steps_.push_back(std::move(step));
}

void Decoder::apply(const Step& step, std::vector<std::string>& tokens, MatchScratch& scratch) {
  switch (step.kind) {
    case Kind::kByteLevel:
      for (std::string& token : tokens) {
        if (std::optional<std::string> bytes = unspell(token)) token = std::move(*bytes);
      }
      [[fallthrough]];
    case Kind::kFuse: {
      std::string whole;
      for (const std::string& token : tokens) whole += token;
      tokens.assign(1, whole);
      return;
    }
    case Kind::kReplace:
      for (std::string& token : tokens) {
        // What earlier steps made of tokens may be a piece of a character.
        if (step.replacement->has_pattern() && valid_utf8_prefix(token) != token.size()) continue;
        std::string out;
        step.replacement->apply(token, scratch, out);
        token = std::move(out);
      }
      return;
    case Kind::kByteFallback: {
      std::vector<std::string> joined;
      bool in_bytes = false;
      for (std::string& token : tokens) {
        const std::optional<char> byte = fallback_byte(token);
        if (byte && in_bytes) {
          joined.back() += *byte;
        } else {
          joined.push_back(byte ? std::string(1, *byte) : std::move(token));
        }
        in_bytes = byte.has_value();
      }
      tokens = std::move(joined);
      return;
    }
    case Kind::kStrip:
      for (std::string& token : tokens) token = strip(token, step.content, step.start, step.stop);
      return;
    case Kind::kMetaspace:
      for (std::size_t i = 0; i < tokens.size(); ++i) {
        tokens[i] = replaced(tokens[i], step.content, i == 0 && step.drops_first ? "" : " ");
      }
      return;
  }
}

std::string Decoder::run(std::vector<std::string> tokens) const {
  MatchScratch scratch;
  for (const Step& step : steps_) apply(step, tokens, scratch);
  std::string text;
  for (const std::string& token : tokens) text += token;
  return text;
}

std::string Decoder::bytes_of(std::string_view token, MatchScratch& scratch) const {
  if (steps_.size() == 1 && steps_[0].kind == Kind::kByteLevel) return unspell(token).value_or(std::string(token));
  std::vector<std::string> tokens = {std::string(token)};
  bool is_fused = false;
  for (const Step& step : steps_) {
    if (is_fused && step.kind == Kind::kStrip) continue;
    if (step.kind == Kind::kMetaspace) {
      tokens[0] = replaced(tokens[0], step.content, " ");
    } else {
      apply(step, tokens, scratch);
    }
    is_fused = is_fused || step.kind == Kind::kFuse || step.kind == Kind::kByteLevel;
  }
  return tokens[0];
}

}  // namespace whet::tokenizer
