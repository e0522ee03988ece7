// The stage between sampling and scoring, with a fake model: who votes, what is trained on, what is refused.
#include "train/evidence.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "rewards/vote.h"
#include "tests/train/fake_model.h"
#include "train/ballots.h"
#include "train/problems.h"
#include "train/scoring.h"
#include "train/witnesses.h"

namespace whet::train {
namespace {

using rewards::Votes;
using testing::HasSubstr;

std::string digit(base::Random& random) { return "#" + std::to_string(random.below(10)); }

/// A run on a task with a fake policy, as far as the evidence goes.
struct FakeRun {
  TrainOptions options;
  std::unique_ptr<tasks::Task> task;
  TextModel policy;
  std::optional<Evidence> evidence;

  explicit FakeRun(
      TrainOptions given, Writer writer = [](const std::string&, base::Random& r) { return digit(r); })
      : options(std::move(given)),
        task(make_task(options.source)),
        policy(fake_text_model(task->alphabet(), std::move(writer))) {
    evidence.emplace(context(), Scoring(options).terms());
  }
  EvidenceContext context() { return {policy, *task, options, {}}; }

  Gathering step(std::int64_t number) {
    Gathering gathering{.seed = static_cast<std::uint64_t>(options.seed), .step = number};
    gathering.problems =
        take_problems(*task, tasks::Split::kTrain, gathering.seed, options.prompts, (number - 1) * options.prompts);
    evidence->plan(gathering);
    gathering.groups = sample_groups(*policy.model, policy.tokenizer, *task, gathering.problems, gathering.rollouts, {},
                                     gathering.stream("train"));
    evidence->gather(gathering);
    return gathering;
  }

