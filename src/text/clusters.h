// Answers sorted into classes of equivalent ones.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace whet::text {

using Equivalence = std::function<bool(std::string_view, std::string_view)>;

/// The class of each answer: 0, 1, ... in order of first appearance, -1 for an absent one. Equal strings share a class
/// without a call; distinct strings are compared pairwise, unless they are already in one class. Classes are closed
/// under the relation (if a~b and b~c then a, b and c share one), so that the partition does not depend on the order of
/// the answers even when `equivalent` is not transitive.
std::vector<int> clusters(std::span<const std::optional<std::string>> answers, const Equivalence& equivalent);

}  // namespace whet::text
