// Attention in decoding beside its definition in double precision: every head width that has a body of its own, one that has
// none, heads that share keys, lengths around a vector's, windows.
#include <gmock/gmock.h>

#include <cmath>
#include <random>
#include <vector>

#include "engine/torch/kernels.h"

namespace whet::engine::kernels {
namespace {

struct Sequence {
  std::vector<float> prefix_keys, prefix_values, keys, values;  ///< [tokens, key width]
  std::int64_t prefix = 0, own = 0;
};

/// Where a token's number stands in a cache, written out once more.
std::size_t key_place(std::int64_t capacity, std::int64_t width, std::int64_t token, std::int64_t column) {
  return static_cast<std::size_t>(column / width * capacity * width + token / 16 * 16 * width + column % width * 16 +
                                  token % 16);
}
std::size_t value_place(std::int64_t capacity, std::int64_t width, std::int64_t token, std::int64_t column) {
  return static_cast<std::size_t>(column / width * capacity * width + token * width + column % width);
}

/// A cache's storage. What no token has written is not a number: nothing of it may reach a result.
struct Stored {
  std::vector<float> keys, values;
  std::int64_t capacity = 0;

  Stored(const std::vector<float>& key_rows, const std::vector<float>& value_rows, std::int64_t tokens,
         std::int64_t room, HeadShape shape)
      : capacity(KeyValueCache::padded(room)) {
    keys.assign(static_cast<std::size_t>(capacity * shape.key_width()), std::nanf(""));
    values = keys;
    for (std::int64_t token = 0; token < tokens; ++token) {
      for (std::int64_t column = 0; column < shape.key_width(); ++column) {
        const auto from = static_cast<std::size_t>(token * shape.key_width() + column);
        keys[key_place(capacity, shape.width, token, column)] = key_rows[from];
        values[value_place(capacity, shape.width, token, column)] = value_rows[from];
      }
    }
  }
  KeyValueCache cache() { return {keys.data(), values.data(), capacity}; }
};

std::vector<float> numbers(std::mt19937& random, std::int64_t count) {
  std::normal_distribution<float> normal;
  std::vector<float> drawn(static_cast<std::size_t>(count));
  for (float& value : drawn) value = normal(random);
  return drawn;
}

/// One head's result, from keys and values as they stand: the prefix, the sequence's own, the newest.
std::vector<double> expected(const Sequence& sequence, const float* prepared, HeadShape shape, std::int64_t window,
                             std::int64_t head) {
  const std::int64_t column = head / (shape.query_heads / shape.key_heads) * shape.width;
  std::vector<const float*> keys, values;
  for (std::int64_t j = 0; j < sequence.prefix; ++j) {
    keys.push_back(&sequence.prefix_keys[static_cast<std::size_t>(j * shape.key_width() + column)]);
    values.push_back(&sequence.prefix_values[static_cast<std::size_t>(j * shape.key_width() + column)]);
  }
  for (std::int64_t j = 0; j < sequence.own; ++j) {
    keys.push_back(&sequence.keys[static_cast<std::size_t>(j * shape.key_width() + column)]);
    values.push_back(&sequence.values[static_cast<std::size_t>(j * shape.key_width() + column)]);
  }
  keys.push_back(prepared + shape.query_width() + column);
  values.push_back(prepared + shape.query_width() + shape.key_width() + column);
  const std::size_t first =
      window > 0 && keys.size() > static_cast<std::size_t>(window) ? keys.size() - static_cast<std::size_t>(window) : 0;
  std::vector<double> result(static_cast<std::size_t>(shape.width));
  double total = 0;
  for (std::size_t j = first; j < keys.size(); ++j) {
    double dot = 0;
    for (std::int64_t c = 0; c < shape.width; ++c)
      dot += static_cast<double>(prepared[head * shape.width + c]) * static_cast<double>(keys[j][c]);
    const double weight = std::exp(dot / std::sqrt(static_cast<double>(shape.width)));
    total += weight;
    for (std::size_t c = 0; c < result.size(); ++c) result[c] += weight * static_cast<double>(values[j][c]);
  }
  for (double& value : result) value /= total;
  return result;
}

TEST(DecodeAttention, EqualsItsDefinition) {
  std::mt19937 random(5);
  for (const std::int64_t width : {16, 32, 64, 128, 24}) {
    for (const std::int64_t window : {0, 9, 33}) {
      const HeadShape shape{.query_heads = 4, .key_heads = 2, .width = width};
      std::vector<Sequence> sequences;
      std::vector<CachedKeys> cached;
      for (const std::int64_t prefix : {0, 1, 15, 16, 35}) {
        for (const std::int64_t own : {0, 3, 15, 16, 17, 40}) {
          const auto rows = [&](std::int64_t count) { return numbers(random, count * shape.key_width()); };
          sequences.push_back({rows(prefix), rows(prefix), rows(own + 1), rows(own + 1), prefix, own});
        }
      }
      std::vector<Stored> prefixes, owns;
      for (const Sequence& sequence : sequences) {
        prefixes.emplace_back(sequence.prefix_keys, sequence.prefix_values, sequence.prefix, sequence.prefix, shape);
        owns.emplace_back(sequence.keys, sequence.values, sequence.own, sequence.own + 1, shape);
      }
      for (std::size_t i = 0; i < sequences.size(); ++i) {
        cached.push_back({prefixes[i].cache(), sequences[i].prefix, owns[i].cache(), sequences[i].own});
      }
      const auto count = static_cast<std::int64_t>(sequences.size());
      const std::vector<float> prepared = numbers(random, count * shape.qkv_width());
      std::vector<float> out(static_cast<std::size_t>(count * shape.query_width()));
      decode_attention(prepared.data(), out.data(), cached, shape, window);
      for (std::int64_t i = 0; i < count; ++i) {
        const Sequence& sequence = sequences[static_cast<std::size_t>(i)];
        const float* row = prepared.data() + i * shape.qkv_width();
        for (std::int64_t head = 0; head < shape.query_heads; ++head) {
          const std::vector<double> wanted = expected(sequence, row, shape, window, head);
          for (std::int64_t c = 0; c < width; ++c) {
            ASSERT_NEAR(out[static_cast<std::size_t>(i * shape.query_width() + head * width + c)],
                        wanted[static_cast<std::size_t>(c)], 1e-5)
                << "width " << width << ", window " << window << ", prefix " << sequence.prefix << ", own "
                << sequence.own << ", head " << head;
          }
        }
        // The newest key and value were stored behind the others.
        const Stored& own = owns[static_cast<std::size_t>(i)];
        for (std::int64_t c = 0; c < shape.key_width(); ++c) {
          ASSERT_EQ(own.keys[key_place(own.capacity, width, sequence.own, c)], row[shape.query_width() + c]);
          ASSERT_EQ(own.values[value_place(own.capacity, width, sequence.own, c)],
                    row[shape.query_width() + shape.key_width() + c]);
        }
      }
    }
  }
}

}  // namespace
}  // namespace whet::engine::kernels
