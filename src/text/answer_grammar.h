// The grammar of formulas: lists, sums, products, powers, functions, brackets. Relations are left to who derives from
// it.
#pragma once

#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "text/answer_lexer.h"
#include "text/answer_value.h"
#include "text/expression.h"

namespace whet::text {

/// A recursive descent over the symbols of one answer. NotMathematics where they do not fit, TooHard beyond the bounds.
class Grammar : protected Values {
 protected:
  using Type = Token::Type;

  explicit Grammar(std::string_view answer) : answer_(answer), tokens_(tokens_of(answer)) {}
  ~Grammar() = default;

  /// An element of a list, up to what cannot continue it.
  virtual Value relation() = 0;
  virtual bool is_relation() const = 0;

  struct Level {
    explicit Level(int& depth) : depth_(depth) {
      if (++depth_ > kMaxExpressionDepth) {
        --depth_;
        throw TooHard{};
      }
    }
    ~Level() { --depth_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;
    int& depth_;
  };

  const Token& now(std::size_t ahead = 0) const;
  bool take(std::string_view symbol);
  void expect(std::string_view symbol);
  bool is_conjunction() const;
  bool take_separator(Value::Separator& separator);
  bool ends_element() const;
  /// Elements up to whatever cannot continue the list. An element with "\pm" counts twice, once with each sign.
  std::vector<Value> list();
  /// +1 or -1 for a sign, with "\pm" as the round has it; 0 when none is next.
  int take_sign();
  Value sum();
  bool begins_factor() const;
  /// Moves behind a unit of measurement, or behind a text that only comments on the value before it.
  bool take_unit(const Value& value);
  Value product();
  /// "2 \cdot -3".
  Value signed_factor();
  Value factor();
  Quantity quantity_of(Value value);
  Quantity exponent();
  /// An argument of \frac, \sqrt and the like: in braces, or the next symbol.
  Quantity argument();
  mpq_class literal(const Token& token);
  static bool is_whole(const Token& token);
  /// The fraction of "1 \frac{1}{2}" or "1 1/2" behind a whole number, when one stands there.
  std::optional<mpq_class> take_mixed_fraction(const Token& whole);
  /// `may_be_mixed`: a fraction behind a whole number belongs to it. Not in "x^2 \frac{1}{2}" and "\frac12\frac34".
  Value base(bool may_be_mixed = true);
  Value letter(const Token& token);
  Value function(const Token& token);
  Value bracket(const Token& token);
  /// A bracketed quantity, a tuple, or an interval.
  Value bracketed(const Token& token);
  Value set();
  Value matrix();

  std::string_view answer_;
  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  int depth_ = 0;
  int absolutes_ = 0;  ///< bars that are open in this bracket
  int angles_ = 0;     ///< trigonometric functions around: degrees count
  int sign_ = 1;       ///< what "\pm" is in this round
  bool sign_seen_ = false;
};

}  // namespace whet::text
