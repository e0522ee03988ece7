#include "tokenizer/tokenizer.h"

#include <algorithm>
#include <mutex>
#include <set>
#include <unordered_map>

#include "base/error.h"
#include "tokenizer/added_tokens.h"
#include "tokenizer/bpe.h"
#include "tokenizer/decoder.h"
#include "tokenizer/json_fields.h"
#include "tokenizer/normalizer.h"
#include "tokenizer/post_processor.h"
#include "tokenizer/pre_tokenizer.h"
#include "tokenizer/tokenizer_file.h"
#include "tokenizer/utf8.h"

namespace whet::tokenizer {
namespace {

namespace fs = std::filesystem;
using base::user_error;
using nlohmann::json;

/// What one encode() needs for itself. Kept between calls, so that the cache of words lives on.
struct Workspace {
  MatchScratch match;
  BpeScratch bpe;
  Words words;
  std::string normalized;
};

/// One lock a call, instead of a lock or an atomic a word.
class Workspaces {
 public:
  std::unique_ptr<Workspace> take() {
    const std::lock_guard lock(mutex_);
    if (idle_.empty()) return std::make_unique<Workspace>();
    std::unique_ptr<Workspace> workspace = std::move(idle_.back());
    idle_.pop_back();
    return workspace;
  }
  void give_back(std::unique_ptr<Workspace> workspace) {
    const std::lock_guard lock(mutex_);
    idle_.push_back(std::move(workspace));
  }

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<Workspace>> idle_;
};

std::vector<AddedToken> read_added_tokens(const json& content, const Bpe& bpe, const Normalizer& normalizer,
                                          const std::string& where) {
  MatchScratch scratch;
  std::vector<AddedToken> tokens;
  const json* list = optional_field(content, "added_tokens");
  if (list == nullptr) return tokens;
  if (!list->is_array()) user_error(where, "not a list");
  std::set<std::string> contents;
  // The format's own library does not believe a file's ids: a token that the vocabulary lacks is numbered on from the
  // vocabulary's size. Where a file says otherwise, two readers would disagree about what a token is.
  auto next_id = static_cast<TokenId>(bpe.vocabulary().entries().size());
  for (const json& node : *list) {
    AddedToken token;
    const json& text = require(node, "content", where);
    const json& id = require(node, "id", where);
    if (!text.is_string() || text == "") user_error(where, "content {}, want a text", text.dump());
    token.content = text.get<std::string>();
    if (!id.is_number_unsigned() || id.get<std::uint64_t>() >= (1u << 24)) {
      user_error(where, "'{}' has id {}, want a whole number below 2^24", token.content, id.dump());
    }
    token.id = static_cast<TokenId>(id.get<std::uint64_t>());
    const auto entry = bpe.vocabulary().find(token.content);
    const TokenId expected = entry.value_or(next_id);
    if (token.id != expected) {
      user_error(where, "'{}' has id {}, want {} ({})", token.content, token.id, expected,
                 !entry ? "the next after the vocabulary" : "as in the vocabulary");
    }
    next_id = std::max(next_id, token.id + 1);
    if (!contents.insert(token.content).second) user_error(where, "'{}' is listed twice", token.content);
    token.special = flag(node, "special", false, where);
    token.normalized = flag(node, "normalized", !token.special, where);
    token.found_as = token.content;
    if (token.normalized) {
      std::string room;
      token.found_as = normalizer.run(token.content, scratch, room);
    }
    token.single_word = flag(node, "single_word", false, where);
    token.lstrip = flag(node, "lstrip", false, where);
    token.rstrip = flag(node, "rstrip", false, where);
    tokens.push_back(std::move(token));
  }
  return tokens;
}

json part(const TokenizerFile& file, const char* name) { return file.parts.value(name, json()); }

/// The text with U+FFFD in place of what is not UTF-8: one for each longest piece that a character could begin with, as the
/// Unicode standard recommends and Python does.
std::string replace_invalid(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    const std::size_t valid = valid_utf8_prefix(text);
    result.append(text.substr(0, valid));
    text.remove_prefix(valid);
    if (text.empty()) break;
    result += "\xEF\xBF\xBD";
    text.remove_prefix(broken_utf8_length(text));
  }
  return result;
}

}  // namespace

struct Tokenizer::Impl {
  PreTokenizer pre_tokenizer;
  Bpe bpe;
  Normalizer normalizer;
  Decoder decoder;
  PostProcessor post_processor;
  std::vector<AddedToken> added;
  AddedTokenSearch raw_search;         ///< for added tokens in the text as given
  AddedTokenSearch normalized_search;  ///< for those in the normalised text
  std::unordered_map<std::string, TokenId> added_ids;
  std::vector<std::string_view> spelled;  ///< by id, as the file has it
  std::vector<std::string> bytes;         ///< by id
  std::vector<bool> special;              ///< by id
  mutable Workspaces workspaces;

