#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "tokenizer/byte_level.h"
#include "tokenizer/tokenizer.h"

namespace whet::tokenizer {

void write_character_tokenizer(const std::filesystem::path& folder, std::string_view alphabet,
                               std::string_view end_token) {
  using base::Json;
  Json vocabulary = Json::object();
  vocabulary[std::string(end_token)] = 0;
  std::set<char> seen;
  for (const char c : alphabet) {
    if ((c & 0x80) != 0) base::user_error("alphabet", "byte 0x{:02X}, want ASCII characters", c & 0xFF);
    if (!seen.insert(c).second) base::user_error("alphabet", "'{}' appears twice", c);
    vocabulary[spelling_of(static_cast<std::uint8_t>(c))] = vocabulary.size();
  }
  if (vocabulary.size() != alphabet.size() + 1)
    base::user_error("alphabet", "it contains the end token '{}'", end_token);

  const Json added = {{"id", 0},         {"content", end_token}, {"single_word", false}, {"lstrip", false},
                      {"rstrip", false}, {"normalized", false},  {"special", true}};
  // Without a pattern the whole text is one word, which changes nothing when there are no merges.
  const Json byte_level = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", false}};
  const Json tokenizer = {
      {"version", "1.0"},
      {"truncation", nullptr},
      {"padding", nullptr},
      {"added_tokens", Json::array({added})},
      {"normalizer", nullptr},
      {"pre_tokenizer", byte_level},
      {"post_processor", nullptr},
      {"decoder", byte_level},
      {"model",
       {{"type", "BPE"},
        {"dropout", nullptr},
        {"unk_token", nullptr},
        {"continuing_subword_prefix", nullptr},
        {"end_of_word_suffix", nullptr},
        {"fuse_unk", false},
        {"byte_fallback", false},
        {"ignore_merges", false},
        {"vocab", vocabulary},
        {"merges", Json::array()}}},
  };
  const Json config = {
      {"tokenizer_class", "PreTrainedTokenizerFast"},
      {"eos_token", end_token},
      {"clean_up_tokenization_spaces", false},
  };
  base::write_file(folder / "tokenizer.json", tokenizer.dump(2) + "\n");
  base::write_file(folder / "tokenizer_config.json", config.dump(2) + "\n");
}

}  // namespace whet::tokenizer
