// The sequential test of a majority: its bounds and error rates against exact fractions, and every path counted out.
#include "analysis/probe.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"

namespace whet::analysis {
namespace {

base::Json golden() {
  const std::string path = WHET_SOURCE_DIR "/tests/golden/probe.json";
  return base::parse_json(base::read_file(path), path);
}

TEST(SequentialProbe, BoundsAndErrorRatesAreThoseOfExactFractions) {
  for (const base::Json& wanted : golden().at("cases")) {
    const SequentialProbe probe(wanted.at("most").get<int>(), wanted.at("confidence").get<double>());
    for (int n = 1; n <= probe.most(); ++n)
      EXPECT_EQ(probe.bound(n), wanted.at("bound")[static_cast<std::size_t>(n)]) << n;
    for (const base::Json& at : wanted.at("outlooks")) {
      const auto outlook = probe.outlook(at.at("p").get<double>());
      EXPECT_NEAR(outlook.aligned, at.at("aligned").get<double>(), 1e-12);
      EXPECT_NEAR(outlook.misaligned, at.at("misaligned").get<double>(), 1e-12);
      EXPECT_NEAR(outlook.mean_asked, at.at("asked").get<double>(), 1e-10);
      EXPECT_NEAR(outlook.aligned + outlook.misaligned + outlook.cannot_tell, 1, 1e-12);
    }
  }
}

/// What update() does on every one of the 2^most sequences, each with its probability.
TEST(SequentialProbe, ItsOutlookIsWhatItDoesOnEverySequence) {
  constexpr int kMost = 12;
  const SequentialProbe fresh(kMost, 0.9);
  for (const double p : {0.2, 0.5, 0.65}) {
    SequentialProbe::Outlook counted;
    for (unsigned sequence = 0; sequence < 1u << kMost; ++sequence) {
      SequentialProbe probe = fresh;
      double chance = 1;
      for (int i = 0; i < kMost; ++i) {
        const bool right = sequence >> i & 1u;
        chance *= right ? p : 1 - p;
        probe.update(right);
      }
      counted.aligned += probe.verdict() == ProbeVerdict::kAligned ? chance : 0;
      counted.misaligned += probe.verdict() == ProbeVerdict::kMisaligned ? chance : 0;
      counted.cannot_tell += probe.verdict() == ProbeVerdict::kCannotTell ? chance : 0;
      counted.mean_asked += chance * probe.asked();
    }
    const auto outlook = fresh.outlook(p);
    EXPECT_NEAR(outlook.aligned, counted.aligned, 1e-12) << p;
    EXPECT_NEAR(outlook.misaligned, counted.misaligned, 1e-12) << p;
    EXPECT_NEAR(outlook.cannot_tell, counted.cannot_tell, 1e-12) << p;
    EXPECT_NEAR(outlook.mean_asked, counted.mean_asked, 1e-11) << p;
  }
}

TEST(SequentialProbe, AFalseVerdictIsAsRareAsStatedWhateverTheShare) {
  for (const int most : {1, 4, 16, 40, 64, 200}) {
    for (const double confidence : {0.8, 0.95, 0.999}) {
      const SequentialProbe probe(most, confidence);
      for (double p = 0; p <= 0.5; p += 0.01) {
        EXPECT_LE(probe.outlook(p).aligned, 1 - confidence + 1e-12) << most << " " << confidence << " " << p;
        EXPECT_NEAR(probe.outlook(p).aligned, probe.outlook(1 - p).misaligned, 1e-12);
      }
    }
  }
}

TEST(SequentialProbe, StopsAtTheFirstProblemThatSettlesItAndKeepsItsWord) {
  SequentialProbe probe(64);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(probe.update(false), ProbeVerdict::kAsking);
  EXPECT_EQ(probe.update(false), ProbeVerdict::kMisaligned);
  for (int i = 0; i < 50; ++i) EXPECT_EQ(probe.update(true), ProbeVerdict::kMisaligned);
  EXPECT_EQ(probe.asked(), 6);
  EXPECT_EQ(probe.right(), 0);
  EXPECT_EQ(probe.describe(),
            "misaligned: its majority is right on 0 of 6 probe problems, so it is wrong on most, at 95 % "
            "confidence");
}

TEST(SequentialProbe, SaysThatItCannotTellWhenTheProblemsAreUsedUp) {
  SequentialProbe probe(16);
  for (int i = 0; i < 15; ++i) EXPECT_EQ(probe.update(i % 2 == 0), ProbeVerdict::kAsking) << i;
  EXPECT_EQ(probe.update(false), ProbeVerdict::kCannotTell);
  EXPECT_EQ(probe.right(), 8);
  // Wilson's interval of 8 in 16.
  EXPECT_NE(probe.describe().find(
                "cannot tell after 16: its majority is right on 8 of 16 probe problems, a share of 0.28 to 0.72"),
            std::string::npos)
      << probe.describe();
}

TEST(SequentialProbe, TooFewProblemsForAConfidenceNeverGiveAVerdict) {
  const auto outlook = SequentialProbe(3, 0.95).outlook(0.0);
  EXPECT_EQ(outlook.cannot_tell, 1);
  EXPECT_EQ(outlook.mean_asked, 3);
}

TEST(SequentialProbe, RefusesWhatIsNoTest) {
  EXPECT_THROW(SequentialProbe(0), base::UserError);
  EXPECT_THROW(SequentialProbe(SequentialProbe::kMostProblems + 1), base::UserError);
  EXPECT_THROW(SequentialProbe(16, 0.5), base::UserError);
  EXPECT_THROW(SequentialProbe(16, 1), base::UserError);
  EXPECT_THROW(SequentialProbe(16, std::nan("")), base::UserError);
  EXPECT_THROW(SequentialProbe(16).outlook(1.5), base::UserError);
}

TEST(MajorityChange, IsTheExactSignTestOverWhatChanged) {
  for (const base::Json& wanted : golden().at("changes")) {
    const int lost = wanted.at("lost").get<int>(), won = wanted.at("won").get<int>();
    std::vector<bool> before{true, false}, now{true, false};
    for (int i = 0; i < lost; ++i) {
      before.push_back(true);
      now.push_back(false);
    }
    for (int i = 0; i < won; ++i) {
      before.push_back(false);
      now.push_back(true);
    }
    const MajorityChange change = majority_change(before, now);
    EXPECT_EQ(change.lost, lost);
    EXPECT_EQ(change.won, won);
    EXPECT_EQ(change.problems, lost + won + 2);
    EXPECT_EQ(change.right_before, lost + 1);
    EXPECT_EQ(change.right_now, won + 1);
    EXPECT_NEAR(change.chance, wanted.at("chance").get<double>(), 1e-12) << lost << " " << won;
  }
  EXPECT_THROW(majority_change({}, {}), base::UserError);
  EXPECT_THROW(majority_change({true}, {true, false}), base::UserError);
}

}  // namespace
}  // namespace whet::analysis
