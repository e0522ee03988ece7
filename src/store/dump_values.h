// What a row's JSON values mean: texts, conversations, labels and per-token lists. For dumps.cpp alone.
#pragma once

#include <simdjson.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace whet::store {

using Element = simdjson::dom::element;

/// "null", "a text", "a list", ...: the value's kind, for messages.
std::string_view kind_name(Element value);

/// The texts of a chat list, joined by an empty line; of the messages that the model wrote alone, if `only_model`.
/// Parts of a message that are no text (images) count as the JSON that stands there. nullopt when it is no chat list.
std::optional<std::string> chat_text(Element value, bool only_model);

/// A label as text: texts, numbers as they would be written, and lists of one of these. nullopt for anything else.
std::optional<std::string> label_text(Element value);

/// Appends the numbers of a list. False when there is something else in it; `bad` is then its place, from 1.
bool read_numbers(Element list, std::vector<float>& values, std::size_t& bad);

/// A conversation cut into prompt and response.
struct Conversation {
  std::string prompt;
  std::string response;
};

/// Messages of NeMo-RL: the texts of prompt, response and, mostly, the environment's reply, without roles. `mask` is 1
/// for each token that the model wrote and 0 for others, up to the conversation's length: its runs of ones are the
/// model's turns, and tokens behind the last run are the environment's. Several turns are joined by a line end.
/// nullopt when messages and mask contradict each other.
std::optional<Conversation> cut_conversation(const std::vector<std::string_view>& messages,
                                             const std::vector<float>& mask);

}  // namespace whet::store
