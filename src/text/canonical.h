// One text for all the ways in which a maths answer is written.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "text/answer_parser.h"

namespace whet::text {

/// No answer that a person would write is longer.
inline constexpr std::size_t kMaxAnswerBytes = 65536;

/// The canonical form of an answer: two answers are equivalent exactly when their canonical forms are equal.
/// docs/grading.md shows every rule with examples; in short:
///
/// - Numbers become exact fractions in lowest terms: "025", "25.0", "$25$" and "50/2" give "25"; "1,000" gives "1000";
///   a decimal is the fraction that it writes, so "0.333" is not 1/3, and "0.\overline{3}" is.
/// - Expressions get the normal form of text/algebra.h: "\sqrt{8}" and "4/\sqrt2" give "2\sqrt{2}", "(x+1)^2" gives
///   "x^2+2x+1".
/// - Lists and sets lose their order, tuples, intervals and matrices keep it; "1 \pm \sqrt2" is a list of two.
/// - Units, degrees, percent and currency signs are dropped: "5\text{ cm}", "5 cm^2", "90^\circ", "50\%" and "\$5" give
///   "5", "5", "90", "50", "5". A percentage is the number that stands before the sign, as in the benchmarks' labels.
/// - A single letter, alone or as "(B)", "B.", "\text{(B)}" or "(B) 12 m", becomes the capital letter; words become
///   lower case.
/// - "x = 5" gives "5"; other equations between letters are compared up to a factor.
/// - Everything else is its plain LaTeX without blanks.
///
/// canonical(canonical(a)) == canonical(a) but for wrappers nested more than four deep on purpose. Empty when nothing
/// is left. Any bytes are allowed. Answers longer than kMaxAnswerBytes are only trimmed, and so compared as texts;
/// below that the time is linear in the length, but for mathematics of at most 4,096 bytes, whose work is counted and
/// bounded.
Answer canonical_answer(std::string_view answer);
inline std::string canonical(std::string_view answer) { return canonical_answer(answer).text; }

}  // namespace whet::text
