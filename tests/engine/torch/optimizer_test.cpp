// AdamW with clipping against its formula in double, and its state on disk.
#include "base/error.h"
#include "base/file.h"
#include "engine/safetensors.h"
#include "tests/engine/torch/fixtures.h"

namespace whet::engine {
namespace {

/// AdamW as Loshchilov and Hutter wrote it (decoupled decay), with the gradient's global norm clipped as PyTorch does.
struct PlainAdamW {
  std::vector<double> weights, first, second;
  int steps = 0;

  double step(std::vector<double> gradient, const AdamOptions& o) {
    double norm = 0;
    for (const double g : gradient) norm += g * g;
    norm = std::sqrt(norm);
    const double factor = o.clip > 0 && norm > o.clip ? o.clip / (norm + 1e-6) : 1.0;
    first.resize(weights.size());
    second.resize(weights.size());
    ++steps;
    for (std::size_t i = 0; i < weights.size(); ++i) {
      const double g = gradient[i] * factor;
      first[i] = o.beta1 * first[i] + (1 - o.beta1) * g;
      second[i] = o.beta2 * second[i] + (1 - o.beta2) * g * g;
      const double m = first[i] / (1 - std::pow(o.beta1, steps)), v = second[i] / (1 - std::pow(o.beta2, steps));
      weights[i] -= o.learning_rate * (m / (std::sqrt(v) + o.epsilon) + o.weight_decay * weights[i]);
    }
    return norm;
  }
};

std::vector<double> as_doubles(const at::Tensor& tensor) {
  const at::Tensor values = tensor.detach().to(at::kDouble).contiguous();
  return {values.const_data_ptr<double>(), values.const_data_ptr<double>() + values.numel()};
}

/// One update on fixed responses, whose log-probs are pushed up or down by `seed`.
void accumulate(TorchModel& model, std::uint64_t seed, float scale = 1.0f) {
  const auto groups = varied_groups(50 + seed, 37);
  model.accumulate_gradient(groups, 1.0, 1 << 20,
                            [&](std::size_t first, std::size_t, std::span<const float>, std::span<float> gradient) {
                              for (std::size_t i = 0; i < gradient.size(); ++i) {
                                gradient[i] = scale * std::sin(static_cast<float>(first + i + seed));
                              }
                            });
}

std::filesystem::path temporary(const std::string& name) {
  return std::filesystem::path(testing::TempDir()) / ("whet_optimizer_" + name);
}

bool same_files(const std::filesystem::path& a, const std::filesystem::path& b) {
  return base::read_file(a) == base::read_file(b);
}

TEST(Optimizer, IsAdamWWithClippingAsWrittenInDouble) {
  for (const AdamOptions& options :
       {AdamOptions{.learning_rate = 1e-2, .clip = 0.5},
        AdamOptions{.learning_rate = 3e-3, .beta1 = 0.9, .beta2 = 0.95, .weight_decay = 0, .clip = 0},
        AdamOptions{.learning_rate = 1e-3, .epsilon = 1e-3, .weight_decay = 0.3, .clip = 1e9}}) {
    const auto decoder = random_decoder(odd_config(), at::kFloat, 41);
    TorchModel model(decoder, {});
    PlainAdamW plain{as_doubles(decoder->weights()), {}, {}};
    const std::vector<double> start = plain.weights;
    for (std::uint64_t step = 0; step < 5; ++step) {
      accumulate(model, step, step == 3 ? 0.01f : 1.0f);  // one step whose norm is below the clip
      const std::vector<double> gradient = as_doubles(decoder->gradients());
      const double norm = plain.step(gradient, options);
      EXPECT_NEAR(model.optimizer_step(options), norm, 1e-5 * norm);
      EXPECT_EQ(decoder->gradients().abs().max().item<float>(), 0.0f) << "the gradient is cleared";
    }
    const std::vector<double> got = as_doubles(decoder->weights());
    double moved = 0;
    for (std::size_t i = 0; i < got.size(); ++i) {
      moved = std::max(moved, std::abs(got[i] - start[i]));
      ASSERT_NEAR(got[i], plain.weights[i], 2e-6) << "weight " << i;
    }
    EXPECT_GT(moved, 1e-3);
  }
}

TEST(Optimizer, RefusesAGradientThatIsNotANumberAndLeavesEverythingAsItWas) {
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    const auto decoder = random_decoder(odd_config(), at::kFloat, 42);
    TorchModel model(decoder, {});
    accumulate(model, 1);
    model.optimizer_step({.learning_rate = 1e-3});
    model.save_optimizer(temporary("before"));
    const at::Tensor before = decoder->weights().clone();
    const std::vector<SharedPromptBatch> groups = {{{1, 2}, {{3, 4}}}};
    model.accumulate_gradient(
        groups, 1.0, 100,
        [&](std::size_t, std::size_t, std::span<const float>, std::span<float> gradient) { gradient[1] = bad; });
    EXPECT_THROW(model.optimizer_step({.learning_rate = 1e-3}), base::RunError);
    EXPECT_TRUE(same_bytes(decoder->weights(), before));
    model.save_optimizer(temporary("after"));
    EXPECT_TRUE(same_files(temporary("before"), temporary("after")));
  }
}

TEST(Optimizer, ContinuesFromDiskToTheSameBytes) {
  const auto folder = temporary("resume");
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  const AdamOptions options{.learning_rate = 1e-2};
  const auto decoder = random_decoder(odd_config(), at::kFloat, 43);
  TorchModel model(decoder, {});
  for (std::uint64_t step = 0; step < 3; ++step) {
    accumulate(model, step);
    model.optimizer_step(options);
  }
  model.save(folder);
  model.save_optimizer(folder / "optimizer.safetensors");
  const auto reopened = std::make_shared<Decoder>(read_model_config(folder), at::kFloat);
  reopened->load(folder);
  TorchModel resumed(reopened, {});
  resumed.load_optimizer(folder / "optimizer.safetensors");
  for (std::uint64_t step = 3; step < 6; ++step) {
    for (TorchModel* each : {&model, &resumed}) {
      accumulate(*each, step);
      each->optimizer_step(options);
    }
    ASSERT_TRUE(same_bytes(decoder->weights(), reopened->weights())) << "step " << step;
  }
  model.save_optimizer(folder / "a");
  resumed.save_optimizer(folder / "b");
  EXPECT_TRUE(same_files(folder / "a", folder / "b"));
  std::filesystem::remove_all(folder);
}

TEST(Optimizer, AStateFromBeforeTheFirstStepLoadsAsOne) {
  const auto decoder = random_decoder(odd_config(), at::kFloat, 44);
  TorchModel model(decoder, {});
  const auto file = temporary("fresh");
  model.save_optimizer(file);
  accumulate(model, 1);
  model.optimizer_step({});
  model.load_optimizer(file);
  model.save_optimizer(temporary("again"));
  EXPECT_TRUE(same_files(file, temporary("again")));
}

TEST(Optimizer, RefusesAStateOfAnotherModelAndKeepsItsOwn) {
  TorchModel small(random_decoder(odd_config(), at::kFloat, 45), {}),
      large(random_decoder(odd_config(4, 4, 16), at::kFloat, 45), {});
  for (std::uint64_t step = 0; step < 2; ++step) {
    accumulate(large, step);
    large.optimizer_step({});
  }
  accumulate(small, 1);
  small.optimizer_step({});
  large.save_optimizer(temporary("large"));
  small.save_optimizer(temporary("small"));
  EXPECT_THROW(small.load_optimizer(temporary("large")), base::UserError);
  small.save_optimizer(temporary("kept"));
  EXPECT_TRUE(same_files(temporary("small"), temporary("kept")));
  base::write_file(temporary("text"), "not safetensors");
  EXPECT_THROW(small.load_optimizer(temporary("text")), base::UserError);
}

TEST(Optimizer, RefusesAStepCountThatIsNotOneNumber) {
  TorchModel model(random_decoder(odd_config(), at::kFloat, 46), {});
  const NamedTensor empty_moments[] = {
      {"first_moment", DType::kF32, {0}, {}}, {"second_moment", DType::kF32, {0}, {}}, {"steps", DType::kI64, {0}, {}}};
  write_safetensors(temporary("no_steps"), empty_moments);
  EXPECT_THROW(model.load_optimizer(temporary("no_steps")), base::UserError);
}

TEST(Clone, IsIndependentOfItsOrigin) {
  const auto decoder = random_decoder(odd_config(), at::kFloat, 47);
  TorchModel model(decoder, {.vocabulary_in_use = 30});
  const auto copy = model.clone();
  const auto groups = varied_groups(60, 30);
  const auto before = copy->logprobs(groups, 1.0);
  EXPECT_EQ(model.logprobs(groups, 1.0), before);
  model.accumulate_gradient(groups, 1.0, 1 << 20,
                            [](std::size_t, std::size_t, std::span<const float>, std::span<float> gradient) {
                              std::fill(gradient.begin(), gradient.end(), 1.0f);
                            });
  model.optimizer_step({.learning_rate = 1e-2});
  EXPECT_EQ(copy->logprobs(groups, 1.0), before);
  EXPECT_NE(model.logprobs(groups, 1.0), before);
}

TEST(Optimizer, AModelMovesAShareOfTheWayToAnother) {
  TorchModel policy(random_decoder(odd_config(), at::kFloat, 41), {});
  const auto decoder = random_decoder(odd_config(), at::kFloat, 42);
  TorchModel average(decoder, {});
  const auto goal_decoder = random_decoder(odd_config(), at::kFloat, 41);
  const std::vector<double> start = as_doubles(decoder->weights()), goal = as_doubles(goal_decoder->weights());
  average.move_towards(policy, 0.0);
  EXPECT_EQ(as_doubles(decoder->weights()), start);
  // Three moves of a tenth leave 0.9^3 of the distance.
  for (int i = 0; i < 3; ++i) average.move_towards(policy, 0.1);
  const std::vector<double> between = as_doubles(decoder->weights());
  for (std::size_t i = 0; i < goal.size(); ++i) {
    ASSERT_NEAR(between[i], goal[i] + 0.729 * (start[i] - goal[i]), 1e-6) << "weight " << i;
  }
  average.move_towards(policy, 1.0);
  EXPECT_EQ(as_doubles(decoder->weights()), goal);
  EXPECT_THROW(average.move_towards(policy, 1.5), base::UserError);
  TorchModel wider(random_decoder(odd_config(4, 2, 14), at::kFloat), {});
  EXPECT_THROW(average.move_towards(wider, 0.5), base::UserError);
}

}  // namespace
}  // namespace whet::engine
