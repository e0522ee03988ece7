#include "tokenizer/normalizer.h"

#include "base/error.h"
#include "tokenizer/json_fields.h"
#include "tokenizer/nfc.h"
#include "tokenizer/utf8.h"

namespace whet::tokenizer {
namespace {

const CodePointTable& spaces() {
  static const CodePointTable table(space_set());
  return table;
}

std::size_t spaces_at_begin(std::string_view text) {
  std::size_t i = 0;
  while (i < text.size()) {
    const Utf8Char c = decode_valid_utf8(text.data() + i);
    if (spaces()[c.code] == 0) break;
    i += c.length;
  }
  return i;
}

std::size_t end_without_spaces(std::string_view text) {
  std::size_t end = text.size();
  while (end > 0) {
    const std::size_t begin = last_utf8(text.substr(0, end));
    if (spaces()[decode_valid_utf8(text.data() + begin).code] == 0) break;
    end = begin;
  }
  return end;
}

}  // namespace

Normalizer::Normalizer(const nlohmann::json& node, const std::string& where) { add(node, where); }

void Normalizer::add(const nlohmann::json& node, const std::string& where) {
  const std::string type = type_of(node, where);
  if (type == "null") return;
  if (type == "Sequence") {
    const nlohmann::json& parts = require(node, "normalizers", where);
    if (!parts.is_array()) base::user_error(where, "normalizers is not a list");
    for (const nlohmann::json& part : parts) add(part, where);
    return;
  }
  Step step{};
  if (type == "NFC" || type == "NFD") {
    step.kind = type == "NFC" ? Kind::kNfc : Kind::kNfd;
  } else if (type == "Prepend") {
    step.kind = Kind::kPrepend;
    step.content = text_field(node, "prepend", where);
  } else if (type == "Replace") {
    step.kind = Kind::kReplace;
    step.replacement.emplace(node, where);
  } else if (type == "Strip") {
    step.kind = Kind::kStrip;
    step.left = flag(node, "strip_left", true, where);
    step.right = flag(node, "strip_right", true, where);
  } else {
    base::user_error(
        where, "type {} is not supported, want null, NFC, NFD, Prepend, Replace, Strip or a Sequence of them", type);
  }
  steps_.push_back(std::move(step));
}

void Normalizer::apply(const Step& step, std::string_view text, MatchScratch& scratch, std::string& out,
                       bool& loses_begin) {
  switch (step.kind) {
    case Kind::kNfc:
    case Kind::kNfd: {
      std::string room;
      out = normalize_canonically(text, step.kind == Kind::kNfc, room);
      return;
    }
    case Kind::kPrepend:
      if (!text.empty()) out.append(step.content).append(text);
      return;
    case Kind::kReplace:
      if (step.replacement->apply(text, scratch, out)) loses_begin = true;
      return;
    case Kind::kStrip: {
      const std::size_t begin = step.left ? spaces_at_begin(text) : 0;
      loses_begin = loses_begin || begin > 0;
      text.remove_prefix(begin);
      out = step.right ? text.substr(0, end_without_spaces(text)) : text;
      return;
    }
  }
}

std::string_view Normalizer::run(std::string_view text, MatchScratch& scratch, std::string& room,
                                 bool* loses_begin) const {
  // The families with the largest vocabularies have NFC alone or nothing, and their texts are seldom changed by it.
  if (steps_.empty()) return text;
  if (steps_.size() == 1 && steps_[0].kind == Kind::kNfc) return normalize_canonically(text, true, room);
  bool loses = false;
  std::string from(text), to;
  for (const Step& step : steps_) {
    to.clear();
    apply(step, from, scratch, to, loses);
    std::swap(from, to);
  }
  if (loses_begin != nullptr) *loses_begin = loses;
  room = std::move(from);
  return room;
}

}  // namespace whet::tokenizer
