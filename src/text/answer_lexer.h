// An answer cut into the symbols of mathematics: LaTeX, plain text ("sqrt(2)/2 <= x") and Unicode signs alike.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace whet::text {

/// Thrown when a text is no mathematics that is understood.
struct NotMathematics {};

struct Token {
  enum class Type {
    kEnd,
    kNumber,    ///< text: digits with point and exponent, separators of thousands removed; `repeating` digits follow
    kLetter,    ///< one letter
    kWord,      ///< several letters that are neither a function nor a product of letters
    kName,      ///< "\\theta", "\\pi", "\\infty"
    kFunction,  ///< "sin", "ln", "sqrt", ...
    kText,      ///< what stands in a text box
    kSymbol,    ///< an operator or bracket; "\\{" and "\\}" are a set's, "{" and "}" LaTeX's
  };
  Type type = Type::kEnd;
  std::string text;
  std::string repeating;  ///< kNumber: the period of a repeating decimal
  std::size_t begin = 0;  ///< where it stands in the answer
  bool after_blank = false;
  bool begins_run = false;  ///< kLetter, kWord: no letter stands directly before it
  int opened_at = -1;       ///< "}": index of its "{"

  bool is(std::string_view symbol) const { return type == Type::kSymbol && text == symbol; }
};

/// The symbols of an answer, with a kEnd behind them. NotMathematics for signs and commands that are not known.
/// A comma that is followed by exactly three digits joins thousands outside brackets and separates inside them.
std::vector<Token> tokens_of(std::string_view answer);

}  // namespace whet::text
