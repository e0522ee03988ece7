#include "tokenizer/tokenizer_file.h"

#include <simdjson.h>

#include "base/error.h"
#include "base/file.h"

namespace whet::tokenizer {
namespace {

using base::user_error;
using nlohmann::json;
using simdjson::dom::element;
using simdjson::dom::element_type;

json to_json(element value) {
  switch (value.type()) {
    case element_type::ARRAY: {
      json list = json::array();
      for (const element item : simdjson::dom::array(value)) list.push_back(to_json(item));
      return list;
    }
    case element_type::OBJECT: {
      json object = json::object();
      for (const auto field : simdjson::dom::object(value)) object[std::string(field.key)] = to_json(field.value);
      return object;
    }
    case element_type::INT64: {
      // As the other JSON type reads them: without a sign where there is none.
      const std::int64_t number = value;
      return number < 0 ? json(number) : json(static_cast<std::uint64_t>(number));
    }
    case element_type::UINT64:
      return std::uint64_t(value);
    case element_type::DOUBLE:
      return double(value);
    case element_type::STRING:
      return std::string(std::string_view(value));
    case element_type::BOOL:
      return bool(value);
    case element_type::NULL_VALUE:
      break;
  }
  return nullptr;
}

struct Parsed {
  simdjson::dom::parser parser;
  element root;
};

/// The other parser is slower, but knows where it stopped.
[[noreturn]] void refuse(const std::string& path, const std::string& text, simdjson::error_code error) {
  try {
    [[maybe_unused]] const json content = json::parse(text);
  } catch (const json::parse_error& position) {
    user_error(path, "not JSON at byte {}", position.byte);
  } catch (const json::exception&) {
    user_error(path, "not JSON that can be read: a number is too large");
  }
  user_error(path, "not JSON that can be read: {}", simdjson::error_message(error));
}

void read_vocabulary(element value, TokenizerFile& file, const std::string& where) {
  simdjson::dom::object vocabulary;
  if (value.get(vocabulary) != simdjson::SUCCESS || vocabulary.begin() == vocabulary.end())
    user_error(where, "vocab is empty or not an object");
  std::vector<bool> seen;
  for (const auto field : vocabulary) {
    // 2^24 is a hundred times the largest vocabulary in use.
    std::uint64_t id = 0;
    if (field.value.get(id) != simdjson::SUCCESS || id >= (1u << 24))
      user_error(where, "vocab '{}' has id {}, want a whole number below 2^24", field.key, to_json(field.value).dump());
    if (id >= seen.size()) seen.resize(std::max<std::size_t>(id + 1, 2 * seen.size()));
    if (seen[id]) user_error(where, "vocab gives id {} twice, once to '{}'", id, field.key);
    seen[id] = true;
    file.vocabulary.emplace_back(field.key, static_cast<std::int32_t>(id));
  }
}

void read_merges(element value, TokenizerFile& file, const std::string& where) {
  simdjson::dom::array merges;
  if (value.get(merges) != simdjson::SUCCESS) user_error(where, "merges is not a list");
  for (const element merge : merges) {
    const std::size_t rank = file.merges.size();
    std::string_view text;
    simdjson::dom::array pair;
    if (merge.get(text) == simdjson::SUCCESS) {
      if (text.starts_with("#version")) continue;  // the first line of the merges.txt that it was made of
      const std::size_t space = text.find(' ');
      if (space == std::string_view::npos || text.find(' ', space + 1) != std::string_view::npos)
        user_error(where, "merge {} is '{}', want two tokens and a space between", rank, text);
      file.merges.emplace_back(text.substr(0, space), text.substr(space + 1));
      continue;
    }
    std::string_view right;
    if (merge.get(pair) != simdjson::SUCCESS || pair.size() != 2 || pair.at(0).get(text) != simdjson::SUCCESS ||
        pair.at(1).get(right) != simdjson::SUCCESS)
      user_error(where, "merge {} is {}, want two tokens", rank, to_json(merge).dump());
    file.merges.emplace_back(text, right);
  }
}

}  // namespace

TokenizerFile TokenizerFile::read(const std::string& path) {
  const std::string text = base::read_file(path);
  auto parsed = std::make_shared<Parsed>();
  // The parser wants its own copy with room behind it.
  const simdjson::error_code error = parsed->parser.parse(text.data(), text.size()).get(parsed->root);
  if (error != simdjson::SUCCESS) refuse(path, text, error);
  TokenizerFile file;
  file.name = path;
  simdjson::dom::object root;
  if (parsed->root.get(root) != simdjson::SUCCESS) user_error(path, "not a JSON object");
  file.parts = json::object();
  const std::string where = path + ": model";
  for (const auto field : root) {
    simdjson::dom::object model;
    if (field.key != "model" || field.value.get(model) != simdjson::SUCCESS) {
      file.parts[std::string(field.key)] = to_json(field.value);
      continue;
    }
    json& rest = file.parts["model"] = json::object();
    for (const auto part : model) {
      // Present, so that a model of another type can be told from one without them.
      if (part.key == "vocab" || part.key == "merges") {
        rest[std::string(part.key)] = true;
      } else {
        rest[std::string(part.key)] = to_json(part.value);
      }
    }
    if (rest.value("type", json()) != "BPE") continue;
    if (!rest.contains("vocab")) user_error(where, "vocab is missing");
    if (!rest.contains("merges")) user_error(where, "merges is missing");
    read_vocabulary(model.at_key("vocab").value_unsafe(), file, where);
    read_merges(model.at_key("merges").value_unsafe(), file, where);
  }
  file.text = std::move(parsed);
  return file;
}

}  // namespace whet::tokenizer
