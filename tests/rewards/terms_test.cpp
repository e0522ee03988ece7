// Weighted sums of rewards, as text.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "rewards/reward.h"

namespace whet::rewards {
namespace {

std::string show(std::string_view text) {
  std::string result;
  for (const Term& term : parse_terms(text)) result += fmt::format("{}*{};", term.weight, term.name);
  return result;
}

TEST(ParseTerms, ReadsNamesAndWeights) {
  EXPECT_EQ(show("majority-vote"), "1*majority-vote;");
  EXPECT_EQ(show("majority-vote + 0.5*format"), "1*majority-vote;0.5*format;");
  EXPECT_EQ(show(" 2*self-certainty+ .25 * random - 1e-2*length "), "2*self-certainty;0.25*random;-0.01*length;");
  EXPECT_EQ(show("-token-entropy"), "-1*token-entropy;");
}

TEST(ParseTerms, NamesWhatItCannotRead) {
  const std::vector<std::pair<const char*, const char*>> cases{
      {"", "want the name of a reward at character 1"},
      {"majority-vote +", "want the name of a reward"},
      {"majority-vote format", "want '+' or '-' at character 15"},
      {"0.5 format", "want '*' after a weight at character 5"},
      {"0*format", "want a weight other than 0"},
      {"1e999*format", "want a weight other than 0"},
      {"majority-vote + 2*majority-vote", "want majority-vote once"},
      {"majority-vote-format", "unknown reward 'majority-vote-format'"},
      {"Majority", "want the name of a reward"},
      {"inf*format", "want '+' or '-' at character 4"},
  };
  for (const auto& [text, wanted] : cases) {
    try {
      parse_terms(text);
      ADD_FAILURE() << "read '" << text << "'";
    } catch (const base::UserError& error) {
      EXPECT_THAT(error.what(), testing::HasSubstr(wanted)) << text;
    }
  }
}

TEST(RequireRead, RefusesEachOptionThatNoTermReadsAndTakesItWhereOneDoes) {
  const base::Json defaults = base::fields_to_json(RewardOptions{});
  std::set<std::string> known;
  for (const auto& [name, value] : defaults.items()) {
    known.insert(name);
    base::Json changed = defaults;
    changed[name] = value.get<double>() == 0 ? 1 : 0;
    RewardOptions options;
    base::fields_from_json(options, changed, "test");
    std::string reader;
    for (const auto& [reward, entry] : rewards()) {
      if (std::count(entry.options.begin(), entry.options.end(), name) > 0) reader = reward;
    }
    ASSERT_NE(reader, "") << name << " is read by no reward";
    const std::vector<Term> without{{1, "majority-vote"}}, with{{1, "majority-vote"}, {0.5, reader}};
    EXPECT_NO_THROW(require_read(options, with)) << name;
    try {
      require_read(options, without);
      FAIL() << name << " was not refused";
    } catch (const base::UserError& error) {
      EXPECT_NE(std::string(error.what()).find(name), std::string::npos) << error.what();
      EXPECT_NE(std::string(error.what()).find(reader), std::string::npos) << error.what();
    }
  }
  for (const auto& [reward, entry] : rewards()) {
    for (const std::string& name : entry.options) EXPECT_TRUE(known.count(name)) << reward << " reads " << name;
  }
  EXPECT_NO_THROW(require_read({}, std::vector<Term>{{1, "majority-vote"}}));
}

}  // namespace
}  // namespace whet::rewards
