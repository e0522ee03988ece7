// Arithmetic written as text: parsed into a small tree, evaluated exactly, and brought to a normal form.
//
// One parser serves the answers of maths problems ("3/4", "2^10"), Countdown's checker and its votes. Everything is
// bounded: a model writes what it likes ("9^9^9^9", a million brackets), and a grader must neither hang nor run out of
// memory.
#pragma once

#include <gmpxx.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace whet::text {

/// Longest text that is parsed, in bytes. Longer ones are no expressions.
inline constexpr std::size_t kMaxExpressionBytes = 4096;
/// Deepest nesting of brackets, signs and powers.
inline constexpr int kMaxExpressionDepth = 64;
/// Largest numerator or denominator of any intermediate value, in bits (about 4,900 decimal digits).
inline constexpr std::size_t kMaxNumberBits = 16384;

/// A parsed expression. Sums and products have any number of children, so that chains are flat and depth stays small.
struct Expression {
  enum class Kind { kLiteral, kSum, kProduct, kPower };
  struct Node {
    Kind kind = Kind::kLiteral;
    std::string literal;         ///< kLiteral: digits, perhaps with a point and an exponent ("1.5e-3")
    std::vector<int> children;   ///< indexes into `nodes`; kPower: base, exponent
    std::vector<bool> inverted;  ///< per child: subtracted (kSum) or divided by (kProduct)
  };
  std::vector<Node> nodes;
  int root = 0;

  /// The numbers as written, from left to right.
  std::vector<std::string> literals() const;
};

struct ExpressionSyntax {
  bool powers = true;    ///< "2^10", right-associative; a sign may precede the exponent
  bool decimals = true;  ///< "1.5", ".5" and "1.5e-3"; without it literals are digits only
};

/// Parses + - * / ^ ( ) over unsigned numbers; blanks may stand between symbols. nullopt when the text is anything
/// else.
std::optional<Expression> parse_expression(std::string_view text, const ExpressionSyntax& syntax = {});

/// The exact value; nullopt on division by zero, a power that is not rational, 0^0, or a value beyond kMaxNumberBits.
std::optional<mpq_class> evaluate(const Expression& expression);

/// The exact value of one unsigned decimal literal, or nullopt when it is malformed or beyond kMaxNumberBits.
std::optional<mpq_class> literal_value(std::string_view literal);

/// A text of the same expression in which nested sums and products are flattened and their parts sorted (longer numbers
/// after shorter ones, then by text), so that expressions equal up to commutativity, associativity, brackets and the
/// signs of sums agree: "(25+7)-3", "7-(3-25)" and "7+25-3" all give "7+25-3". Parsing it gives it back.
std::string normal_form(const Expression& expression);

}  // namespace whet::text
