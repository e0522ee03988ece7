#include "tokenizer/added_tokens.h"

#include <algorithm>

#include "tokenizer/code_points.h"
#include "tokenizer/utf8.h"

namespace whet::tokenizer {
namespace {

std::uint8_t first_byte(const AddedToken& token) { return static_cast<std::uint8_t>(token.found_as.front()); }

const CodePointTable& spaces() {
  static const CodePointTable table(space_set());
  return table;
}

const CodePointTable& word_characters() {
  static const CodePointTable table(plain_word_set());
  return table;
}

}  // namespace

AddedTokenSearch::AddedTokenSearch(std::vector<AddedToken> tokens) : tokens_(std::move(tokens)) {
  std::erase_if(tokens_, [](const AddedToken& token) { return token.found_as.empty(); });
  std::stable_sort(tokens_.begin(), tokens_.end(), [](const AddedToken& a, const AddedToken& b) {
    return first_byte(a) != first_byte(b) ? first_byte(a) < first_byte(b) : a.found_as.size() > b.found_as.size();
  });
  for (std::uint32_t i = 0; i < tokens_.size(); ++i) {
    auto& range = starting_with_[first_byte(tokens_[i])];
    if (range.second == 0) range.first = i;
    range.second = i + 1;
  }
}

const AddedToken* AddedTokenSearch::longest_at(std::string_view text) const {
  const auto [begin, end] = starting_with_[static_cast<std::uint8_t>(text.front())];
  for (std::uint32_t i = begin; i < end; ++i) {
    if (text.starts_with(tokens_[i].found_as)) return &tokens_[i];
  }
  return nullptr;
}

void AddedTokenSearch::run(std::string_view text, const std::function<void(std::int32_t)>& on_token,
                           const std::function<void(std::string_view)>& on_text) const {
  const auto is_space = [](const Utf8Char& c) { return spaces()[c.code] != 0; };
  const auto is_word = [](const Utf8Char& c) { return word_characters()[c.code] != 0; };
  const auto character_at = [&](std::size_t at) { return decode_valid_utf8(text.data() + at); };
  const auto character_before = [&](std::size_t at) { return character_at(last_utf8(text.substr(0, at))); };

  std::size_t done = 0;
  std::size_t at = 0;
  while (!tokens_.empty() && at < text.size()) {
    const AddedToken* token = longest_at(text.substr(at));
    if (token == nullptr) {
      ++at;
      continue;
    }
    std::size_t begin = at;
    std::size_t end = at + token->found_as.size();
    at = end;
    if (token->single_word) {
      const bool free_before = begin == 0 || !is_word(character_before(begin));
      const bool free_after = end == text.size() || !is_word(character_at(end));
      // The characters stay text, and no shorter token is looked for inside them.
      if (!free_before || !free_after) continue;
    }
    if (token->lstrip) {
      while (begin > done && is_space(character_before(begin))) begin -= character_before(begin).length;
    }
    if (token->rstrip) {
      while (end < text.size() && is_space(character_at(end))) end += character_at(end).length;
    }
    if (begin > done) on_text(text.substr(done, begin - done));
    on_token(token->id);
    done = end;
  }
  if (done < text.size()) on_text(text.substr(done));
}

}  // namespace whet::tokenizer
