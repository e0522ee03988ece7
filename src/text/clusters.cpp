#include "text/clusters.h"

#include <numeric>
#include <unordered_map>

namespace whet::text {

std::vector<int> clusters(std::span<const std::optional<std::string>> answers, const Equivalence& equivalent) {
  std::unordered_map<std::string_view, int> known;
  std::vector<std::string_view> distinct;
  std::vector<int> distinct_of(answers.size(), -1);
  for (std::size_t i = 0; i < answers.size(); ++i) {
    if (!answers[i]) continue;
    const auto [entry, is_new] = known.emplace(*answers[i], static_cast<int>(distinct.size()));
    if (is_new) distinct.push_back(*answers[i]);
    distinct_of[i] = entry->second;
  }

  // Union by the smaller index, so that a root is the first appearance of its class.
  std::vector<int> parent(distinct.size());
  std::iota(parent.begin(), parent.end(), 0);
  const auto root = [&parent](int i) {
    while (parent[i] != i) i = parent[i] = parent[parent[i]];
    return i;
  };
  for (int i = 1; i < static_cast<int>(distinct.size()); ++i) {
    for (int j = 0; j < i; ++j) {
      const int a = root(i), b = root(j);
      if (a != b && equivalent(distinct[j], distinct[i])) parent[std::max(a, b)] = std::min(a, b);
    }
  }

  std::vector<int> id_of_root(distinct.size(), -1);
  std::vector<int> result(answers.size(), -1);
  int next = 0;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    if (distinct_of[i] < 0) continue;
    int& id = id_of_root[root(distinct_of[i])];
    if (id < 0) id = next++;
    result[i] = id;
  }
  return result;
}

}  // namespace whet::text
