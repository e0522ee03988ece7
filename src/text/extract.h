// Where in a response the answer stands.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace whet::text {

/// The answer of a response, as it is written there (see canonical() for its form), by the first of these rules that
/// finds one:
///
/// 1. the last `\boxed{...}` or `\fbox{...}` with balanced braces and something inside (of nested ones the inner), or
///    `\boxed 5`, whichever begins later; with boxes before it from which only a comma, "and" or "or" parts it, all of
///    them as a list;
/// 2. the last `#### x`, up to the end of its line;
/// 3. the last `Answer: x` or `answer is x` (any case; perhaps with a colon, `**` or `=`), up to the end of its
///    sentence.
///
/// nullopt when there is none. Linear in the length of the response; any bytes are allowed.
std::optional<std::string> extract_answer(std::string_view response);

/// The same, as a view into `response`: where the answer stands.
std::optional<std::string_view> find_answer(std::string_view response);

}  // namespace whet::text
