// Text to token ids and back, as the model's own tokenizer.json (Hugging Face) says: byte-pair encoding of bytes, or of
// characters with single bytes to fall back to.
//
// What the file asks for is done exactly or refused by name when it is loaded; the headers of the parts (normalizer.h,
// pre_tokenizer.h, bpe.h, post_processor.h, decoder.h) say what is known. "truncation" and "padding" are not applied:
// transformers sets both anew at every call.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace whet::tokenizer {

using TokenId = std::int32_t;

/// Immutable once loaded; every method may be called from several threads at once.
class Tokenizer {
 public:
  /// Reads `folder`/tokenizer.json. UserError naming the file and the part of it that is malformed or not supported.
  static Tokenizer load(const std::filesystem::path& folder);

  ~Tokenizer();
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;

  /// The ids of a text. Added tokens in it are recognised. With `add_special`, the tokens that the file's post-processor puts
  /// around a text are there too. Bytes that are not UTF-8 are encoded one by one where the vocabulary is one of bytes, and
  /// are U+FFFD elsewhere. UserError naming a byte or character without a token.
  std::vector<TokenId> encode(std::string_view text, bool add_special = false) const;

  /// The bytes of a sequence of ids. They need not be UTF-8: a character may span several tokens. Ids without a token
  /// (the padding rows of an embedding) give nothing. With `skip_special`, neither do special tokens.
  std::string decode(std::span<const TokenId> ids, bool skip_special = false) const;

  /// What the post-processor puts before a text: nothing, or the token that begins every sequence.
  const std::vector<TokenId>& prefix() const;

  /// The id of a vocabulary entry as the file spells it ("\u0120the" for " the"), or of an added token.
  std::optional<TokenId> id_of(std::string_view token) const;

  /// The bytes of one id wherever it stands; empty for an id without a token. Valid as long as the tokenizer.
  std::string_view bytes_of(TokenId id) const;

  bool is_special(TokenId id) const;

  /// One more than the largest id: the fewest rows that a model's embedding must have.
  TokenId vocab_size() const;

 private:
  struct Impl;
  explicit Tokenizer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// Writes tokenizer.json and tokenizer_config.json into a folder for a vocabulary of single characters without merges:
/// `end_token` has id 0, then each character of `alphabet` (ASCII) in order. transformers' AutoTokenizer loads it.
/// UserError for a repeated or non-ASCII character.
void write_character_tokenizer(const std::filesystem::path& folder, std::string_view alphabet,
                               std::string_view end_token = "<|endoftext|>");

}  // namespace whet::tokenizer
