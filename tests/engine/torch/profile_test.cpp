// What the engine reports of its phases is what the tokens that came out must have taken.
#include "base/profile.h"

#include "tests/engine/torch/fixtures.h"

namespace whet::engine {
namespace {

using base::Phase;

class ProfileTest : public testing::TestWithParam<ModelConfig> {};

TEST_P(ProfileTest, CountsTheWorkOfRolloutsAndUpdates) {
  const ModelConfig& config = GetParam();
  const std::int64_t vocabulary = 31;
  base::Profile profile;
  const TorchModel model_of_run(random_decoder(config, at::kFloat, 3),
                                {.vocabulary_in_use = vocabulary, .profile = &profile});
  const std::unique_ptr<Model> model = model_of_run.clone();  // a copy reports to the same account
  const ModelWork work(config, vocabulary);
  base::Random random{5};
  std::vector<Prompt> prompts;
  for (std::uint64_t i = 0; i < 7; ++i)
    prompts.push_back({random_tokens(random, random.between(1, 12), vocabulary), i, 3});
  const auto rollouts =
      model->rollout({.prompts = prompts, .sampling = {.max_new_tokens = 9}, .stream = 1, .max_active = 5});
  base::Costs costs = profile.take();

  Pass prefill, decode;
  double sampled = 0;
  const std::vector<SharedPromptBatch> groups = as_batches(prompts, rollouts);
  for (std::size_t p = 0; p < prompts.size(); ++p) {
    const auto length = static_cast<std::int64_t>(prompts[p].tokens.size());
    prefill.rows += static_cast<double>(length);
    prefill.heads += 1;
    prefill.keys += work.keys(0, length);
    for (const Rollout& rollout : rollouts[p]) {
      const auto inputs = static_cast<std::int64_t>(rollout.tokens.size()) - 1;
      decode.rows += static_cast<double>(inputs);
      decode.keys += work.keys(length, inputs);
      sampled += static_cast<double>(rollout.tokens.size());
    }
  }
  decode.heads = decode.rows;
  const auto flops = [&](Phase phase) { return base::of(costs, phase).work.flops; };
  EXPECT_DOUBLE_EQ(flops(Phase::kPrefill), work.forward(prefill).flops);
  EXPECT_DOUBLE_EQ(flops(Phase::kDecode), work.decode(decode, 0).flops);
  EXPECT_DOUBLE_EQ(flops(Phase::kSampling), work.sampling(sampled).flops);
  // Each step reads the weights, and of the keys at most those that are seen.
  const double steps = static_cast<double>(base::of(costs, Phase::kDecode).spans), weights = work.forward({}).bytes;
  const double without_cache = work.decode(decode, 0).bytes + (steps - 1) * weights;
  EXPECT_GT(base::of(costs, Phase::kDecode).work.bytes, without_cache);
  EXPECT_LE(base::of(costs, Phase::kDecode).work.bytes, work.decode(decode, decode.keys).bytes + (steps - 1) * weights);
  for (const Phase phase : {Phase::kPrefill, Phase::kDecode, Phase::kSampling})
    EXPECT_GT(base::of(costs, phase).seconds, 0);

  const Pass all{prefill.rows + decode.rows, prefill.heads + decode.heads, prefill.keys + decode.keys};
  model->accumulate_gradient(groups, 1.0, 12,
                             [](std::size_t, std::size_t, std::span<const float>, std::span<float> gradient) {
                               std::fill(gradient.begin(), gradient.end(), 0.1f);
                             });
  (void)model->optimizer_step({.clip = 1e9});
  costs = profile.take();
  EXPECT_GT(base::of(costs, Phase::kForward).spans, 1);
  // A group that a small budget cuts, as it cuts nearly any here, has its prompt computed for each piece.
  EXPECT_GT(flops(Phase::kForward), work.forward(all).flops);
  EXPECT_DOUBLE_EQ(flops(Phase::kBackward), 2 * flops(Phase::kForward));
  EXPECT_DOUBLE_EQ(flops(Phase::kOptimizer), work.optimizer(false).flops);

  (void)model->logprobs(groups, 1.0);
  costs = profile.take();
  EXPECT_DOUBLE_EQ(flops(Phase::kForward), work.forward(all).flops);
  EXPECT_EQ(base::of(costs, Phase::kBackward).spans, 0);

  const std::vector<std::vector<TokenId>> sequences = {random_tokens(random, 10, vocabulary),
                                                       random_tokens(random, 1, vocabulary)};
  (void)model->score(sequences, 1.0);
  costs = profile.take();
  EXPECT_DOUBLE_EQ(flops(Phase::kForward), work.forward({.rows = 9, .heads = 9, .keys = work.keys(0, 9)}).flops);
}

INSTANTIATE_TEST_SUITE_P(Families, ProfileTest, testing::ValuesIn(family_configs()));

}  // namespace
}  // namespace whet::engine
