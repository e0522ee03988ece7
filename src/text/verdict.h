// Verdicts: whether a text that judges a solution says that it is right.
#pragma once

#include <optional>
#include <string_view>

namespace whet::text {

/// The last `\boxed{...}` that holds True or False and nothing else decides; case does not matter, nor do blanks, one more
/// pair of braces, and \text{}, \textbf{}, \mathrm{} or \mathbf{} around the word. nullopt when there is none: other words
/// ("I think it is correct") are no verdict.
std::optional<bool> boxed_verdict(std::string_view text);

/// A text that ends in T or F, as the generated tasks' own verdicts do: `3,7,25;25+7=32,32-3=29T`. nullopt otherwise.
std::optional<bool> mark_verdict(std::string_view text);

}  // namespace whet::text