  explicit Impl(const TokenizerFile& file)
      : pre_tokenizer(part(file, "pre_tokenizer"), file.name + ": pre_tokenizer"),
        bpe(file, pre_tokenizer.is_byte_level()),
        normalizer(part(file, "normalizer"), file.name + ": normalizer"),
        decoder(part(file, "decoder"), file.name + ": decoder"),
        added(read_added_tokens(file.parts, bpe, normalizer, file.name + ": added_tokens")),
        raw_search(searched(false)),
        normalized_search(searched(true)) {
    MatchScratch scratch;
    TokenId most = 0;
    for (const TextTable::Entry& entry : bpe.vocabulary().entries()) most = std::max(most, entry.value);
    for (const AddedToken& token : added) most = std::max(most, token.id);
    bytes.resize(static_cast<std::size_t>(most) + 1);
    spelled.resize(bytes.size());
    special.resize(bytes.size());
    for (const TextTable::Entry& entry : bpe.vocabulary().entries()) {
      const std::string_view token = bpe.vocabulary().key(entry);
      spelled[static_cast<std::size_t>(entry.value)] = token;
      bytes[static_cast<std::size_t>(entry.value)] = decoder.bytes_of(token, scratch);
    }
    for (const AddedToken& token : added) {
      const auto id = static_cast<std::size_t>(token.id);
      // It is spelled as it stands, not in the characters of a byte-level vocabulary.
      spelled[id] = token.found_as;
      bytes[id] = pre_tokenizer.is_byte_level() ? token.found_as : decoder.bytes_of(token.found_as, scratch);
      special[id] = token.special;
      added_ids.emplace(token.content, token.id);
    }
    post_processor = PostProcessor(part(file, "post_processor"), most + 1, file.name + ": post_processor");
  }

  std::vector<AddedToken> searched(bool normalized) const {
    std::vector<AddedToken> result;
    for (const AddedToken& token : added) {
      if (token.normalized == normalized) result.push_back(token);
    }
    return result;
  }

  void encode_valid(std::string_view text, bool at_begin, Workspace& workspace, std::vector<TokenId>& ids) const {
    const auto on_token = [&](TokenId id) { ids.push_back(id); };
    raw_search.run(text, on_token, [&](std::string_view part_of_text) {
      bool loses_begin = false;
      const std::string_view normalized =
          normalizer.run(part_of_text, workspace.match, workspace.normalized, &loses_begin);
      const bool begins = at_begin && part_of_text.data() == text.data() && !loses_begin;
      normalized_search.run(normalized, on_token, [&](std::string_view piece) {
        pre_tokenizer.run(piece, begins && piece.data() == normalized.data(), workspace.match, workspace.words);
        for (const Match& range : workspace.words.ranges) bpe.encode(workspace.words.word(range), workspace.bpe, ids);
      });
    });
  }

  void encode(std::string_view text, Workspace& workspace, std::vector<TokenId>& ids) const {
    bool at_begin = true;
    while (!text.empty()) {
      const std::size_t valid = valid_utf8_prefix(text);
      if (valid < text.size() && !pre_tokenizer.is_byte_level())
        return encode_valid(replace_invalid(text), at_begin, workspace, ids);
      if (valid > 0) encode_valid(text.substr(0, valid), at_begin, workspace, ids);
      at_begin = false;
      text.remove_prefix(valid);
      if (!text.empty()) {
        bpe.encode(text.substr(0, 1), workspace.bpe, ids);
        text.remove_prefix(1);
      }
    }
  }
};

Tokenizer::Tokenizer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Tokenizer::~Tokenizer() = default;
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;

Tokenizer Tokenizer::load(const fs::path& folder) {
  return Tokenizer(std::make_unique<Impl>(TokenizerFile::read((folder / "tokenizer.json").string())));
}

std::vector<TokenId> Tokenizer::encode(std::string_view text, bool add_special) const {
  std::vector<TokenId> ids;
  std::unique_ptr<Workspace> workspace = impl_->workspaces.take();
  const PostProcessor& around = impl_->post_processor;
  if (add_special) ids = around.before;
  impl_->encode(text, *workspace, ids);
  if (add_special) ids.insert(ids.end(), around.after.begin(), around.after.end());
  impl_->workspaces.give_back(std::move(workspace));
  return ids;
}

std::string Tokenizer::decode(std::span<const TokenId> ids, bool skip_special) const {
  const auto is_skipped = [&](TokenId id) { return id < 0 || id >= vocab_size() || (skip_special && is_special(id)); };
  std::string text;
  if (!impl_->decoder.depends_on_place()) {
    for (const TokenId id : ids) {
      if (!is_skipped(id)) text += bytes_of(id);
    }
    return text;
  }
  std::vector<std::string> tokens;
  for (const TokenId id : ids) {
    if (!is_skipped(id)) tokens.emplace_back(impl_->spelled[static_cast<std::size_t>(id)]);
  }
  return impl_->decoder.run(std::move(tokens));
}

const std::vector<TokenId>& Tokenizer::prefix() const { return impl_->post_processor.before; }

std::optional<TokenId> Tokenizer::id_of(std::string_view token) const {
  const std::string key(token);
  const auto added = impl_->added_ids.find(key);
  if (added != impl_->added_ids.end()) return added->second;
  return impl_->bpe.vocabulary().find(token);
}

std::string_view Tokenizer::bytes_of(TokenId id) const {
  if (id < 0 || id >= vocab_size()) return {};
  return impl_->bytes[static_cast<std::size_t>(id)];
}

bool Tokenizer::is_special(TokenId id) const {
  return id >= 0 && id < vocab_size() && impl_->special[static_cast<std::size_t>(id)];
}

TokenId Tokenizer::vocab_size() const { return static_cast<TokenId>(impl_->bytes.size()); }

}  // namespace whet::tokenizer
