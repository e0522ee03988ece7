// One text for all the ways in which a maths answer is written.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace whet::text {

/// No answer that a person would write is longer.
inline constexpr std::size_t kMaxAnswerBytes = 65536;

/// The canonical form of an answer: two answers are equivalent exactly when their canonical forms are equal.
///
/// - Numbers become exact fractions in lowest terms: "025", "25.0", "$25$" and "50/2" give "25"; "1,000" gives "1000".
///   Numbers beyond the limits of text/expression.h stay as they are written.
/// - Units, degrees, percent and currency signs are dropped: "5\text{ cm}", "5 cm^2", "90^\circ", "50\%" and "\$5" give
///   "5", "5", "90", "50", "5". A percentage is the number that stands before the sign, as in the benchmarks' labels.
/// - A single letter, alone or as "(B)", "B." or "\text{(B)}", becomes the capital letter; words become lower case.
/// - "x = 5" gives "5" when the left side is one letter.
/// - Everything else is its plain LaTeX without blanks.
///
/// canonical(canonical(a)) == canonical(a) but for wrappers nested more than four deep on purpose. Empty when nothing
/// is left. Any bytes are allowed. Answers longer than kMaxAnswerBytes are only trimmed, and so compared as texts;
/// below that the time is linear in the length, but for numbers of at most 4,096 bytes.
std::string canonical(std::string_view answer);

}  // namespace whet::text
