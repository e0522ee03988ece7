// The matrix products against double, in odd shapes, and their promise: a row's numbers do not depend on its company. Weights in
// bfloat16 are multiplied in bfloat16 where the processor does that, and widened elsewhere; the tests of either are below.
#include "engine/torch/kernels_product.h"

#include <bit>
#include <cmath>

#include "tests/engine/torch/fixtures.h"

namespace whet::engine::kernels {
namespace {

struct Shape {
  std::int64_t rows, columns, inner;
};

const std::vector<Shape> kShapes = {{1, 1, 1},    {1, 37, 26},   {3, 33, 5},      {8, 32, 64},   {13, 70, 35},
                                    {65, 31, 48}, {200, 513, 7}, {700, 130, 129}, {2300, 64, 96}};

at::Tensor random_floats(at::IntArrayRef sizes) { return at::randn(sizes, at::kFloat); }

/// body(pointer to the numbers of a weight, as the products want it).
template <class Body>
void with_numbers(const at::Tensor& w, const Body& body) {
  if (w.scalar_type() == at::kBFloat16) {
    body(reinterpret_cast<const BFloat16*>(w.const_data_ptr<at::BFloat16>()));
  } else {
    body(w.const_data_ptr<float>());
  }
}

at::Tensor transposed(const at::Tensor& x, const at::Tensor& w, const at::Tensor& add = {}) {
  at::Tensor y = at::empty({x.size(0), w.size(0)}, at::kFloat);
  with_numbers(w, [&](const auto* numbers) {
    product_transposed(
        x.const_data_ptr<float>(), x.size(0), numbers, w.size(0), w.size(1),
        {add.defined() ? add.const_data_ptr<float>() : nullptr, /*one_row=*/add.defined() && add.dim() == 1},
        y.data_ptr<float>());
  });
  return y;
}

at::Tensor plain(const at::Tensor& dy, const at::Tensor& w) {
  at::Tensor dx = at::empty({dy.size(0), w.size(1)}, at::kFloat);
  with_numbers(w, [&](const auto* numbers) {
    product_plain(dy.const_data_ptr<float>(), dy.size(0), numbers, w.size(0), w.size(1), dx.data_ptr<float>());
  });
  return dx;
}

/// Of a weight that is stored in W.
template <class W = float>
at::Tensor accumulated(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& start) {
  at::Tensor dw = start.clone();
  add_transposed_product<W>(dy.const_data_ptr<float>(), x.const_data_ptr<float>(), dy.size(0), dy.size(1), x.size(1),
                            dw.data_ptr<float>());
  return dw;
}

/// kShapes, and a weight of more than 16 MiB.
std::vector<Shape> shapes_with_a_large_head() {
  std::vector<Shape> shapes = kShapes;
  shapes.push_back({9, 40000, 200});
  return shapes;
}

at::Tensor rounded(const at::Tensor& x) { return x.to(at::kBFloat16).to(at::kDouble); }

/// a b + add of rounded operands in double, and how far sums of float32 in any order may be from it: each of their `terms`
/// additions is off by at most half of 2^-23 of what has been added up.
void expect_sums(const at::Tensor& got, const at::Tensor& a, const at::Tensor& b, const at::Tensor& add,
                 std::int64_t terms, const std::string& what) {
  const at::Tensor wanted = at::mm(a, b) + add, sizes = at::mm(a.abs(), b.abs()) + add.abs();
  EXPECT_TRUE(at::le((got.to(at::kDouble) - wanted).abs(), sizes * (static_cast<double>(terms) * std::ldexp(1.0, -24)))
                  .all()
                  .item<bool>())
      << what;
}

TEST(Product, EqualsDoublePrecisionInOddShapes) {
  at::manual_seed(61);
  for (const Shape& s : kShapes) {
    const std::string what = fmt::format("{} x {} x {}", s.rows, s.columns, s.inner);
    const at::Tensor x = random_floats({s.rows, s.inner}), w = random_floats({s.columns, s.inner}),
                     dy = random_floats({s.rows, s.columns});
    const at::Tensor residual = random_floats({s.rows, s.columns}), start = random_floats({s.columns, s.inner});
    const at::Tensor dx = x.to(at::kDouble), dw = w.to(at::kDouble), ddy = dy.to(at::kDouble);
    expect_close(transposed(x, w), at::mm(dx, dw.t()), 2e-6, what);
    expect_close(transposed(x, w, residual), at::mm(dx, dw.t()) + residual, 2e-6, what + " with a residual");
    expect_close(transposed(x, w, residual[0]), at::mm(dx, dw.t()) + residual[0], 2e-6, what + " with a bias");
    expect_close(plain(dy, w), at::mm(ddy, dw), 2e-6, what + " backward");
    expect_close(accumulated(dy, x, start), at::mm(ddy.t(), dx) + start, 2e-6, what + " weight");
  }
}

TEST(Product, MayAddToItsOwnInput) {
  at::manual_seed(62);
  const at::Tensor x = random_floats({21, 35}), w = random_floats({40, 35}), residual = random_floats({21, 40});
  at::Tensor y = residual.clone();
  product_transposed(x.const_data_ptr<float>(), 21, w.const_data_ptr<float>(), 40, 35, {y.const_data_ptr<float>()},
                     y.data_ptr<float>());
  EXPECT_TRUE(same_bytes(y, transposed(x, w, residual)));
}

/// Of weights in this type.
void expect_rows_do_not_see_each_other(at::ScalarType weights) {
  for (const Shape& s : kShapes) {
    const at::Tensor x = random_floats({s.rows, s.inner}), w = random_floats({s.columns, s.inner}).to(weights),
                     dy = random_floats({s.rows, s.columns});
    const at::Tensor y = transposed(x, w), dx = plain(dy, w);
    for (const std::int64_t row : {std::int64_t{0}, s.rows / 2, s.rows - 1}) {
      EXPECT_TRUE(same_bytes(transposed(x.narrow(0, row, 1), w), y.narrow(0, row, 1)));
      EXPECT_TRUE(same_bytes(plain(dy.narrow(0, row, 1), w), dx.narrow(0, row, 1)));
    }
    const std::int64_t some = (s.rows + 2) / 3;
    EXPECT_TRUE(same_bytes(transposed(x.narrow(0, s.rows - some, some), w), y.narrow(0, s.rows - some, some)));
  }
}

TEST(Product, GivesARowTheSameBytesWhateverStandsBesideIt) {
  at::manual_seed(63);
  expect_rows_do_not_see_each_other(at::kFloat);
}

TEST(Product, ReadsWeightsInBFloat16AsTheFloatsThatTheyAreWhereTheyAreWidened) {
  const WidenedProducts scope;
  ASSERT_FALSE(multiplies_bfloat16());
  at::manual_seed(66);
  for (const Shape& s : shapes_with_a_large_head()) {
    const at::Tensor x = random_floats({s.rows, s.inner}), dy = random_floats({s.rows, s.columns}),
                     start = at::zeros({s.columns, s.inner});
    const at::Tensor half = random_floats({s.columns, s.inner}).to(at::kBFloat16), w = half.to(at::kFloat);
    EXPECT_TRUE(same_bytes(transposed(x, half), transposed(x, w))) << s.rows << " x " << s.columns << " x " << s.inner;
    EXPECT_TRUE(same_bytes(plain(dy, half), plain(dy, w))) << s.rows << " x " << s.columns << " x " << s.inner;
    EXPECT_TRUE(same_bytes(accumulated<BFloat16>(dy, x, start), accumulated(dy, x, start)));
    expect_close(transposed(x, half), at::mm(x.to(at::kDouble), half.to(at::kDouble).t()), 2e-6, "in plain operations");
  }
}

/// What only a processor has that multiplies bfloat16.
class BFloat16Product : public testing::Test {
 protected:
  void SetUp() override {
    if (!multiplies_bfloat16()) GTEST_SKIP() << "this processor does not multiply bfloat16";
    at::manual_seed(67);
  }
};

TEST_F(BFloat16Product, SumsProductsOfRoundedNumbersInFloat32) {
  for (const Shape& s : shapes_with_a_large_head()) {
    const std::string what = fmt::format("{} x {} x {}", s.rows, s.columns, s.inner);
    const at::Tensor x = random_floats({s.rows, s.inner}), w = random_floats({s.columns, s.inner}).to(at::kBFloat16),
                     dy = random_floats({s.rows, s.columns});
    const at::Tensor residual = random_floats({s.rows, s.columns}), start = random_floats({s.columns, s.inner});
    const at::Tensor dx = rounded(x), dw = w.to(at::kDouble), ddy = rounded(dy), none = at::zeros({1}, at::kDouble);
    expect_sums(transposed(x, w), dx, dw.t(), none, s.inner, what);
    expect_sums(transposed(x, w, residual), dx, dw.t(), residual, s.inner + 1, what + " with a residual");
    expect_sums(transposed(x, w, residual[0]), dx, dw.t(), residual[0], s.inner + 1, what + " with a bias");
    expect_sums(plain(dy, w), ddy, dw, none, s.columns, what + " backward");
    expect_sums(accumulated<BFloat16>(dy, x, start), ddy.t(), dx, start, s.rows + 1, what + " weight");
    if (s.inner > 30) {
      EXPECT_GT(relative_difference(transposed(x, w), at::mm(x.to(at::kDouble), dw.t())), 1e-4) << "x is rounded";
    }
  }
}

TEST_F(BFloat16Product, RoundsToNearestAndTiesToEven) {
  // Random bits, and what lies halfway between two numbers in bfloat16.
  std::vector<float> values = {0.0f,
                               -0.0f,
                               1.0f,
                               INFINITY,
                               -INFINITY,
                               NAN,
                               std::bit_cast<float>(0x7f800001u),
                               3.4028235e38f,
                               std::ldexp(1.0f, -126)};
  for (const std::uint32_t halfway :
       {0x3f808000u, 0x3f818000u, 0xbf808000u, 0x3f807fffu, 0x3f808001u, 0x3f818001u, 0x3fff8000u}) {
    values.push_back(std::bit_cast<float>(halfway));
  }
  base::Random random{5};
  while (values.size() < 20001) {
    const auto value = std::bit_cast<float>(static_cast<std::uint32_t>(random.next()));
    if (!(std::abs(value) < std::ldexp(1.0f, -126)))
      values.push_back(value);  // below, the processor takes them for zero
  }
  const auto count = static_cast<std::int64_t>(values.size());
  const at::Tensor x = at::tensor(values), one = at::ones({1, 1}), half = one.to(at::kBFloat16),
                   wanted = x.to(at::kBFloat16).to(at::kFloat);
  const auto expect_rounded = [&](const at::Tensor& got, const char* what) {
    EXPECT_TRUE(at::equal(at::nan_to_num(got.flatten(), 7), at::nan_to_num(wanted, 7))) << what;
    EXPECT_TRUE(at::equal(at::isnan(got.flatten()), at::isnan(wanted))) << what;
    EXPECT_TRUE(at::equal(at::isinf(got.flatten()), at::isinf(wanted))) << what;
  };
  expect_rounded(transposed(x.view({count, 1}), half), "a row each");
  expect_rounded(plain(x.view({count, 1}), half), "a row each, backward");
  expect_rounded(accumulated<BFloat16>(one, x.view({1, count}), at::zeros({1, count})),
                 "the right side of a weight's gradient");
  expect_rounded(accumulated<BFloat16>(x.view({1, count}), one, at::zeros({count, 1})), "its left side");
}

TEST_F(BFloat16Product, GivesARowTheSameBytesWhateverStandsBesideIt) {
  expect_rows_do_not_see_each_other(at::kBFloat16);
}

TEST(Product, GivesTheSameBytesForAnyNumberOfThreads) {
  at::manual_seed(64);
  const at::Tensor x = random_floats({2300, 96}), w = random_floats({200, 96}), dy = random_floats({2300, 200}),
                   zero = at::zeros({200, 96}, at::kFloat);
  const at::Tensor half = w.to(at::kBFloat16);
  const auto run = [&](int threads) {
    const ThreadCount scope(threads);
    return std::vector<at::Tensor>{transposed(x, w),    plain(dy, w),    accumulated(dy, x, zero),
                                   transposed(x, half), plain(dy, half), accumulated<BFloat16>(dy, x, zero)};
  };
  const auto one = run(1);
  for (const int threads : {2, 3, 5}) {
    const auto other = run(threads);
    for (std::size_t i = 0; i < one.size(); ++i)
      EXPECT_TRUE(same_bytes(one[i], other[i])) << "product " << i << ", " << threads << " threads";
  }
}

TEST(Product, CutsALargeHeadIntoPieces) {
  at::manual_seed(65);
  const std::int64_t vocabulary = 40000, inner = 200;  // more than 16 MiB
  const at::Tensor x = random_floats({9, inner}), w = random_floats({vocabulary, inner}),
                   dy = random_floats({9, vocabulary});
  expect_close(transposed(x, w), at::mm(x.to(at::kDouble), w.to(at::kDouble).t()), 2e-6, "logits");
  const double allowed = 2 * relative_difference(at::mm(dy, w), at::mm(dy.to(at::kDouble), w.to(at::kDouble))) + 2e-6;
  expect_close(plain(dy, w), at::mm(dy.to(at::kDouble), w.to(at::kDouble)), allowed, "backward");
}

}  // namespace
}  // namespace whet::engine::kernels
