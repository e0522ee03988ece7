// What a parsed answer is made of, and the operations on it that need no grammar.
#pragma once

#include <string>
#include <vector>

#include "text/algebra.h"
#include "text/answer_parser.h"

namespace whet::text {

struct Value {
  enum class Kind { kQuantity, kTuple, kInterval, kUnion, kList, kMatrix, kRatio, kRelation };
  enum class Separator { kNone, kComma, kSemicolon, kAnd, kOr };
  Kind kind = Kind::kQuantity;
  Quantity quantity = Algebra::number(0);
  std::vector<Value> items = {};
  char open = '(', close = ')';            ///< kInterval
  std::size_t columns = 0;                 ///< kMatrix
  std::string text = {};                   ///< kRelation
  bool is_equation = false;                ///< kRelation
  Separator separator = Separator::kNone;  ///< in a list: what stands before it
  bool is_condition = false;               ///< kInterval, kUnion: an inequality says it
  std::string name = {};                   ///< what stood before "=" or "\in"
};

/// Operations on values; one algebra for all quantities of an answer.
class Values {
 public:
  Value of_quantity(Quantity quantity);
  Value made_relation(std::string text, bool is_equation);
  Value interval(const Quantity& low, bool low_closed, const Quantity& high, bool high_closed);
  /// Infinity belongs to no interval, whatever bracket stands beside it.
  Value opened(Value interval);
  Quantity infinity(int sign);
  Value without_points(std::vector<Quantity> points);
  /// The elements of a list that is not in brackets, as one value.
  Value joined(std::vector<Value> items);
  /// "(2, \infty)", which can only be an interval.
  bool is_unbounded(const Value& value);
  /// Rationals by value, then the rest by text.
  void sort(std::vector<Value>& items);
  std::vector<Value> distinct(std::vector<Value> items);
  Value combined(const Value& a, const Value& b, char operation);
  Value negated(const Value& a);
  std::string text(const Value& value, bool is_outermost);
  static AnswerKind kind_of(const Value& value);

 protected:
  /// Operations on one machine word: some ten milliseconds at most.
  static constexpr long kMaxOperations = 150000;
  Algebra algebra_{kMaxOperations};
  Budget budget_{kMaxOperations};
};

}  // namespace whet::text
