#include "store/dump_values.h"

#include <fmt/format.h>

namespace whet::store {
namespace {

namespace dom = simdjson::dom;

/// A message's `content`: a text, a list of parts, or nothing (a call of a tool).
std::optional<std::string> content_text(Element content) {
  std::string_view text;
  if (content.get(text) == simdjson::SUCCESS) return std::string(text);
  if (content.is_null()) return std::string();
  dom::array parts;
  if (content.get(parts) != simdjson::SUCCESS) return std::nullopt;
  std::string joined;
  for (const Element part : parts) {
    std::string_view part_text;
    if (part["text"].get(part_text) == simdjson::SUCCESS || part.get(part_text) == simdjson::SUCCESS) {
      joined += part_text;
    } else {
      joined += simdjson::minify(part);
    }
  }
  return joined;
}

}  // namespace

std::string_view kind_name(Element value) {
  switch (value.type()) {
    case dom::element_type::ARRAY:
      return "a list";
    case dom::element_type::OBJECT:
      return "an object";
    case dom::element_type::STRING:
      return "a text";
    case dom::element_type::BOOL:
      return "true or false";
    case dom::element_type::NULL_VALUE:
      return "null";
    default:
      return "a number";
  }
}

std::optional<std::string> chat_text(Element value, bool only_model) {
  dom::array messages;
  if (value.get(messages) != simdjson::SUCCESS) return std::nullopt;
  std::string joined;
  bool any = false;
  for (const Element message : messages) {
    Element content;
    if (!message.is_object() || message["content"].get(content) != simdjson::SUCCESS) return std::nullopt;
    std::string_view role;
    const bool has_role = message["role"].get(role) == simdjson::SUCCESS;
    if (only_model && has_role && role != "assistant") continue;
    const auto text = content_text(content);
    if (!text) return std::nullopt;
    if (any) joined += "\n\n";
    joined += *text;
    any = true;
  }
  return any ? std::optional<std::string>(std::move(joined)) : std::nullopt;
}

std::optional<std::string> label_text(Element value) {
  switch (value.type()) {
    case dom::element_type::STRING:
      return std::string(std::string_view(value));
    case dom::element_type::INT64:
      return fmt::format("{}", std::int64_t(value));
    case dom::element_type::UINT64:
      return fmt::format("{}", std::uint64_t(value));
    case dom::element_type::DOUBLE:
      return fmt::format("{}", double(value));
    case dom::element_type::ARRAY: {
      const dom::array list = value;
      if (list.size() == 1 && !list.at(0).value().is_array()) return label_text(list.at(0).value());
      return std::nullopt;
    }
    default:
      return std::nullopt;
  }
}

bool read_numbers(Element list, std::vector<float>& values, std::size_t& bad) {
  bad = 0;
  for (const Element item : dom::array(list)) {
    ++bad;
    double number = 0;
    if (item.get(number) != simdjson::SUCCESS) return false;
    values.push_back(static_cast<float>(number));
  }
  return true;
}

std::optional<Conversation> cut_conversation(const std::vector<std::string_view>& messages,
                                             const std::vector<float>& mask) {
  std::size_t turns = 0;
  for (std::size_t t = 0; t < mask.size(); ++t) turns += mask[t] != 0 && (t == 0 || mask[t - 1] == 0) ? 1 : 0;
  if (turns == 0 || messages.size() < 2 * turns) return std::nullopt;
  // A reply stands behind each turn. Behind the last one it may be missing (a session that the model ends), or be there
  // without a token (cut at the length limit): then only its own words tell it from a response.
  bool has_reply = mask.back() == 0;
  if (!has_reply) has_reply = messages.back().substr(0, 12) == "Environment:";
  has_reply = has_reply && messages.size() > 2 * turns;
  const std::size_t behind = 2 * turns - (has_reply ? 0 : 1);
  if (messages.size() <= behind) return std::nullopt;
  const std::size_t prompts = messages.size() - behind;
  Conversation cut;
  for (std::size_t i = 0; i < prompts; ++i) {
    if (i > 0) cut.prompt += "\n\n";
    cut.prompt += messages[i];
  }
  for (std::size_t i = prompts; i < messages.size(); i += 2) {
    if (i > prompts) cut.response += "\n";
    cut.response += messages[i];
  }
  return cut;
}

}  // namespace whet::store
