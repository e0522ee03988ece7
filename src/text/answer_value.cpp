#include "text/answer_value.h"

#include <algorithm>
#include <set>
#include <utility>

#include "text/answer_lexer.h"

namespace whet::text {

bool Values::is_unbounded(const Value& value) {
  if (value.kind != Value::Kind::kTuple || value.items.size() != 2) return false;
  const std::string low = text(value.items[0], false), high = text(value.items[1], false);
  return low == "-\\infty" || high == "\\infty";
}

void Values::sort(std::vector<Value>& items) {
  struct Key {
    bool is_rational;
    mpq_class value;
    std::string text;
    std::size_t index;
  };
  std::vector<Key> keys;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const bool is_rational = items[i].kind == Value::Kind::kQuantity && Algebra::is_rational(items[i].quantity);
    keys.push_back(
        {is_rational, is_rational ? Algebra::rational(items[i].quantity) : mpq_class(0), text(items[i], false), i});
  }
  std::sort(keys.begin(), keys.end(), [](const Key& a, const Key& b) {
    if (a.is_rational != b.is_rational) return a.is_rational;
    if (a.is_rational) return a.value < b.value;
    return a.text < b.text;
  });
  std::vector<Value> sorted;
  for (const Key& key : keys) sorted.push_back(std::move(items[key.index]));
  items = std::move(sorted);
}

std::vector<Value> Values::distinct(std::vector<Value> items) {
  sort(items);
  std::vector<Value> out;
  std::string last;
  for (Value& item : items) {
    std::string own = text(item, false);
    if (!out.empty() && own == last) continue;
    last = std::move(own);
    out.push_back(std::move(item));
  }
  return out;
}

Value Values::made_relation(std::string text, bool is_equation) {
  Value result;
  result.kind = Value::Kind::kRelation;
  result.text = std::move(text);
  result.is_equation = is_equation;
  return result;
}

Value Values::of_quantity(Quantity quantity) {
  Value result;
  result.quantity = std::move(quantity);
  return result;
}

Value Values::interval(const Quantity& low, bool low_closed, const Quantity& high, bool high_closed) {
  Value result;
  result.kind = Value::Kind::kInterval;
  result.open = low_closed ? '[' : '(';
  result.close = high_closed ? ']' : ')';
  result.items = {of_quantity(low), of_quantity(high)};
  return opened(std::move(result));
}

Value Values::opened(Value interval) {
  if (text(interval.items[0], false) == "-\\infty") interval.open = '(';
  if (text(interval.items[1], false) == "\\infty") interval.close = ')';
  return interval;
}

Quantity Values::infinity(int sign) {
  const Quantity positive = algebra_.symbol("\\infty");
  return sign > 0 ? positive : algebra_.negative(positive);
}

Value Values::without_points(std::vector<Quantity> points) {
  const auto less = [this](const Quantity& a, const Quantity& b) {
    const int sign = algebra_.sign(algebra_.subtract(a, b));
    if (sign == Algebra::kUnknownSign) throw NotMathematics{};
    return sign < 0;
  };
  std::sort(points.begin(), points.end(), less);
  Value result;
  result.kind = Value::Kind::kUnion;
  Quantity low = infinity(-1);
  for (const Quantity& point : points) {
    result.items.push_back(interval(low, false, point, false));
    low = point;
  }
  result.items.push_back(interval(low, false, infinity(1), false));
  sort(result.items);
  return result;
}

Value Values::combined(const Value& a, const Value& b, char operation) {
  const bool left_matrix = a.kind == Value::Kind::kMatrix, right_matrix = b.kind == Value::Kind::kMatrix;
  if (!left_matrix && !right_matrix) {
    if (a.kind != Value::Kind::kQuantity || b.kind != Value::Kind::kQuantity) throw NotMathematics{};
    switch (operation) {
      case '+':
        return of_quantity(algebra_.add(a.quantity, b.quantity));
      case '-':
        return of_quantity(algebra_.subtract(a.quantity, b.quantity));
      case '*':
        return of_quantity(algebra_.multiply(a.quantity, b.quantity));
      default:
        return of_quantity(algebra_.divide(a.quantity, b.quantity));
    }
  }
  if (left_matrix && right_matrix && operation == '*') {
    const std::size_t inner = a.columns, rows = a.items.size() / inner;
    if (b.items.size() / b.columns != inner) throw NotMathematics{};
    Value product;
    product.kind = Value::Kind::kMatrix;
    product.columns = b.columns;
    for (std::size_t row = 0; row < rows; ++row) {
      for (std::size_t column = 0; column < b.columns; ++column) {
        Value sum = of_quantity(Algebra::number(0));
        for (std::size_t k = 0; k < inner; ++k) {
          const Value term = combined(a.items[row * inner + k], b.items[k * b.columns + column], '*');
          sum = combined(sum, term, '+');
        }
        product.items.push_back(std::move(sum));
      }
    }
    return product;
  }
  Value result = left_matrix ? a : b;
  const bool is_sum = operation == '+' || operation == '-';
  if (is_sum ? !left_matrix || !right_matrix || a.columns != b.columns || a.items.size() != b.items.size()
             : left_matrix == right_matrix || (operation == '/' && right_matrix)) {
    throw NotMathematics{};
  }
  for (std::size_t i = 0; i < result.items.size(); ++i) {
    result.items[i] = is_sum || left_matrix ? combined(a.items[i], is_sum ? b.items[i] : b, operation)
                                            : combined(a, b.items[i], operation);
  }
  return result;
}

