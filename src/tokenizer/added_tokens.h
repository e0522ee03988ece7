// Tokens that are found in the text as they stand, before it is cut into words: <|endoftext|> and its kind.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace whet::tokenizer {

struct AddedToken {
  std::int32_t id = 0;
  std::string content;
  std::string found_as;  ///< the content, normalised where `normalized`
  bool special = false;
  bool normalized = false;   ///< searched for in the normalised text
  bool single_word = false;  ///< only where no letter or digit touches it
  bool lstrip = false;       ///< takes the white space before it
  bool rstrip = false;       ///< takes the white space after it
};

/// A set of added tokens and the search for them: at each place the longest, no two overlapping.
class AddedTokenSearch {
 public:
  explicit AddedTokenSearch(std::vector<AddedToken> tokens);

  /// Cuts a text of valid UTF-8 into added tokens (given to `on_token`) and what lies between (to `on_text`), in order.
  void run(std::string_view text, const std::function<void(std::int32_t)>& on_token,
           const std::function<void(std::string_view)>& on_text) const;

 private:
  const AddedToken* longest_at(std::string_view text) const;

  std::vector<AddedToken> tokens_;                                            ///< by first byte, longest first
  std::array<std::pair<std::uint32_t, std::uint32_t>, 256> starting_with_{};  ///< range of tokens_ for a first byte
};

}  // namespace whet::tokenizer
