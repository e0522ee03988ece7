// The tokenizer against Hugging Face's own (golden ids), against itself (round trips), and against files that lie.
#include "tokenizer/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/error.h"
#include "base/file.h"
#include "base/random.h"

namespace whet::tokenizer {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

fs::path golden(const std::string& name) { return fs::path(WHET_SOURCE_DIR) / "tests/golden" / name; }

class TokenizerTest : public testing::Test {
 protected:
  TokenizerTest() {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = fs::path(testing::TempDir()) / (std::string("whet-") + info->test_suite_name() + "-" + info->name());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  ~TokenizerTest() override { fs::remove_all(folder_); }

  Tokenizer load_text(const std::string& text) {
    std::ofstream(folder_ / "tokenizer.json", std::ios::trunc) << text;
    return Tokenizer::load(folder_);
  }

  Tokenizer load_patched(const std::string& name, const json& patch) {
    json content = json::parse(base::read_file(golden(name) / "tokenizer.json"));
    content.merge_patch(patch);
    return load_text(content.dump());
  }

  /// The message of the UserError that a changed golden file is refused with.
  std::string refusal(const std::function<void(json&)>& change) {
    json content = json::parse(base::read_file(golden("bpe_gpt2") / "tokenizer.json"));
    change(content);
    try {
      load_text(content.dump());
    } catch (const base::UserError& error) {
      return error.what();
    }
    return "";
  }

  fs::path folder_;
};

std::string random_bytes(base::Random& random, std::size_t length) {
  static const std::vector<std::string> pieces = {"a",
                                                  "the",
                                                  " ",
                                                  "\n",
                                                  "1",
                                                  "é",
                                                  "e\xCC\x81",
                                                  "世",
                                                  "\xF0\x9F\x91\x8D",
                                                  "'s",
                                                  "\xFF",
                                                  "\xC3",
                                                  "\xE4\xB8",
                                                  "<|endoftext|>",
                                                  "\xED\xA0\x80",
                                                  "\xC0\x80"};
  std::string text;
  while (text.size() < length) {
    text += random.below(3) == 0 ? std::string(1, static_cast<char>(random.below(256))) : random.pick(pieces);
  }
  return text;
}

TEST_F(TokenizerTest, GivesTheIdsOfHuggingFaceTokenizers) {
  const json golden_cases = json::parse(base::read_file(golden("tokenizer_cases.json")));
  const std::vector<std::string> texts = golden_cases["texts"];
  std::map<std::string, std::vector<std::vector<TokenId>>> unpatched;
  for (const json& one : golden_cases["cases"]) {
    const std::string name = one["tokenizer"];
    // A patched case lists only what the patch changes.
    std::vector<std::vector<TokenId>> expected;
    if (one["ids"].is_array()) {
      expected = unpatched[name] = one["ids"].get<std::vector<std::vector<TokenId>>>();
    } else {
      expected = unpatched[name];
      for (const auto& [index, ids] : one["ids"].items())
        expected.at(std::stoul(index)) = ids.get<std::vector<TokenId>>();
    }
    ASSERT_EQ(expected.size(), texts.size());
    const Tokenizer tokenizer = load_patched(name, one["patch"]);
    for (std::size_t i = 0; i < texts.size(); ++i) {
      EXPECT_EQ(tokenizer.encode(texts[i]), expected[i]) << name << " " << one["patch"].dump() << "\n"
                                                         << json(texts[i]).dump();
    }
  }
}

TEST_F(TokenizerTest, DoesEachPartAsHuggingFaceTokenizersDoes) {
  const json golden_cases = json::parse(base::read_file(golden("tokenizer_parts.json")));
  const std::vector<std::string> texts = golden_cases["texts"];
  ASSERT_GT(golden_cases["cases"].size(), 40u);
  for (const json& one : golden_cases["cases"]) {
    const std::string patch = one["patch"].dump();
    const Tokenizer tokenizer = load_patched(one["tokenizer"], one["patch"]);
    ASSERT_EQ(one["ids"].size(), texts.size());
    for (std::size_t i = 0; i < texts.size(); ++i) {
      const std::vector<TokenId> ids = tokenizer.encode(texts[i]);
      EXPECT_EQ(ids, one["ids"][i].get<std::vector<TokenId>>()) << patch << "\n" << json(texts[i]).dump();
      const std::string back = one["decoded"].value(std::to_string(i), texts[i]);
      // Bytes that are no text stay here, and are U+FFFD there.
      if (back.find("\uFFFD") == std::string::npos) {
        EXPECT_EQ(tokenizer.decode(ids), back) << patch << "\n" << json(texts[i]).dump();
      }
      std::vector<TokenId> around = one["around"];
      if (!around.empty()) around.insert(around.begin() + 1, ids.begin(), ids.end());
      EXPECT_EQ(tokenizer.encode(texts[i], /*add_special=*/true), around.empty() ? ids : around) << patch;
    }
  }
}

TEST_F(TokenizerTest, ReplacesWhatIsNotUtf8WhereTheVocabularyIsNotOneOfBytes) {
  const Tokenizer tokenizer = Tokenizer::load(golden("bpe_bytes"));
  const std::string replacement = "\uFFFD";
  for (const auto& [broken, mended] : std::vector<std::pair<std::string, std::string>>{
           {"a\xFF", "a" + replacement},
           {"\xE4\xB8", replacement},
           {"\xE4\xB8z", replacement + "z"},
           {"\xED\xA0\x80", replacement + replacement + replacement},
           {"\xF0\x9F\x91 \xC0\x80", replacement + " " + replacement + replacement},
           {"\xF4\x90\x80\x80", replacement + replacement + replacement + replacement}}) {
    EXPECT_EQ(tokenizer.encode(broken), tokenizer.encode(mended)) << mended;
  }
}

TEST_F(TokenizerTest, DecodesAnyBytesThatItEncoded) {
  const Tokenizer tokenizer = Tokenizer::load(golden("bpe_gpt2"));
  // Its <mask> swallows the spaces before it, and none of the pieces spell it.
  base::Random random({3, 1});
  for (int round = 0; round < 500; ++round) {
    const std::string text = random_bytes(random, random.below(60));
    EXPECT_EQ(tokenizer.decode(tokenizer.encode(text)), text)
        << json(text).dump(-1, ' ', true, json::error_handler_t::replace);
  }
  for (const std::size_t length : {1000u, 100'000u}) {
    const std::string text = random_bytes(random, length);
    EXPECT_EQ(tokenizer.decode(tokenizer.encode(text)), text);
  }
}

TEST_F(TokenizerTest, EncodesALongWordInTime) {
  const Tokenizer tokenizer = Tokenizer::load(golden("bpe_gpt2"));
  // One word of a million letters: quadratic merging would take hours.
  const std::string text(1'000'000, 'a');
  const std::vector<TokenId> ids = tokenizer.encode(text);
  EXPECT_EQ(tokenizer.decode(ids), text);
}

/// Byte-pair encoding by its definition: of all adjacent pairs, join the leftmost of the lowest rank. ASCII only.
std::vector<std::string> merge_by_definition(const std::string& word,
                                             const std::map<std::string, std::size_t>& rank_of) {
  std::vector<std::string> parts;
  for (const char c : word) parts.emplace_back(c == ' ' ? "\u0120" : std::string(1, c));
  while (true) {
    std::size_t best_rank = rank_of.size(), best = 0;
    for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
      const auto found = rank_of.find(parts[i] + ' ' + parts[i + 1]);
      if (found != rank_of.end() && found->second < best_rank) best_rank = found->second, best = i;
    }
    if (best_rank == rank_of.size()) return parts;
    parts[best] += parts[best + 1];
    parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(best) + 1);
  }
}

// More words than the cache of words holds, each met twice or more, some longer than it takes.
TEST_F(TokenizerTest, MergesAsTheDefinitionSaysWhetherOrNotAWordIsRemembered) {
  const Tokenizer tokenizer = Tokenizer::load(golden("bpe_gpt2"));
  const json model = json::parse(base::read_file(golden("bpe_gpt2") / "tokenizer.json"))["model"];
  std::map<std::string, std::size_t> rank_of;
  for (const std::string merge : model["merges"]) rank_of.emplace(merge, rank_of.size());
  base::Random random({3, 3});
  std::vector<std::string> words;
  for (int i = 0; i < 50'000; ++i) {
    std::string word = " ";
    for (std::uint64_t n = i % 100 == 0 ? 70 : random.between(1, 46); n > 0; --n)
      word += "theandrisw"[random.below(10)];
    words.push_back(word);
  }
  for (int round = 0; round < 2; ++round) {
    for (std::size_t i = 0; i < words.size(); ++i) {
      std::vector<TokenId> ids = tokenizer.encode(words[i]);
      ids = tokenizer.encode(words[i]);
      if (i % 25 != 0) continue;
      std::vector<TokenId> expected;
      for (const std::string& part : merge_by_definition(words[i], rank_of)) expected.push_back(model["vocab"][part]);
      ASSERT_EQ(ids, expected) << words[i];
    }
  }
}

TEST_F(TokenizerTest, EncodesFromSeveralThreadsAtOnce) {
  const Tokenizer tokenizer = Tokenizer::load(golden("bpe_qwen2"));
  base::Random random({3, 4});
  std::vector<std::string> texts;
  for (int i = 0; i < 200; ++i) texts.push_back(random_bytes(random, 200));
  std::vector<std::vector<TokenId>> expected;
  for (const std::string& text : texts) expected.push_back(tokenizer.encode(text));
  std::vector<int> mistakes(4);
  std::vector<std::thread> threads;
  for (int& count : mistakes) {
    threads.emplace_back([&] {
      for (std::size_t i = 0; i < texts.size(); ++i) count += tokenizer.encode(texts[i]) != expected[i];
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(mistakes, ElementsAre(0, 0, 0, 0));
}

TEST_F(TokenizerTest, KnowsItsTokens) {
  const Tokenizer tokenizer = Tokenizer::load(golden("bpe_qwen2"));
  const TokenId end = tokenizer.id_of("<|endoftext|>").value();
  EXPECT_EQ(end, 0);
  EXPECT_TRUE(tokenizer.is_special(end));
  EXPECT_EQ(tokenizer.bytes_of(end), "<|endoftext|>");
  const TokenId the = tokenizer.id_of("\u0120the").value();
  EXPECT_EQ(tokenizer.bytes_of(the), " the");
  EXPECT_FALSE(tokenizer.is_special(the));
  EXPECT_EQ(tokenizer.id_of(" the"), std::nullopt);
  const TokenId think = tokenizer.id_of("<think>").value();
  EXPECT_FALSE(tokenizer.is_special(think));
  EXPECT_EQ(tokenizer.vocab_size(), 408);
  EXPECT_EQ(tokenizer.decode(std::vector<TokenId>{the, end, 4000, -1, the}), " the<|endoftext|> the");
  EXPECT_EQ(tokenizer.decode(std::vector<TokenId>{the, end, think}, true), " the<think>");
  EXPECT_EQ(tokenizer.bytes_of(-1), "");
  EXPECT_FALSE(tokenizer.is_special(4000));
}

TEST_F(TokenizerTest, RefusesByNameWhatItDoesNotDo) {
  const std::vector<std::pair<std::function<void(json&)>, const char*>> faults = {
      {[](json& j) { j["model"]["type"] = "Unigram"; }, "model] type Unigram is not supported, want BPE"},
      {[](json& j) { j.erase("model"); }, "model is missing"},
      {[](json& j) { j["model"]["dropout"] = 0.1; }, "dropout = 0.1"},
      {[](json& j) { j["model"]["end_of_word_suffix"] = "</w>"; }, "end_of_word_suffix = \"</w>\""},
      {[](json& j) { j["model"]["continuing_subword_prefix"] = "##"; }, "continuing_subword_prefix = \"##\""},
      {[](json& j) { j["model"]["vocab"] = json::object(); }, "vocab is empty"},
      {[](json& j) { j["model"]["vocab"]["!"] = 2; }, "vocab gives id 2 twice"},
      {[](json& j) { j["model"]["vocab"]["!"] = -2; }, "vocab '!' has id -2"},
      {[](json& j) { j["model"]["vocab"]["!"] = 1e9; }, "vocab '!' has id 1000000000.0"},
      {[](json& j) { j["model"]["merges"] = "x"; }, "merges is not a list"},
      {[](json& j) { j["model"]["merges"][0] = "a b c"; }, "merge 0 is 'a b c', want two tokens"},
      {[](json& j) { j["model"]["merges"][1] = "ab"; }, "merge 1 is 'ab', want two tokens"},
      {[](json& j) { j["model"]["merges"][1] = {"a"}; }, "merge 1 is [\"a\"], want two tokens"},
      {[](json& j) { j["model"]["merges"][2] = {"a", "qqq"}; }, "merge 2 needs the token 'qqq', which vocab lacks"},
      {[](json& j) { j["model"]["merges"][2] = {"z", "q"}; }, "merge 2 needs the token 'zq'"},
      {[](json& j) { j["pre_tokenizer"] = nullptr, j["model"]["unk_token"] = "<unk>"; },
       "unk_token = \"<unk>\", which"},
      {[](json& j) { j["model"]["vocab"].erase("!"), j["model"]["byte_fallback"] = true; }, "byte_fallback = true"},
      {[](json& j) { j["model"]["vocab"].erase("!"), j["model"]["unk_token"] = "<unk>"; }, "unk_token = \"<unk>\""},
      {[](json& j) { j["normalizer"] = {{"type", "Lowercase"}}; }, "normalizer] type Lowercase is not supported"},
      {[](json& j) { j["pre_tokenizer"] = {{"type", "UnicodeScripts"}}; }, "pre_tokenizer] type UnicodeScripts is not"},
      {[](json& j) { j["pre_tokenizer"] = {{"type", "Metaspace"}}; }, "pre_tokenizer] replacement is missing"},
      {[](json& j) { j["pre_tokenizer"] = {{"type", "Metaspace"}, {"replacement", "__"}}; },
       "replacement = '__', want one character"},
      {[](json& j) {
         j["pre_tokenizer"] = {{"type", "Sequence"},
                               {"pretokenizers", {{{"type", "ByteLevel"}}, {{"type", "Digits"}}}}};
       },
       "Digits after ByteLevel is not supported"},
      {[](json& j) { j["decoder"] = nullptr; }, "decoder] type null is not supported"},
      {[](json& j) { j["decoder"]["type"] = "WordPiece"; }, "decoder] type WordPiece is not supported"},
      {[](json& j) { j["post_processor"] = {{"type", "BertProcessing"}}; }, "post_processor] type BertProcessing"},
      {[](json& j) { j["added_tokens"][0]["id"] = 7; },
       "added_tokens] '<|endoftext|>' has id 7, want 0 (as in the vocabulary)"},
      {[](json& j) { j["added_tokens"][1]["id"] = 900; }, "added_tokens] '<mask>' has id 900, want 400"},
      {[](json& j) { j["added_tokens"][1]["content"] = ""; }, "added_tokens] content \"\", want a text"},
      {[](json& j) { j["added_tokens"][1]["lstrip"] = 1; }, "lstrip = 1, want true or false"},
      {[](json& j) { j["added_tokens"] = 3; }, "added_tokens] not a list"},
  };
  for (const auto& [change, message] : faults) {
    EXPECT_THAT(refusal(change), testing::AllOf(HasSubstr(message), HasSubstr("tokenizer.json")));
  }
  EXPECT_EQ(refusal([](json& j) { j["model"]["unk_token"] = "<|endoftext|>"; }), "") << "every byte has a token";
  EXPECT_THROW(load_text("[]"), base::UserError);
  EXPECT_THROW(load_text("{\"model\": 1e999}"), base::UserError);
  EXPECT_THROW(Tokenizer::load(folder_ / "absent"), base::UserError);
}

// A damaged file is refused with a UserError or gives a tokenizer that works; nothing else.
TEST_F(TokenizerTest, SurvivesRandomDamage) {
  const std::string original = base::read_file(golden("bpe_qwen2") / "tokenizer.json");
  base::Random random({3, 5});
  int refused = 0;
  for (int round = 0; round < 500; ++round) {
    std::string text = original;
    for (std::uint64_t edits = random.between(1, 3); edits > 0; --edits) {
      const std::size_t at = random.below(round % 2 == 0 ? 1500 : text.size());
      switch (random.below(3)) {
        case 0:
          text[at] = static_cast<char>(' ' + random.below(95));
          break;
        case 1:
          text.erase(at, random.between(1, 20));
          break;
        default:
          text.insert(at, 1, "\"{}[],:0\\"[random.below(9)]);
          break;
      }
    }
    try {
      load_text(text).encode("The answer, it's 42.\n\n  Grüße <mask> e\u0301");
    } catch (const base::UserError&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 250);
}

TEST_F(TokenizerTest, WritesACharacterVocabulary) {
  write_character_tokenizer(folder_, "0123456789+= \n");
  const Tokenizer tokenizer = Tokenizer::load(folder_);
  EXPECT_EQ(tokenizer.vocab_size(), 15);
  EXPECT_EQ(tokenizer.id_of("<|endoftext|>"), 0);
  EXPECT_THAT(tokenizer.encode("12+3= \n<|endoftext|>0"), ElementsAre(2, 3, 11, 4, 12, 13, 14, 0, 1));
  EXPECT_EQ(tokenizer.decode(std::vector<TokenId>{2, 3, 11, 4, 12, 13, 14, 0, 1}), "12+3= \n<|endoftext|>0");
  try {
    tokenizer.encode("1-2");
    ADD_FAILURE() << "'-' has no token";
  } catch (const base::UserError& error) {
    EXPECT_THAT(error.what(), HasSubstr("byte 0x2D ('-') of the text has no token in the vocabulary of 15"));
  }
  EXPECT_THROW(write_character_tokenizer(folder_, "00"), base::UserError);
  EXPECT_THROW(write_character_tokenizer(folder_, "é"), base::UserError);
}

}  // namespace
}  // namespace whet::tokenizer