Value Values::negated(const Value& a) { return combined(of_quantity(Algebra::number(-1)), a, '*'); }

Value Values::joined(std::vector<Value> items) {
  if (items.size() == 1) return std::move(items[0]);
  // "p = 5, q = 2; p = 7, q = 2" is a list of two.
  std::vector<std::vector<Value>> groups(1);
  for (Value& item : items) {
    if (item.separator == Value::Separator::kSemicolon) {
      groups.emplace_back();
      item.separator = Value::Separator::kComma;
    }
    groups.back().push_back(std::move(item));
  }
  if (groups.size() > 1 && groups.size() < items.size()) {
    std::vector<Value> parts;
    for (std::vector<Value>& group : groups) parts.push_back(joined(std::move(group)));
    return joined(std::move(parts));
  }
  items.clear();
  for (std::vector<Value>& group : groups) {
    for (Value& item : group) items.push_back(std::move(item));
  }
  // "y = 2, x = 1" is (1,2): values in the order of their names. Names that differ in their index alone, as in
  // "x_1 = 3, x_2 = 5", count solutions, and "x = 1 or x = 2" and "x = 1, 2" are lists too.
  std::set<std::string> names, stems;
  for (const Value& item : items) {
    if (item.name.empty()) continue;
    names.insert(item.name);
    stems.insert(item.name.substr(0, item.name.find('_')));
  }
  if (names.size() == items.size() && stems.size() == names.size()) {
    std::sort(items.begin(), items.end(), [](const Value& a, const Value& b) { return a.name < b.name; });
    Value result;
    result.kind = Value::Kind::kTuple;
    result.items = std::move(items);
    return result;
  }
  Value result;
  const bool all_regions = std::all_of(items.begin(), items.end(), [this](const Value& item) {
    return item.kind == Value::Kind::kInterval || item.kind == Value::Kind::kUnion || is_unbounded(item);
  });
  const bool all_or = std::all_of(items.begin(), items.end(), [](const Value& item) {
    return item.separator == Value::Separator::kNone || item.separator == Value::Separator::kOr;
  });
  // "x > 0 and x < 1", "x > 0, x != 1" mean both at once.
  const bool has_condition =
      std::any_of(items.begin(), items.end(), [](const Value& item) { return item.is_condition; });
  if (has_condition && !all_or) throw NotMathematics{};
  if (all_regions && !items.empty()) {  // "x < 2 or x > 3"
    result.kind = Value::Kind::kUnion;
    for (Value& item : items) {
      if (item.kind == Value::Kind::kUnion) {
        for (Value& inner : item.items) result.items.push_back(std::move(inner));
      } else {
        result.items.push_back(std::move(item));
      }
    }
    result.items = distinct(std::move(result.items));
    return result;
  }
  result.kind = Value::Kind::kList;
  for (Value& item : items) {
    if (item.kind == Value::Kind::kList) {
      for (Value& inner : item.items) result.items.push_back(std::move(inner));
    } else {
      result.items.push_back(std::move(item));
    }
  }
  sort(result.items);
  if (!all_or) return result;
  result.items = distinct(std::move(result.items));  // "7/3 or 2 1/3" offers one value
  return result.items.size() == 1 ? std::move(result.items[0]) : result;
}

std::string Values::text(const Value& value, bool is_outermost) {
  std::string out;
  switch (value.kind) {
    case Value::Kind::kQuantity:
      return algebra_.text(value.quantity);
    case Value::Kind::kRelation:
      return value.text;
    case Value::Kind::kTuple:
    case Value::Kind::kInterval: {
      for (const Value& item : value.items) out += (out.empty() ? "" : ",") + text(item, false);
      return value.open + out + value.close;
    }
    case Value::Kind::kRatio:
      for (const Value& item : value.items) out += (out.empty() ? "" : ":") + text(item, false);
      return out;
    case Value::Kind::kUnion:
      for (const Value& item : value.items) out += (out.empty() ? "" : "\\cup") + text(item, false);
      return out;
    case Value::Kind::kList:
      if (value.items.empty()) return "\\emptyset";
      for (const Value& item : value.items) out += (out.empty() ? "" : ", ") + text(item, false);
      return is_outermost ? out : "\\{" + out + "\\}";
    case Value::Kind::kMatrix: {
      out = "\\begin{pmatrix}";
      for (std::size_t i = 0; i < value.items.size(); ++i) {
        if (i > 0) out += i % value.columns == 0 ? "\\\\" : "&";
        out += text(value.items[i], false);
      }
      return out + "\\end{pmatrix}";
    }
  }
  return out;
}

AnswerKind Values::kind_of(const Value& value) {
  switch (value.kind) {
    case Value::Kind::kQuantity:
      return Algebra::is_rational(value.quantity) ? AnswerKind::kNumber : AnswerKind::kExpression;
    case Value::Kind::kTuple:
    case Value::Kind::kRatio:
      return AnswerKind::kTuple;
    case Value::Kind::kInterval:
    case Value::Kind::kUnion:
      return AnswerKind::kInterval;
    case Value::Kind::kList:
      return AnswerKind::kList;
    case Value::Kind::kMatrix:
      return AnswerKind::kMatrix;
    case Value::Kind::kRelation:
      return value.is_equation ? AnswerKind::kEquation : AnswerKind::kInequality;
  }
  return AnswerKind::kText;
}

}  // namespace whet::text