  ScoredBatch score(const Gathering& gathering) const {
    return Scoring(options).score(gathering.groups, *task, gathering.seed, gathering.step);
  }
};

TrainOptions options_for(const std::string& reward) {
  TrainOptions options;
  options.reward = reward;
  options.prompts = 6;
  options.samples = 4;
  options.steps = 10;
  return options;
}

std::vector<const Ballot*> ballots(const Group& group, Votes voters) {
  std::vector<const Ballot*> found;
  for (const Ballot& ballot : group.ballots) {
    if (ballot.voters == voters) found.push_back(&ballot);
  }
  return found;
}

std::string error_of(const TrainOptions& options) {
  try {
    FakeRun run(options);
  } catch (const base::UserError& error) {
    return error.what();
  }
  return "accepted";
}

// ---- own votes

TEST(OwnVotes, WithoutMoreVotesThanSamplesNothingIsGathered) {
  FakeRun run(options_for("majority-vote"));
  EXPECT_TRUE(run.evidence->is_empty());
  const Gathering step = run.step(1);
  EXPECT_EQ(step.rollouts, 4);
  EXPECT_EQ(step.tokens, 0);
  for (const Group& group : step.groups) EXPECT_TRUE(group.ballots.empty());
}

TEST(OwnVotes, AllVoteAndAFewChosenAtRandomAreTrainedOn) {
  TrainOptions options = options_for("majority-vote");
  options.evidence.votes = 24;
  FakeRun run(options);
  std::map<std::size_t, int> places;  // where a trained rollout stood among the voters
  for (std::int64_t number = 1; number <= 40; ++number) {
    const Gathering step = run.step(number);
    std::int64_t sampled = 0, trained = 0;
    for (const Group& group : step.groups) {
      ASSERT_EQ(group.rollouts.size(), 4u);
      ASSERT_EQ(ballots(group, Votes::kOwn).size(), 1u);
      const auto& votes = ballots(group, Votes::kOwn)[0]->votes;
      ASSERT_EQ(votes.size(), 24u);
      std::size_t next = 0;
      for (std::size_t i = 0; i < 4; ++i) {
        double logprob = 0;
        for (const float value : group.rollouts[i].logprob) logprob += static_cast<double>(value);
        while (next < votes.size() && votes[next].logprob != logprob) ++next;
        ASSERT_LT(next, votes.size()) << "a trained rollout is one of those that voted, in their order";
        EXPECT_EQ(votes[next].answer_class, group.classes[i]);
        EXPECT_EQ(votes[next].answer, group.answers[i].value_or(""));
        ++places[next++];
      }
      sampled += 24 * 3;  // "#d" and the end token
      trained += token_count({&group, 1});
    }
    EXPECT_EQ(step.tokens, sampled - trained);
  }
  // "The first k of n": 240 groups would have all their rollouts at places 0..3.
  EXPECT_EQ(places.size(), 24u);
  for (const auto& [place, count] : places) EXPECT_NEAR(count, 40, 32) << place;
}

TEST(OwnVotes, TheLabelIsElectedByAllOfThem) {
  TrainOptions options = options_for("majority-vote");
  options.evidence.votes = 24;
  FakeRun run(options);
  bool outvoted = false;
  for (std::int64_t number = 1; number <= 10; ++number) {
    const Gathering step = run.step(number);
    const ScoredBatch scored = run.score(step);
    for (std::size_t g = 0; g < step.groups.size(); ++g) {
      const Group& group = step.groups[g];
      std::map<std::string, int> counts;
      for (const auto& vote : ballots(group, Votes::kOwn)[0]->votes) ++counts[vote.answer];
      int most = 0;
      for (const auto& [answer, count] : counts) most = std::max(most, count);
      for (std::size_t i = 0; i < 4; ++i) {
        EXPECT_TRUE(scored.rewards[g][i] == 0 || counts[*group.answers[i]] == most);
      }
      outvoted = outvoted || scored.rewards[g] == std::vector<double>(4, 0.0);
    }
    EXPECT_TRUE(scored.metrics.contains("votes_accuracy"));
    EXPECT_TRUE(scored.metrics.contains("votes_agreement"));
  }
  EXPECT_TRUE(outvoted) << "a group none of whose trained rollouts has the elected answer";
}

TEST(OwnVotes, TheChoiceDependsOnSeedStepAndProblemOnly) {
  TrainOptions options = options_for("majority-vote");
  options.evidence.votes = 24;
  const auto chosen = [](FakeRun& run, std::int64_t number) {
    std::vector<std::vector<float>> all;
    for (const Group& group : run.step(number).groups) {
      for (const auto& rollout : group.rollouts) all.push_back(rollout.logprob);
    }
    return all;
  };
  FakeRun run(options), again(options);
  const auto second = (chosen(run, 1), chosen(run, 2));
  EXPECT_EQ(chosen(again, 2), second) << "a run that is resumed at step 2";
  options.seed = 1;
  FakeRun other(options);
  EXPECT_NE(chosen(other, 2), second);
}

// ---- rephrasings

TEST(RephrasedVotes, AProblemAndItsRephrasingElectEachOthersLabels) {
  // The answer tells the prompts apart: each writes its own first digit.
  FakeRun run(options_for("co-reward"),
              [](const std::string& prompt, base::Random&) { return "#" + prompt.substr(0, 1); });
  const Gathering step = run.step(1);
  ASSERT_EQ(step.groups.size(), 12u) << "both are trained on";
  EXPECT_EQ(step.tokens, 0) << "nothing is sampled that is not trained on";
  const ScoredBatch scored = run.score(step);
  int crossed = 0;
  for (std::size_t i = 0; i < step.groups.size(); ++i) {
    const std::size_t j = step.partners[i];
    ASSERT_NE(i, j);
    EXPECT_EQ(step.partners[j], i);
    const Group &group = step.groups[i], &other = step.groups[j];
    EXPECT_EQ(std::multiset<char>(group.problem.prompt.begin(), group.problem.prompt.end()),
              std::multiset<char>(other.problem.prompt.begin(), other.problem.prompt.end()));
    const auto voters = ballots(group, Votes::kRephrased);
    ASSERT_EQ(voters.size(), 1u);
    for (const auto& vote : voters[0]->votes) EXPECT_EQ(vote.answer, other.problem.prompt.substr(0, 1));
    const bool agree = group.problem.prompt[0] == other.problem.prompt[0];
    crossed += agree ? 0 : 1;
    // Where the two disagree nobody is paid, however united a group is.
    EXPECT_EQ(scored.rewards[i], std::vector<double>(4, agree ? 1.0 : 0.0));
  }
  EXPECT_GT(crossed, 4);
  EXPECT_NEAR(scored.metrics.at("rephrasing_agreement").get<double>(), 1 - crossed / 12.0, 1e-12);
}

TEST(RephrasedVotes, MoreVotesThanSamplesCrossOverToo) {
  TrainOptions options = options_for("co-reward");
  options.evidence.votes = 9;
  FakeRun run(options);
  const Gathering step = run.step(1);
  for (const Group& group : step.groups) {
    EXPECT_EQ(group.rollouts.size(), 4u);
    ASSERT_EQ(ballots(group, Votes::kRephrased).size(), 1u);
    EXPECT_EQ(ballots(group, Votes::kRephrased)[0]->votes.size(), 9u);
  }
  EXPECT_EQ(step.tokens, 12 * 5 * 3);
}

TEST(RephrasedVotes, WithoutAnyRephrasingTheRunIsRefusedAndToldWhatToAdd) {
  const store::TempFolder folder;
  const auto file = folder.path() / "rows.jsonl";
  const auto write = [&](bool rephrased) {
    std::string rows;
    for (int i = 0; i < 60; ++i) {
      rows += fmt::format("{{\"prompt\": \"{}+{}=\", \"answer\": \"{}\"", i, i + 1, 2 * i + 1);
      if (rephrased && i % 2 == 0) rows += fmt::format(", \"rephrased\": [\"{}+{}=\"]", i + 1, i);
      rows += "}\n";
    }
    base::write_file(file, rows);
  };
  TrainOptions options = options_for("co-reward");
  options.source.problems = {file.string()};
  options.sampling.max_new_tokens = 8;
  write(false);
  EXPECT_THAT(error_of(options), HasSubstr("[co-reward] no problem has a rephrasing, want a field \"rephrased\""));

  write(true);
  options.prompts = 40;
  FakeRun run(options, [](const std::string& prompt, base::Random&) { return prompt; });
  const Gathering step = run.step(1);
  int alone = 0;
  for (std::size_t i = 0; i < step.groups.size(); ++i) {
    if (step.partners[i] != i) continue;
    ++alone;
    EXPECT_TRUE(step.groups[i].problem.rephrased.empty());
    EXPECT_EQ(ballots(step.groups[i], Votes::kRephrased).size(), 1u) << "it votes for itself";
  }
  EXPECT_GT(alone, 10);
  EXPECT_EQ(step.groups.size(), 40u + static_cast<std::size_t>(40 - alone));
}

// ---- teacher

TEST(TeacherVotes, TheTeacherElectsAndIsPaidNothing) {
  FakeRun run(options_for("teacher-vote"), [](const std::string&, base::Random&) { return "#1"; });
  ASSERT_EQ(fake_of(run.policy).copies.size(), 1u);
  fake_of(run.policy).set_writer([](const std::string&, base::Random& r) { return r.uniform() < 0.5 ? "#1" : "#2"; });
  const Gathering step = run.step(1);
  EXPECT_EQ(step.tokens, 6 * 4 * 3);
  const ScoredBatch scored = run.score(step);
  for (std::size_t g = 0; g < step.groups.size(); ++g) {
    ASSERT_EQ(ballots(step.groups[g], Votes::kTeacher).size(), 1u);
    for (std::size_t i = 0; i < 4; ++i) {
      EXPECT_EQ(scored.rewards[g][i], step.groups[g].answers[i] == "1" ? 1.0 : 0.0);
    }
  }
}

TEST(TeacherVotes, FollowsThePolicyByTheScheduledShare) {
  TrainOptions options = options_for("teacher-vote");
  options.evidence.teacher_decay = 0.9;
  options.evidence.teacher_decay_end = 0.99;
  FakeRun run(options);
  const FakeModel& teacher = *fake_of(run.policy).copies.at(0);
  double wanted = 0;
  for (std::int64_t step = 1; step <= options.steps; ++step) {
    fake_of(run.policy).weight = static_cast<double>(step);
    run.evidence->after_update(step);
    const double decay = teacher_decay(options, step);
    wanted = decay * wanted + (1 - decay) * static_cast<double>(step);
    EXPECT_NEAR(teacher.weight, wanted, 1e-12);
  }
  EXPECT_NEAR(teacher_decay(options, 1), 0.9, 1e-12);
  EXPECT_NEAR(teacher_decay(options, 10), 0.99, 1e-12);
  for (std::int64_t step = 2; step <= 10; ++step)
    EXPECT_GT(teacher_decay(options, step), teacher_decay(options, step - 1));
  options.steps = 1;
  EXPECT_NEAR(teacher_decay(options, 1), 0.9, 1e-12);
}

// ---- classes, checks, spans

TEST(Evidence, ClassesAreNumberedTogetherByTheTasksOwnEquivalence) {
  // 07 and 7 are one number: a ballot that says the one elects rollouts that say the other.
  TrainOptions options = options_for("teacher-vote");
  options.source.task = "arithmetic";
  FakeRun run(options, [](const std::string&, base::Random&) { return "#07"; });
  fake_of(run.policy).set_writer([](const std::string&, base::Random&) { return "#7"; });
  const Gathering step = run.step(1);
  for (const auto& rewards : run.score(step).rewards) EXPECT_EQ(rewards, std::vector<double>(4, 1.0));
}

TEST(Checks, AreTheTasksOwnAndAnAbsentAnswerFails) {
  TrainOptions options = options_for("program");
  options.source.task = "countdown";
  FakeRun run(options, [](const std::string& prompt, base::Random& random) {
    return random.uniform() < 0.3 ? std::string("T") : "#" + prompt.substr(0, prompt.find(','));
  });
  const Gathering step = run.step(1);
  for (const Group& group : step.groups) {
    ASSERT_EQ(group.checked.size(), 4u);
    for (std::size_t i = 0; i < 4; ++i) EXPECT_FALSE(group.checked[i]);
  }
  options.source.task = "arithmetic";
  EXPECT_THAT(
      error_of(options),
      HasSubstr("[program] task 'arithmetic' has no checker for problem train/0/0, want one of the tasks: countdown"));
}

TEST(AnswerSpans, AreTheTokensThatHoldAByteOfTheAnswer) {
  const auto tokenizer =
      tokenizer::Tokenizer::load(std::filesystem::path(WHET_SOURCE_DIR) / "tests" / "golden" / "bpe_gpt2");
  for (const std::string text : {"so it is \\boxed{1234567}. Done", "#### 42",
                                 "caf\xC3\xA9 is the answer is \xE2\x88\x9A"
                                 "2 ok"}) {
    const auto tokens = tokenizer.encode(text);
    ASSERT_EQ(tokenizer.decode(tokens), text);
    for (std::size_t begin = 0; begin < text.size(); ++begin) {
      for (std::size_t size = 1; begin + size <= text.size(); ++size) {
        const auto place = std::string_view(text).substr(begin, size);
        const auto [first, end] = tokens_of(tokens, text, place, tokenizer);
        ASSERT_LT(first, end);
        const std::string before = tokenizer.decode(std::span(tokens).first(first));
        const std::string inside = tokenizer.decode(std::span(tokens).subspan(first, end - first));
        EXPECT_LE(before.size(), begin);
        EXPECT_GE(before.size() + inside.size(), begin + size);
        // One token less at either side would miss a byte.
        EXPECT_GT(before.size() + tokenizer.bytes_of(tokens[first]).size(), begin);
        EXPECT_LT(before.size() + inside.size() - tokenizer.bytes_of(tokens[end - 1]).size(), begin + size);
      }
    }
  }
}

TEST(AnswerSpans, LeaveOutTheMarkAndTheEndToken) {
  FakeRun run(options_for("probability-disparity"), [](const std::string& prompt, base::Random& random) {
    return random.uniform() < 0.5 ? std::string("T1") : "#" + prompt.substr(0, 4);
  });
  for (const Group& group : run.step(1).groups) {
    for (std::size_t i = 0; i < 4; ++i) {
      if (!group.answers[i]) {
        EXPECT_FALSE(group.answer_tokens[i]);
      } else {
        EXPECT_EQ(group.answer_tokens[i], (std::pair<std::size_t, std::size_t>{1, 5}));
      }
    }
  }
}

// ---- refusals

TEST(Evidence, WhatTheRunDoesNotHaveOrNobodyReadsIsRefusedByName) {
  const auto with = [](const std::string& reward, auto change) {
    TrainOptions options = options_for(reward);
    change(options);
    return error_of(options);
  };
  EXPECT_THAT(with("self-certainty", [](auto& o) { o.evidence.votes = 8; }),
              HasSubstr("[votes] 8 for 'self-certainty', where nobody votes"));
  EXPECT_THAT(with("majority-vote", [](auto& o) { o.evidence.votes = 3; }),
              HasSubstr("[votes] 3, want at least the --samples 4"));
  EXPECT_THAT(with("majority-vote", [](auto& o) { o.evidence.voters = {"sort-weak"}; }),
              HasSubstr("[voters] given for 'majority-vote'"));
  EXPECT_THAT(with("weighted-vote", [](auto&) {}), HasSubstr("[weighted-vote] no other policy votes, want --voters"));
  EXPECT_THAT(with("majority-vote", [](auto& o) { o.evidence.teacher_decay = 0.5; }),
              HasSubstr("[teacher-decay] given for 'majority-vote'"));
  EXPECT_THAT(with("majority-vote + 0.5*format", [](auto& o) { o.evidence.votes = 8; }), "accepted");
}

}  // namespace
}  // namespace whet::train
