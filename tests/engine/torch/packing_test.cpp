// Groups that share a prompt, packed, against the same responses one by one.
#include "engine/torch/packing.h"

#include "base/error.h"
#include "tests/engine/torch/fixtures.h"
#include "tests/engine/torch/reference.h"

namespace whet::engine {
namespace {

class PackedTest : public testing::TestWithParam<ModelConfig> {
 protected:
  const ModelConfig& config() const { return GetParam(); }
};

/// A fixed dLoss/dlogprob for response r, token t.
double weight_of(std::size_t response, std::size_t token) {
  return std::sin(1.0 + 3.7 * static_cast<double>(response) + 0.9 * static_cast<double>(token));
}

/// Gradients of sum weight * logprob by the reference; fills `values` with all log-probs.
void reference_backward(const reference::Model& model, std::span<const SharedPromptBatch> groups,
                        std::int64_t vocabulary, double temperature, std::vector<at::Tensor>& values) {
  std::size_t r = 0;
  for (const SharedPromptBatch& group : groups) {
    for (const auto& response : group.responses) {
      const at::Tensor logprobs = model.logprobs(group.prompt, response, vocabulary, temperature);
      std::vector<double> weights;
      for (std::size_t t = 0; t < response.size(); ++t) weights.push_back(weight_of(r, t));
      (logprobs * at::tensor(weights, at::kDouble)).sum().backward();
      values.push_back(logprobs.detach());
      ++r;
    }
  }
}

TEST_P(PackedTest, LogprobsAndGradientsInDoubleEqualOneSequenceAtATime) {
  const auto groups = varied_groups(21, 31);
  for (const std::int64_t vocabulary : {std::int64_t{37}, std::int64_t{31}}) {
    for (const std::int64_t budget : {std::int64_t{1} << 20, std::int64_t{64}, std::int64_t{1}}) {
      const auto decoder = random_decoder(config(), at::kDouble);
      const reference::Model model = reference::model_of(*decoder);
      std::vector<at::Tensor> wanted;
      reference_backward(model, groups, vocabulary, 0.8, wanted);
      std::vector<at::Tensor> got;
      decoder->gradients();
      std::size_t response = 0;
      for (const PackedBatch& batch : pack(groups, budget, vocabulary)) {
        ASSERT_EQ(batch.first_response, response);
        const at::Tensor logprobs = decoder->logprobs(batch, vocabulary, 0.8);
        got.push_back(logprobs.detach());
        std::vector<double> weights;
        for (const std::size_t length : batch.response_lengths) {
          for (std::size_t t = 0; t < length; ++t) weights.push_back(weight_of(response, t));
          ++response;
        }
        logprobs.backward(at::tensor(weights, at::kDouble));
      }
      expect_close(at::cat(got), at::cat(wanted), 1e-12, "log-probs");
      for (const auto& [name, window] : decoder->named_gradients()) {
        expect_close(window, model.at(name).grad(), 1e-11, fmt::format("{} with budget {}", name, budget));
      }
    }
  }
}

TEST_P(PackedTest, TheModelInFloatFollowsTheReferenceUnderEveryTokenBudget) {
  const auto groups = varied_groups(22, 37);
  const auto decoder = random_decoder(config(), at::kFloat);
  const reference::Model plain = reference::model_of(*decoder);
  std::vector<at::Tensor> wanted;
  reference_backward(plain, groups, 37, 1.3, wanted);
  TorchModel model(decoder, {});
  std::size_t r = 0;
  for (const auto& group : model.logprobs(groups, 1.3)) {
    for (const auto& response : group) {
      const at::Tensor values = at::tensor(std::vector<double>(response.begin(), response.end()), at::kDouble);
      EXPECT_LE((values - wanted[r]).abs().max().item<double>(), 2e-5) << "response " << r;
      ++r;
    }
  }
  ASSERT_EQ(r, wanted.size());
  for (const std::int64_t budget : {std::int64_t{1} << 20, std::int64_t{40}, std::int64_t{1}}) {
    decoder->gradients().zero_();
    std::size_t seen = 0, calls = 0;
    model.accumulate_gradient(
        groups, 1.3, budget,
        [&](std::size_t first, std::size_t count, std::span<const float> logprob, std::span<float> gradient) {
          EXPECT_EQ(first, seen);
          std::size_t next = 0;
          for (std::size_t i = first; i < first + count; ++i) {
            for (std::int64_t t = 0; t < wanted[i].numel(); ++t, ++next) {
              EXPECT_NEAR(logprob[next], wanted[i][t].item<double>(), 2e-5);
              gradient[next] = static_cast<float>(weight_of(i, static_cast<std::size_t>(t)));
            }
          }
          EXPECT_EQ(next, logprob.size());
          seen += count;
          ++calls;
        });
    EXPECT_EQ(seen, wanted.size());
    EXPECT_EQ(calls, budget == 1 ? wanted.size() : budget == 40 ? calls : 1u);
    for (const auto& [name, window] : decoder->named_gradients()) {
      expect_close(window, plain.at(name).grad(), 1e-4, fmt::format("{} with budget {}", name, budget));
    }
  }
}

std::string name_of(const testing::TestParamInfo<ModelConfig>& one) {
  const ModelConfig& config = one.param;
  return fmt::format("{}Queries{}Keys{}Width{}{}", config.architecture, config.num_attention_heads,
                     config.num_key_value_heads, config.head_dim, config.tie_word_embeddings ? "Tied" : "Untied");
}

INSTANTIATE_TEST_SUITE_P(Shapes, PackedTest, testing::Values(odd_config(3, 1, 20, true), odd_config(4, 4, 16, true)),
                         name_of);
INSTANTIATE_TEST_SUITE_P(Families, PackedTest, testing::ValuesIn(family_configs()), name_of);

TEST(Pack, HoldsAPromptOnceAndEachResponseWithoutItsLastToken) {
  const std::vector<SharedPromptBatch> groups = {{{5, 6, 7}, {{1, 2}, {3}, {4, 5, 6}}}};
  const auto batches = pack(groups, 100, 10);
  ASSERT_EQ(batches.size(), 1u);
  EXPECT_EQ(batches[0].ids, (std::vector<std::int64_t>{5, 6, 7, 1, 4, 5}));
  EXPECT_EQ(batches[0].positions, (std::vector<std::int64_t>{0, 1, 2, 3, 3, 4}));
  EXPECT_EQ(batches[0].head_rows, (std::vector<std::int64_t>{2, 3, 4, 5}));
  EXPECT_EQ(batches[0].target_heads, (std::vector<std::int64_t>{0, 1, 0, 0, 2, 3}));
  EXPECT_EQ(batches[0].target_ids, (std::vector<std::int64_t>{1, 2, 3, 4, 5, 6}));
}

TEST(Pack, KeepsToTheBudgetWhereAPromptWithOneResponseFits) {
  const auto groups = varied_groups(23, 37);
  for (const std::int64_t budget : {50, 60, 90, 140}) {
    std::size_t responses = 0;
    for (const PackedBatch& batch : pack(groups, budget, 37)) {
      EXPECT_LE(batch.rows(), budget);
      EXPECT_EQ(batch.first_response, responses);
      responses += batch.response_count;
    }
    EXPECT_EQ(responses, 25u);
  }
}

TEST(Pack, PutsWholeGroupsTogetherUpToAboutTwoThousandRowsButCutsNoneForIt) {
  base::Random random{24};
  std::vector<SharedPromptBatch> groups;
  for (int i = 0; i < 30; ++i) groups.push_back(random_group(random, 100, {51, 51}, 37));  // 200 rows each
  groups.push_back(random_group(random, 1000, {1001, 1001, 1001}, 37));                    // 4,000 rows
  const auto batches = pack(groups, 16384, 37);
  ASSERT_EQ(batches.size(), 4u);
  EXPECT_EQ(batches[0].rows(), 2000);
  EXPECT_EQ(batches[3].rows(), 4000);
  EXPECT_EQ(batches[3].response_count, 3u);
}

TEST(Pack, RefusesWhatNoModelCanRead) {
  const auto refused = [](const SharedPromptBatch& group) {
    const std::vector<SharedPromptBatch> groups = {group};
    EXPECT_THROW(pack(groups, 100, 10), base::UserError);
  };
  refused({{}, {{1}}});
  refused({{1}, {{}}});
  refused({{10}, {{1}}});
  refused({{-1}, {{1}}});
  refused({{1}, {{3, 10}}});
}

TEST(Pack, GivesNothingForNoResponses) {
  EXPECT_TRUE(pack({}, 100, 10).empty());
  const std::vector<SharedPromptBatch> groups = {{{1, 2}, {}}};
  EXPECT_TRUE(pack(groups, 100, 10).empty());
}

}  // namespace
}  // namespace whet::engine
