// Patterns written for Oniguruma: rewritten where PCRE2 would read them otherwise, refused where no equal is known.
#include "tokenizer/pattern.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace whet::tokenizer {
namespace {

std::vector<std::string> matches_of(const Pattern& pattern, std::string_view text) {
  MatchScratch scratch;
  std::vector<Match> all;
  pattern.find_all(text, scratch, all);
  std::vector<std::string> found;
  for (const Match& match : all) found.emplace_back(text.substr(match.begin, match.end - match.begin));
  return found;
}

std::vector<std::string> matches(std::string_view regex, std::string_view text) {
  return matches_of(Pattern(regex, "test"), text);
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
  EXPECT_THAT(matches("^.", "ab\ncd\n\n"), ElementsAre("a", "c"));
  EXPECT_THAT(matches("\\b\\w", "ab cd-éf"), ElementsAre("a", "c", "é"));
}

TEST(PatternTest, ClassesNestIntersectAndNegate) {
  EXPECT_THAT(matches("[a[b-d]]+", "xabcde"), ElementsAre("abcd"));
  EXPECT_THAT(matches("[\\p{L}&&[^aeiou]]+", "tone7"), ElementsAre("t", "n"));
  EXPECT_THAT(matches("[^\\S\\n]+", "a \t\nb"), ElementsAre(" \t"));
  EXPECT_THAT(matches("[a-]+", "-a-b"), ElementsAre("-a-"));
}

TEST(PatternTest, AnOptionHoldsToTheEndOfItsGroup) {
  EXPECT_THAT(matches("a(?i)b|c", "aB C aC ac"), ElementsAre("aB", "aC", "ac"));
  EXPECT_THAT(matches("(?:x(?i)y)z", "xYz xYZ"), ElementsAre("xYz"));
}

TEST(PatternTest, AnEmptyMatchIsNotMadeWhereAnotherEnds) {
  EXPECT_THAT(matches("a*", "baac"), ElementsAre("", "aa", ""));
  EXPECT_THAT(matches("(?=é)", "éaé"), ElementsAre("", ""));
}

TEST(PatternTest, ALiteralMatchesItself) {
  const std::string text("a.b*(c)[d]\\e{2}^$|+?-\n\0z é", 27);
  EXPECT_THAT(matches_of(Pattern(literal_regex(text), text, "test"), "x" + text), ElementsAre(text));
}

TEST(PatternTest, MatchesALongRunWithoutRunningOutOfStack) {
  const std::string run(3'000'000, 'a');
  EXPECT_THAT(matches("(?:a|b)+", run), ElementsAre(run));
}

TEST(PatternTest, RefusesWhatMayMeanSomethingElse) {
  for (const char* regex : {"(?<name>a)",
                            "(?#x)",
                            "(?m:a)",
                            "a{1,2}+",
                            "a{2}?",
                            "[[:alpha:]]",
                            "[]a]",
                            "\\G",
                            "\\Z",
                            "\\1",
                            "\\R",
                            "\\X",
                            "\\K",
                            "\\pL",
                            "\\p{Script=Han}",
                            "(?i:ss)",
                            "(?i:é)",
                            "(?i:\\s)",
                            "a**",
                            "(?i:[^a])",
                            "[a-\\d]",
                            "[b-a]",
                            "\\p{Nonsense}",
                            "\\x{zz}",
                            "\\u12",
                            "(a",
                            "a)",
                            "*",
                            "[a",
                            "\\"}) {
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
