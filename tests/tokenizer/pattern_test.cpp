// Patterns written for Oniguruma: rewritten where PCRE2 would read them otherwise, refused where no equal is known.
#include "tokenizer/pattern.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace whet::tokenizer {
namespace {

std::vector<std::string> matches(std::string_view regex, std::string_view text) {
  const Pattern pattern(regex, "test");
  MatchScratch scratch;
  std::vector<std::string> found;
  std::size_t from = 0;
  while (const std::optional<Match> match = pattern.find(text, from, scratch)) {
    found.emplace_back(text.substr(match->begin, match->end - match->begin));
    if (match->end == from) break;
    from = match->end;
  }
  return found;
}

using testing::ElementsAre;
using testing::IsEmpty;

TEST(PatternTest, WhiteSpaceIsUnicodesWhiteSpace) {
  for (const char* space : {" ", "\t", "\n", "\v", "\f", "\r", "\u0085", "\u00a0", "\u1680", "\u2000", "\u200a",
                            "\u2028", "\u2029", "\u202f", "\u205f", "\u3000"}) {
    EXPECT_THAT(matches("\\s", space), ElementsAre(space));
    EXPECT_THAT(matches("[^\\s]", space), IsEmpty());
    EXPECT_THAT(matches("\\S", space), IsEmpty());
  }
  for (const char* other : {"\u180e", "\u200b", "\u2060", "\ufeff", "\u001c", "a"}) {
    EXPECT_THAT(matches("\\s", other), IsEmpty());
    EXPECT_THAT(matches("\\S", other), ElementsAre(other));
  }
}

TEST(PatternTest, AScriptIsItsOwnCharactersOnly) {
  // U+3001 is used with Han but belongs to no script.
  EXPECT_THAT(matches("\\p{Han}+", "世界、"), ElementsAre("世界"));
  EXPECT_THAT(matches("\\p{^L}+", "ab12"), ElementsAre("12"));
  EXPECT_THAT(matches("\\P{^L}+", "ab12"), ElementsAre("ab"));
}

TEST(PatternTest, LettersNumbersAndCaseAreUnicodes) {
  EXPECT_THAT(matches("\\p{L}+|\\p{N}+", "añ世Ⅷ½٣"), ElementsAre("añ世", "Ⅷ½٣"));
  EXPECT_THAT(matches("(?i:'ll|'s)", "'LL'S'ſ"), ElementsAre("'LL", "'S", "'ſ"));
  EXPECT_THAT(matches("\\w+", "é_1\u0301-"), ElementsAre("é_1\u0301"));
  EXPECT_THAT(matches("[\\w]+", "é_1\u0301-"), ElementsAre("é_1\u0301"));
  EXPECT_THAT(matches("\\u0061\\x62\\x{4e16}", "ab世"), ElementsAre("ab世"));
}

TEST(PatternTest, LookAroundSeesTheEndOfTheText) {
  EXPECT_THAT(matches("\\s+(?!\\S)|\\s+", "  x  "), ElementsAre(" ", " ", "  "));
  EXPECT_THAT(matches("\\s+$", "a  \nb "), ElementsAre("  ", " "));
}

TEST(PatternTest, ALiteralMatchesItself) {
  const std::string text("a.b*(c)[d]\\e{2}^$|+?-\n\0z é", 27);
  EXPECT_THAT(matches(literal_regex(text), text), ElementsAre(text));
}

TEST(PatternTest, MatchesALongRunWithoutRunningOutOfStack) {
  const std::string run(3'000'000, 'a');
  EXPECT_THAT(matches("(?:a|b)+", run), ElementsAre(run));
}

TEST(PatternTest, RefusesWhatMayMeanSomethingElse) {
  for (const char* regex :
       {"(?<name>a)",    "(?#x)",   "(?m:a)", "a{1,2}+", "[a[bc]]", "[a&&b]", "[^\\S]", "[]a]",
        "\\b",           "\\A",     "\\1",    "\\R",     "\\X",     "\\h",    "\\pL",   "\\p{Script=Han}",
        "\\p{Nonsense}", "\\x{zz}", "\\u12",  "(a",      "a)",      "*",      "[a",     "\\"}) {
    try {
      const Pattern pattern(regex, "place");
      ADD_FAILURE() << regex;
    } catch (const base::UserError& error) {
      EXPECT_THAT(error.what(), testing::HasSubstr(regex));
      EXPECT_THAT(error.what(), testing::HasSubstr("[place]"));
    }
  }
}

}  // namespace
}  // namespace whet::tokenizer
