// Answers as mathematics: numbers, expressions, lists and sets, tuples and intervals, matrices, equations,
// inequalities.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace whet::text {

enum class AnswerKind {
  kNumber,      ///< rational
  kExpression,  ///< any other quantity: "\\sqrt{2}", "x^2+1"
  kList,        ///< values whose order does not matter: "1, 2", "\\{1,2\\}", "1 \\pm \\sqrt{2}"
  kTuple,       ///< values in order: "(1,2)"; an open interval looks the same and is one
  kInterval,    ///< "[1,2)", unions of them, inequalities in one letter
  kMatrix,
  kEquation,    ///< between several letters
  kInequality,  ///< between several letters
  kChoice,      ///< "B"
  kWords,
  kNumeral,  ///< "1011_2"
  kText,     ///< nothing that is understood: compared as it is written
};

/// An answer in canonical form.
struct Answer {
  AnswerKind kind = AnswerKind::kText;
  std::string text;
  std::vector<std::string> parts = {};  ///< of lists, tuples, intervals and matrices
  bool too_hard = false;                ///< kText because of a bound, not because of its notation
};

/// The canonical form of an answer that is mathematics; nullopt when it is not, and when it is longer than
/// kMaxExpressionBytes. An answer that is beyond the bounds comes back as kText with an empty text.
std::optional<Answer> parse_answer(std::string_view answer);

}  // namespace whet::text
