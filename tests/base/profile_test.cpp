// Spans: whose time is whose, and the trace that they leave.
#include "base/profile.h"

#include <gtest/gtest.h>

#include <thread>

#include "base/clock.h"
#include "base/error.h"
#include "tests/store/temp_folder.h"

namespace whet::base {
namespace {

namespace fs = std::filesystem;

void wait(int milliseconds) { std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds)); }

TEST(Profile, GivesTheTimeOfAnInnerSpanToItsOwnPhaseOnly) {
  Profile profile;
  const Stopwatch watch;
  {
    Span step(&profile, Phase::kOther);
    Span reward(&profile, Phase::kReward);
    wait(2);
    Span forward(&profile, Phase::kForward);
    forward.add({100, 10});
    forward.add({1, 2});
    wait(20);
  }
  const double elapsed = watch.seconds();
  const Costs costs = profile.take();
  const double forward = of(costs, Phase::kForward).seconds, reward = of(costs, Phase::kReward).seconds;
  EXPECT_GE(forward, 0.020);
  EXPECT_GE(reward, 0.002);
  EXPECT_LE(forward + reward + of(costs, Phase::kOther).seconds, elapsed);
  EXPECT_EQ(of(costs, Phase::kForward).work.flops, 101);
  EXPECT_EQ(of(costs, Phase::kForward).work.bytes, 12);
  EXPECT_EQ(of(costs, Phase::kReward).work.flops, 0);
}

TEST(Profile, ChargesWhateverHappensWithinAnEvaluationToIt) {
  Profile profile;
  {
    Span evaluation(&profile, Phase::kEvaluation);
    Span reward(&profile, Phase::kReward);
    Span decode(&profile, Phase::kDecode);
    decode.add({7, 5});
  }
  {
    Span decode(&profile, Phase::kDecode);
  }
  const Costs costs = profile.take();
  EXPECT_EQ(of(costs, Phase::kEvaluation).work.flops, 7);
  EXPECT_EQ(of(costs, Phase::kEvaluation).spans, 3);
  EXPECT_EQ(of(costs, Phase::kDecode).spans, 1);
  EXPECT_EQ(of(costs, Phase::kDecode).work.flops, 0);
  EXPECT_EQ(of(costs, Phase::kReward).spans, 0);
}

TEST(Profile, BeginsAgainAfterEachTaking) {
  Profile profile;
  {
    Span span(&profile, Phase::kIo);
  }
  EXPECT_EQ(of(profile.take(), Phase::kIo).spans, 1);
  const Costs costs = profile.take();
  EXPECT_EQ(of(costs, Phase::kIo).spans, 0);
  EXPECT_EQ(costs_json(costs), Json::object());
}

TEST(Profile, MeasuresNothingWithoutAnAccount) {
  Span span(nullptr, Phase::kIo);
  span.add({1, 1});
}

TEST(Profile, LeavesATraceOfCompleteEventsNestedInEachOther) {
  const store::TempFolder folder;
  const fs::path file = folder.path() / "trace.json";
  {
    Profile profile;
    profile.start_trace(file, "a test");
    for (int step = 0; step < 3; ++step) {
      Span outer(&profile, Phase::kOther, "step");
      for (int i = 0; i < 2; ++i) {
        Span inner(&profile, Phase::kDecode);
        inner.add({2e9, 1e6});
      }
      profile.flush_trace();
    }
    profile.close_trace();
  }
  const Json events = read_json_file(file);
  ASSERT_EQ(events.size(), 1 + 3 * 3u);
  EXPECT_EQ(events[0]["args"]["name"], "a test");
  for (std::size_t i = 1; i < events.size(); ++i) EXPECT_EQ(events[i]["ph"], "X");
  // In the order of their ends: two inner ones, then the outer one that holds them.
  for (std::size_t step = 0; step < 3; ++step) {
    const Json& outer = events[3 + 3 * step];
    EXPECT_EQ(outer["name"], "step");
    for (std::size_t i = 1; i <= 2; ++i) {
      const Json& inner = events[i + 3 * step];
      EXPECT_EQ(inner["name"], "decode");
      EXPECT_EQ(inner["cat"], "decode");
      EXPECT_EQ(inner["args"]["flops"], 2'000'000'000);
      EXPECT_GE(inner["ts"].get<double>(), outer["ts"].get<double>());
      EXPECT_LE(inner["ts"].get<double>() + inner["dur"].get<double>(),
                outer["ts"].get<double>() + outer["dur"].get<double>() + 1e-6);
    }
  }
}

TEST(Profile, ReplacesAnOlderTraceAndIsWholeWithoutAClosingCall) {
  const store::TempFolder folder;
  const fs::path file = folder.path() / "trace.json";
  write_file(file, std::string(100000, 'x'));
  {
    Profile profile;
    profile.start_trace(file, "a test");
    {
      Span span(&profile, Phase::kIo);
    }
    profile.flush_trace();
    {
      Span span(&profile, Phase::kIo);
    }
  }
  EXPECT_EQ(read_json_file(file).size(), 3u);
}

TEST(Profile, WritesNothingBeforeTheFirstFlush) {
  const store::TempFolder folder;
  {
    Profile profile;
    profile.start_trace(folder.path() / "trace.json", "a test");
    Span span(&profile, Phase::kIo);
  }
  EXPECT_FALSE(fs::exists(folder.path() / "trace.json"));
}

TEST(Profile, NamesATraceThatCannotBeWritten) {
  const store::TempFolder folder;
  Profile profile;
  profile.start_trace(folder.path() / "none" / "trace.json", "a test");
  EXPECT_THROW(profile.flush_trace(), UserError);
}

}  // namespace
}  // namespace whet::base
