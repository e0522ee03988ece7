#include "tokenizer/tokenizer.h"

#include <algorithm>
#include <mutex>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "tokenizer/added_tokens.h"
#include "tokenizer/bpe.h"
#include "tokenizer/byte_level.h"
#include "tokenizer/json_fields.h"
#include "tokenizer/normalizer.h"
#include "tokenizer/pre_tokenizer.h"
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

json read_tokenizer_file(const std::string& file) {
  const std::string text = base::read_file(file);
  try {
    json content = json::parse(text);
    if (!content.is_object()) user_error(file, "not a JSON object");
    return content;
  } catch (const json::parse_error& error) {
    user_error(file, "not JSON at byte {}", error.byte);
  } catch (const json::out_of_range&) {
    user_error(file, "not JSON that can be read: a number is too large");
  }
}

std::vector<AddedToken> read_added_tokens(const json& content, const Bpe& bpe, const std::string& where) {
  std::vector<AddedToken> tokens;
  const json* list = optional_field(content, "added_tokens");
  if (list == nullptr) return tokens;
  if (!list->is_array()) user_error(where, "not a list");
  std::set<std::string> contents;
  // The format's own library does not believe a file's ids: a token that the vocabulary lacks is numbered on from the
  // vocabulary's size. Where a file says otherwise, two readers would disagree about what a token is.
  auto next_id = static_cast<TokenId>(bpe.vocabulary().size());
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
    const TokenId expected = entry == bpe.vocabulary().end() ? next_id : entry->second;
    if (token.id != expected) {
      user_error(where, "'{}' has id {}, want {} ({})", token.content, token.id, expected,
                 entry == bpe.vocabulary().end() ? "the next after the vocabulary" : "as in the vocabulary");
    }
    next_id = std::max(next_id, token.id + 1);
    if (!contents.insert(token.content).second) user_error(where, "'{}' is listed twice", token.content);
    token.special = flag(node, "special", false, where);
    token.normalized = flag(node, "normalized", !token.special, where);
    token.single_word = flag(node, "single_word", false, where);
    token.lstrip = flag(node, "lstrip", false, where);
    token.rstrip = flag(node, "rstrip", false, where);
    tokens.push_back(std::move(token));
  }
  return tokens;
}

void check_decoder(const json& content, const std::string& where) {
  const std::string type = type_of(content.value("decoder", json()), where);
  if (type != "ByteLevel") user_error(where, "type {} is not supported, want ByteLevel", type);
}

/// What it would put around a text is never added here (prompts bring their own tokens), but a kind that this program
/// does not know may do more than that.
void check_post_processor(const json& node, const std::string& where) {
  const std::string type = type_of(node, where);
  if (type == "Sequence") {
    const json& parts = require(node, "processors", where);
    if (!parts.is_array()) user_error(where, "processors is not a list");
    for (const json& part : parts) check_post_processor(part, where);
  } else if (type != "null" && type != "ByteLevel" && type != "TemplateProcessing") {
    user_error(where, "type {} is not supported, want null, ByteLevel or TemplateProcessing", type);
  }
}

}  // namespace

struct Tokenizer::Impl {
  Bpe bpe;
  Normalizer normalizer;
  PreTokenizer pre_tokenizer;
  std::vector<AddedToken> added;
  AddedTokenSearch raw_search;         ///< for added tokens in the text as given
  AddedTokenSearch normalized_search;  ///< for those in the normalised text
  std::unordered_map<std::string, TokenId> added_ids;
  std::vector<std::string> bytes;  ///< by id
  std::vector<bool> special;       ///< by id
  mutable Workspaces workspaces;

  Impl(const json& content, const std::string& file)
      : bpe(require(content, "model", file), file + ": model"),
        normalizer(content.value("normalizer", json()), file + ": normalizer"),
        pre_tokenizer(content.value("pre_tokenizer", json()), file + ": pre_tokenizer"),
        added(read_added_tokens(content, bpe, file + ": added_tokens")),
        raw_search(searched(false)),
        normalized_search(searched(true)) {
    check_decoder(content, file + ": decoder");
    check_post_processor(content.value("post_processor", json()), file + ": post_processor");
    for (const auto& [token, id] : bpe.vocabulary()) {
      // An entry that spells no bytes cannot come out of merging; it is a special token and stands for itself.
      set_bytes(id, unspell(token).value_or(token));
    }
    for (const AddedToken& token : added) {
      set_bytes(token.id, token.content);
      special[static_cast<std::size_t>(token.id)] = token.special;
      added_ids.emplace(token.content, token.id);
    }
  }

  std::vector<AddedToken> searched(bool normalized) const {
    std::vector<AddedToken> result;
    for (AddedToken token : added) {
      if (token.normalized != normalized) continue;
      std::string room;
      if (normalized) token.content = std::string(normalizer.run(token.content, room));
      result.push_back(std::move(token));
    }
    return result;
  }

  void set_bytes(TokenId id, std::string text) {
    const auto index = static_cast<std::size_t>(id);
    if (index >= bytes.size()) {
      bytes.resize(index + 1);
      special.resize(index + 1);
    }
    bytes[index] = std::move(text);
  }

  void encode_valid(std::string_view text, Workspace& workspace, std::vector<TokenId>& ids) const {
    const auto on_token = [&](TokenId id) { ids.push_back(id); };
    const WordSink on_word = [&](std::string_view word) { bpe.encode(word, workspace.bpe, ids); };
    const auto on_normalized = [&](std::string_view part) { pre_tokenizer.run(part, workspace.match, on_word); };
    raw_search.run(text, workspace.match, on_token, [&](std::string_view part) {
      normalized_search.run(normalizer.run(part, workspace.normalized), workspace.match, on_token, on_normalized);
    });
  }
};

Tokenizer::Tokenizer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Tokenizer::~Tokenizer() = default;
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;

Tokenizer Tokenizer::load(const fs::path& folder) {
  const std::string file = (folder / "tokenizer.json").string();
  return Tokenizer(std::make_unique<Impl>(read_tokenizer_file(file), file));
}

std::vector<TokenId> Tokenizer::encode(std::string_view text) const {
  std::vector<TokenId> ids;
  std::unique_ptr<Workspace> workspace = impl_->workspaces.take();
  while (!text.empty()) {
    const std::size_t valid = valid_utf8_prefix(text);
    if (valid > 0) impl_->encode_valid(text.substr(0, valid), *workspace, ids);
    text.remove_prefix(valid);
    if (!text.empty()) {
      impl_->bpe.encode(text.substr(0, 1), workspace->bpe, ids);
      text.remove_prefix(1);
    }
  }
  impl_->workspaces.give_back(std::move(workspace));
  return ids;
}

std::string Tokenizer::decode(std::span<const TokenId> ids, bool skip_special) const {
  std::string text;
  for (const TokenId id : ids) {
    if (!(skip_special && is_special(id))) text += bytes_of(id);
  }
  return text;
}

std::optional<TokenId> Tokenizer::id_of(std::string_view token) const {
  const std::string key(token);
  const auto added = impl_->added_ids.find(key);
  if (added != impl_->added_ids.end()) return added->second;
  const auto entry = impl_->bpe.vocabulary().find(key);
  if (entry != impl_->bpe.vocabulary().end()) return entry->second;
  return std::nullopt;
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
