#include "text/answer_parser.h"

#include <algorithm>
#include <set>
#include <utility>

#include "text/algebra.h"
#include "text/answer_lexer.h"
#include "text/expression.h"
#include "text/latex.h"
#include "text/units.h"

namespace whet::text {
namespace {

/// Operations on one machine word: some ten milliseconds at most.
constexpr long kMaxOperations = 400000;

struct Value {
  enum class Kind { kQuantity, kTuple, kInterval, kUnion, kList, kMatrix, kRatio, kRelation };
  Kind kind = Kind::kQuantity;
  Quantity quantity = Algebra::number(0);
  std::vector<Value> items = {};
  char open = '(', close = ')';  ///< kInterval
  std::size_t columns = 0;       ///< kMatrix
  std::string text = {};         ///< kRelation
  bool is_equation = false;      ///< kRelation
  std::string name = {};         ///< what stood before "=" or "\in"
};

class Parser {
 public:
  explicit Parser(std::string_view answer) : answer_(answer), tokens_(tokens_of(answer)) {}

  Answer parse() {
    while (now().is("=") || now().is("approx")) ++at_;  // "= 5", "\approx 5"
    std::vector<Value> items = list();
    if (now().type != Token::Type::kEnd || items.empty()) throw NotMathematics{};
    Value all = joined(std::move(items));
    Answer answer;
    answer.text = text(all, true);
    answer.kind = kind_of(all);
    if (all.kind != Value::Kind::kQuantity && all.kind != Value::Kind::kRelation) {
      for (const Value& item : all.items) answer.parts.push_back(text(item, false));
    }
    return answer;
  }

 private:
  using Type = Token::Type;

  // --- symbols ------------------------------------------------------------------------------------------------------

  const Token& now(std::size_t ahead = 0) const { return tokens_[std::min(at_ + ahead, tokens_.size() - 1)]; }

  bool take(std::string_view symbol) {
    if (!now().is(symbol)) return false;
    ++at_;
    return true;
  }

  void expect(std::string_view symbol) {
    if (!take(symbol)) throw NotMathematics{};
  }

  bool is_conjunction() const {
    if (now().is("and")) return true;
    if (now().type != Type::kText) return false;
    const std::string& word = now().text;
    return word == "and" || word == "or" || word == ",";
  }

  bool take_separator() {
    bool taken = false;
    while (now().is(",") || now().is(";") || is_conjunction()) {
      ++at_;
      taken = true;
    }
    return taken;
  }

  bool ends_element() const {
    return now().type == Type::kEnd || now().is(",") || now().is(";") || now().is(")") || now().is("]") ||
           now().is("\\}") || now().is("}") || now().is(">)") || now().is("&") || now().is("\\\\") || now().is("end") ||
           is_conjunction();
  }

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

  // --- lists --------------------------------------------------------------------------------------------------------

  /// Elements up to whatever cannot continue the list. An element with "\pm" counts twice, once with each sign.
  std::vector<Value> list() {
    std::vector<Value> items;
    do {
      if (ends_element()) break;
      const std::size_t begin = at_;
      const bool outer_seen = sign_seen_;
      const int outer_sign = sign_;
      sign_seen_ = false;
      sign_ = 1;
      items.push_back(relation());
      if (sign_seen_) {
        const std::size_t end = at_;
        at_ = begin;
        sign_ = -1;
        Value other = relation();
        if (at_ != end) throw NotMathematics{};
        if (text(other, false) != text(items.back(), false)) items.push_back(std::move(other));
      }
      sign_seen_ = outer_seen;
      sign_ = outer_sign;
    } while (take_separator());
    return items;
  }

  /// The elements of a list that is not in brackets, as one value.
  Value joined(std::vector<Value> items) {
    if (items.size() == 1) return std::move(items[0]);
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
    return result;
  }

  /// "(2, \infty)", which can only be an interval.
  bool is_unbounded(const Value& value) {
    if (value.kind != Value::Kind::kTuple || value.items.size() != 2) return false;
    const std::string low = text(value.items[0], false), high = text(value.items[1], false);
    return low == "-\\infty" || high == "\\infty";
  }

  /// Rationals by value, then the rest by text.
  void sort(std::vector<Value>& items) {
    struct Key {
      bool is_rational;
      mpq_class value;
      std::string text;
      std::size_t index;
    };
    std::vector<Key> keys;
    for (std::size_t i = 0; i < items.size(); ++i) {
      const bool is_rational = items[i].kind == Value::Kind::kQuantity && Algebra::is_rational(items[i].quantity);
      keys.push_back({is_rational, is_rational ? Algebra::rational(items[i].quantity) : mpq_class(0),
                      text(items[i], false), i});
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

  // --- relations ----------------------------------------------------------------------------------------------------

  bool is_relation() const {
    for (const std::string_view symbol : {"=", "<", ">", "<=", ">=", "!=", "in", "approx"}) {
      if (now().is(symbol)) return true;
    }
    return false;
  }

  /// Behind the "=" or "\in" of "x = ...", "f(x) = ...", "\text{Area} = ...", "m\angle A = ..."; 0 where no name stands.
  std::size_t after_name() const {
    std::size_t i = at_;
    int depth = 0;
    bool has_letter = false, has_fraction = false;
    std::size_t plain_letters = 0;
    for (; i < tokens_.size(); ++i) {
      const Token& token = tokens_[i];
      if (token.is("frac") || token.is("/") || token.is(":") || token.is("|")) {
        has_fraction = true;  // "\frac{NO}{BO} = ...", "A:B = ...", "|AB| = ...": of capitals only
      } else if (token.is("(") || token.is("{")) {
        ++depth;
      } else if (token.is(")") || token.is("}")) {
        if (--depth < 0) return 0;
      } else if (depth == 0) {
        if (token.is("=") || token.is("in") || token.is("approx")) break;
        const bool is_letter = token.type == Type::kLetter;
        const bool is_wordy = token.type == Type::kWord || token.type == Type::kName || token.type == Type::kText;
        const bool is_index = i > at_ && tokens_[i - 1].is("_");
        if (is_letter && !is_index && token.text[0] >= 'a') ++plain_letters;
        if (is_letter || is_wordy) {
          has_letter = true;
        } else if (!(token.is("_") || token.is("angle") || (token.type == Type::kNumber && is_index))) {
          return 0;
        }
      } else if (token.type == Type::kEnd) {
        return 0;
      }
    }
    if (i >= tokens_.size() || i == at_) return 0;
    // "(x, y) = ..." names a point; "xy = 6" is an equation.
    const bool is_point = tokens_[at_].is("(") && tokens_[i - 1].is(")");
    if (is_point) {
      for (std::size_t j = at_; j < i; ++j) {
        const bool fits = tokens_[j].type == Type::kLetter || tokens_[j].type == Type::kName || tokens_[j].is("(") ||
                          tokens_[j].is(")") || tokens_[j].is(",");
        if (!fits) return 0;
      }
      return i + 1;
    }
    if (has_fraction) {
      bool all_capitals = true;
      for (std::size_t j = at_; j < i; ++j) {
        const bool is_index = tokens_[j - (j > at_ ? 1 : 0)].is("_");
        all_capitals &= tokens_[j].type == Type::kSymbol || is_index ||
                        (tokens_[j].type == Type::kLetter && tokens_[j].text[0] <= 'Z') ||
                        (tokens_[j].type == Type::kWord && tokens_[j].text[0] <= 'Z');
        if (tokens_[j].is("+") || tokens_[j].is("-") || tokens_[j].is("*")) return 0;
      }
      const bool is_letters = std::any_of(tokens_.begin() + static_cast<long>(at_), tokens_.begin() + static_cast<long>(i),
                                          [](const Token& token) { return token.type == Type::kLetter; });
      return all_capitals && is_letters ? i + 1 : 0;
    }
    if (!has_letter || plain_letters > 1) return 0;
    return i + 1;
  }

  static std::string name_of(const std::vector<Token>& tokens, std::size_t begin, std::size_t end) {
    std::string name;
    for (std::size_t i = begin; i + 1 < end; ++i) name += tokens[i].text;
    return name;
  }

  Value relation() {
    const Level level(depth_);
    if (const std::size_t behind = after_name(); behind != 0) {
      const std::string name = name_of(tokens_, at_, behind);
      const std::size_t begin = at_;
      at_ = behind;
      Value right = relation();
      // "y = 2x + y" is an equation of its own; "x = 2y + 3" is solved for y by the rule of equations.
      const bool is_letter = behind == begin + 2 && right.kind == Value::Kind::kQuantity;
      const bool is_equals = tokens_[behind - 1].is("=");
      if (is_letter && is_equals && tokens_[begin].type != Type::kText && tokens_[begin].type != Type::kWord) {
        const Quantity left = algebra_.symbol(tokens_[begin].text);
        const auto letters = algebra_.letters(right.quantity);
        const bool is_own = std::find(letters.begin(), letters.end(), name) != letters.end();
        if (is_own || (name == "x" && letters == std::vector<std::string>{"y"})) {
          return equation(left, right.quantity);
        }
      }
      right.name = name;
      return right;
    }
    std::vector<Value> sides{set_expression()};
    std::vector<std::string> operators;
    while (is_relation()) {
      const std::string relation = now().text;
      ++at_;
      Value side = set_expression();
      if (relation == "approx") {  // "\sqrt{2} \approx 1.414" is \sqrt{2}
        while (is_relation()) {
          ++at_;
          set_expression();
        }
        break;
      }
      operators.push_back(relation);
      sides.push_back(std::move(side));
    }
    if (operators.empty()) return now().is(":") ? ratio(std::move(sides[0])) : std::move(sides[0]);
    for (const Value& side : sides) {
      if (side.kind != Value::Kind::kQuantity) throw NotMathematics{};
    }
    const bool all_equal = std::all_of(operators.begin(), operators.end(), [](const auto& o) { return o == "="; });
    if (all_equal) {
      const bool all_numbers = std::all_of(sides.begin(), sides.end(),
                                           [this](const Value& side) { return algebra_.is_number(side.quantity); });
      if (all_numbers) return std::move(sides.back());  // "2 + 3 = 5"
      if (sides.size() != 2) throw NotMathematics{};
      return equation(sides[0].quantity, sides[1].quantity);
    }
    return inequality(sides, operators);
  }

  /// "3:4" is the quotient; of three and more parts the first that is not 0 becomes 1.
  Value ratio(Value first) {
    std::vector<Quantity> parts{quantity_of(std::move(first))};
    while (take(":")) {
      const std::string& written = now().text;
      if (now().type == Type::kNumber && written.size() > 1 && written[0] == '0') throw NotMathematics{};  // a time
      parts.push_back(quantity_of(set_expression()));
    }
    if (parts.size() == 2) return of_quantity(algebra_.divide(parts[0], parts[1]));
    Value result;
    result.kind = Value::Kind::kRatio;
    const auto unit = std::find_if(parts.begin(), parts.end(), [](const Quantity& part) { return !part.num.empty(); });
    if (unit == parts.end()) throw NotMathematics{};
    const Quantity scale = *unit;
    for (const Quantity& part : parts) result.items.push_back(of_quantity(algebra_.divide(part, scale)));
    return result;
  }

  Value made_relation(std::string text, bool is_equation) {
    Value result;
    result.kind = Value::Kind::kRelation;
    result.text = std::move(text);
    result.is_equation = is_equation;
    return result;
  }

  Value of_quantity(Quantity quantity) {
    Value result;
    result.quantity = std::move(quantity);
    return result;
  }

  /// Linear in its only letter, or in y beside x: what that letter equals. Otherwise "...=0", up to a number.
  Value equation(const Quantity& left, const Quantity& right) {
    Quantity difference = algebra_.subtract(left, right);
    if (difference.num.empty()) throw NotMathematics{};
    difference.den = constant(1);
    const auto letters = algebra_.letters(difference);
    const bool is_function_of_x = letters == std::vector<std::string>{"x", "y"};
    if (letters.size() == 1 || is_function_of_x) {
      std::vector<Quantity> parts;
      const bool is_polynomial = algebra_.coefficients(difference, letters.back(), parts);
      if (is_polynomial && parts.size() == 2 && algebra_.is_number(parts[1])) {
        Value result = of_quantity(algebra_.negative(algebra_.divide(parts[0], parts[1])));
        result.name = letters.back();
        return result;
      }
    }
    return made_relation(algebra_.text(algebra_.normalised(difference)) + "=0", true);
  }

  Value interval(const Quantity& low, bool low_closed, const Quantity& high, bool high_closed) {
    Value result;
    result.kind = Value::Kind::kInterval;
    result.open = low_closed ? '[' : '(';
    result.close = high_closed ? ']' : ')';
    result.items = {of_quantity(low), of_quantity(high)};
    return opened(std::move(result));
  }

  /// Infinity belongs to no interval, whatever bracket stands beside it.
  Value opened(Value interval) {
    if (text(interval.items[0], false) == "-\\infty") interval.open = '(';
    if (text(interval.items[1], false) == "\\infty") interval.close = ')';
    return interval;
  }

  Quantity infinity(int sign) {
    const Quantity positive = algebra_.symbol("\\infty");
    return sign > 0 ? positive : algebra_.negative(positive);
  }

  Value without_points(std::vector<Quantity> points) {
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

  /// In one letter and linear: the interval. Between several: "...<0", up to a positive number.
  Value inequality(std::vector<Value>& sides, std::vector<std::string>& operators) {
    if (sides.size() == 3) {
      const bool is_rising = operators[0][0] == '<' && operators[1][0] == '<';
      const bool is_falling = operators[0][0] == '>' && operators[1][0] == '>';
      if (!is_rising && !is_falling) throw NotMathematics{};
      if (is_falling) {
        std::swap(sides[0], sides[2]);
        std::swap(operators[0], operators[1]);
      }
      const auto letters = algebra_.letters(sides[1].quantity);
      if (letters.size() != 1 || !algebra_.is_number(sides[0].quantity) || !algebra_.is_number(sides[2].quantity) ||
          (algebra_.text(sides[1].quantity) != letters[0] && algebra_.text(sides[1].quantity) != "f(" + letters[0] + ")")) {
        throw NotMathematics{};
      }
      return interval(sides[0].quantity, operators[0].size() == 2, sides[2].quantity, operators[1].size() == 2);
    }
    if (sides.size() != 2) throw NotMathematics{};
    const std::string relation = operators[0];
    if (relation == "in") throw NotMathematics{};
    const bool is_greater = relation[0] == '>';
    const Quantity difference = is_greater ? algebra_.subtract(sides[1].quantity, sides[0].quantity)
                                           : algebra_.subtract(sides[0].quantity, sides[1].quantity);
    const auto letters = algebra_.letters(difference);
    if (letters.empty() || difference.num.empty()) throw NotMathematics{};
    std::vector<Quantity> parts;
    const bool is_linear = letters.size() == 1 && algebra_.coefficients(difference, letters[0], parts) &&
                           parts.size() == 2;
    if (is_linear) {
      const bool has_infinity = algebra_.text(parts[0]).find("\\infty") != std::string::npos;
      const int slope = algebra_.sign(parts[1]);
      if (slope != Algebra::kUnknownSign && !has_infinity) {
        const Quantity bound = algebra_.negative(algebra_.divide(parts[0], parts[1]));
        if (relation == "!=") return without_points({bound});
        const bool is_closed = relation.size() == 2;
        return slope > 0 ? interval(infinity(-1), false, bound, is_closed)
                         : interval(bound, is_closed, infinity(1), false);
      }
    }
    if (!is_constant(difference.den)) throw NotMathematics{};
    if (relation == "!=") return made_relation(algebra_.text(algebra_.normalised(difference)) + "!=0", false);
    Quantity scaled = difference;
    scaled.num = text::scaled(difference.num, 1 / content(difference.num), budget_);
    return made_relation(algebra_.text(scaled) + (relation.size() == 2 ? "<=0" : "<0"), false);
  }

  // --- sets ---------------------------------------------------------------------------------------------------------

  Value set_expression() {
    Value left = sum();
    while (now().is("cup") || now().is("setminus")) {
      const bool is_union = now().is("cup");
      ++at_;
      Value right = sum();
      const auto is_region = [](const Value& value) {
        return value.kind == Value::Kind::kInterval || value.kind == Value::Kind::kUnion ||
               (value.kind == Value::Kind::kTuple && value.items.size() == 2);
      };
      if (is_union && left.kind == Value::Kind::kList && right.kind == Value::Kind::kList) {
        for (Value& item : right.items) left.items.push_back(std::move(item));
        left.items = distinct(std::move(left.items));
      } else if (is_union) {
        Value result;
        result.kind = Value::Kind::kUnion;
        for (Value* side : {&left, &right}) {
          if (side->kind == Value::Kind::kUnion) {
            for (Value& item : side->items) result.items.push_back(std::move(item));
          } else if (is_region(*side) || side->kind == Value::Kind::kList) {
            result.items.push_back(std::move(*side));
          } else {
            throw NotMathematics{};
          }
        }
        result.items = distinct(std::move(result.items));
        left = std::move(result);
      } else {
        if (text(left, false) != "(-\\infty,\\infty)") throw NotMathematics{};
        if (right.kind != Value::Kind::kList && right.kind != Value::Kind::kQuantity) throw NotMathematics{};
        std::vector<Quantity> points;
        if (right.kind == Value::Kind::kQuantity) points.push_back(right.quantity);
        for (const Value& item : right.items) {
          if (item.kind != Value::Kind::kQuantity) throw NotMathematics{};
          points.push_back(item.quantity);
        }
        left = without_points(std::move(points));
      }
    }
    return left;
  }

  std::vector<Value> distinct(std::vector<Value> items) {
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

  // --- sums and products --------------------------------------------------------------------------------------------

  Value combined(const Value& a, const Value& b, char operation) {
    const bool left_matrix = a.kind == Value::Kind::kMatrix, right_matrix = b.kind == Value::Kind::kMatrix;
    if (!left_matrix && !right_matrix) {
      if (a.kind != Value::Kind::kQuantity || b.kind != Value::Kind::kQuantity) throw NotMathematics{};
      switch (operation) {
        case '+': return of_quantity(algebra_.add(a.quantity, b.quantity));
        case '-': return of_quantity(algebra_.subtract(a.quantity, b.quantity));
        case '*': return of_quantity(algebra_.multiply(a.quantity, b.quantity));
        default: return of_quantity(algebra_.divide(a.quantity, b.quantity));
      }
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

  Value negated(const Value& a) { return combined(of_quantity(Algebra::number(-1)), a, '*'); }

  /// +1 or -1 for a sign, with "\pm" as the round has it; 0 when none is next.
  int take_sign() {
    if (take("+")) return 1;
    if (take("-")) return -1;
    const bool is_plus_minus = now().is("pm");
    if (!is_plus_minus && !now().is("mp")) return 0;
    ++at_;
    sign_seen_ = true;
    return is_plus_minus ? sign_ : -sign_;
  }

  Value sum() {
    const Level level(depth_);
    int sign = take_sign();
    Value total = product();
    if (sign < 0) total = negated(total);
    while ((sign = take_sign()) != 0) total = combined(total, product(), sign > 0 ? '+' : '-');
    return total;
  }

  bool begins_factor() const {
    const Token& token = now();
    switch (token.type) {
      case Type::kLetter:
      case Type::kName:
      case Type::kFunction:
        return true;
      case Type::kNumber:
        return at_ > 0 && (tokens_[at_ - 1].is(")") || tokens_[at_ - 1].is("}"));
      case Type::kSymbol:
        return token.is("(") || token.is("[") || token.is("frac") || token.is("binom") || token.is("{") ||
               token.is("lfloor") || token.is("lceil") || token.is("begin") || (token.is("|") && absolutes_ == 0);
      default:
        return false;
    }
  }

  /// Moves behind a unit of measurement, or behind a text that only comments on the value before it.
  bool take_unit(const Value& value) {
    if (value.kind != Value::Kind::kQuantity) return false;
    const Token& token = now();
    if (token.type == Type::kText && !is_conjunction()) {
      const bool is_rational = Algebra::is_rational(value.quantity);
      if (!is_rational && !is_unit_text(token.text, /*in_text_box=*/true)) return false;
      const std::size_t begin = at_;
      ++at_;
      if (take("^")) {  // "\text{cm}^2"
        take("{");
        if (now().type != Type::kNumber) throw NotMathematics{};
        ++at_;
        take("}");
      }
      if (ends_element() || is_relation()) return true;
      at_ = begin;
      return false;
    }
    if ((token.type != Type::kLetter && token.type != Type::kWord) || !token.begins_run) return false;
    std::size_t end = at_;
    while (!(tokens_[end].type == Type::kEnd || tokens_[end].is(",") || tokens_[end].is(";") || tokens_[end].is("and") ||
             tokens_[end].is("=") || tokens_[end].is(")") || tokens_[end].is("]") || tokens_[end].is("\\}"))) {
      ++end;
    }
    std::string_view rest = trim(answer_.substr(token.begin, tokens_[end].begin - token.begin));
    while (!rest.empty() && (rest.back() == '$' || rest.back() == '.')) rest = trim(rest.substr(0, rest.size() - 1));
    if (!algebra_.is_number(value.quantity) || !is_unit_text(rest)) return false;
    at_ = end;
    return true;
  }

  Value product() {
    Value total = factor();
    for (;;) {
      if (take("*")) {
        total = combined(total, signed_factor(), '*');
      } else if (take("/")) {
        total = combined(total, signed_factor(), '/');
      } else if (take_unit(total)) {
        return total;
      } else if (begins_factor()) {
        total = combined(total, factor(), '*');
      } else {
        return total;
      }
    }
  }

  /// "2 \cdot -3".
  Value signed_factor() { return take("-") ? negated(factor()) : factor(); }

  Value factor() {
    const Level level(depth_);
    Value value = base();
    for (;;) {
      if (take("^")) {
        if (value.kind != Value::Kind::kQuantity) throw NotMathematics{};
        value = of_quantity(algebra_.power(value.quantity, exponent()));
      } else if (take("!")) {
        if (value.kind != Value::Kind::kQuantity) throw NotMathematics{};
        value = of_quantity(algebra_.factorial(value.quantity));
      } else if (take("deg")) {
        if (value.kind != Value::Kind::kQuantity) throw NotMathematics{};
        if (angles_ > 0) {
          const Quantity degree = algebra_.multiply(algebra_.symbol("\\pi"), Algebra::number(mpq_class(1, 180)));
          value = of_quantity(algebra_.multiply(value.quantity, degree));
        }
      } else if (take("%")) {
        if (value.kind != Value::Kind::kQuantity) throw NotMathematics{};
      } else {
        return value;
      }
    }
  }

  Quantity quantity_of(Value value) {
    if (value.kind != Value::Kind::kQuantity) throw NotMathematics{};
    return std::move(value.quantity);
  }

  Quantity exponent() {
    const Level level(depth_);
    if (take("-")) return algebra_.negative(exponent());
    if (take("+")) return exponent();
    Quantity result;
    if (take("{")) {
      result = quantity_of(sum());
      expect("}");
    } else {
      result = quantity_of(base());
      if (at_ > 0 && tokens_[at_ - 1].type == Type::kLetter && now().type == Type::kLetter && !now().begins_run) {
        throw NotMathematics{};  // "e^xy"
      }
    }
    if (take("^")) return algebra_.power(result, exponent());
    return result;
  }

  /// An argument of \frac, \sqrt and the like: in braces, or the next symbol.
  Quantity argument() {
    if (take("{")) {
      Quantity result = quantity_of(sum());
      while (now().type == Type::kText && is_unit_text(now().text, /*in_text_box=*/true)) ++at_;
      expect("}");
      return result;
    }
    return quantity_of(base());
  }

  mpq_class literal(const Token& token) {
    const auto value = literal_value(token.text);
    if (!value) throw TooHard{};
    if (token.repeating.empty()) return *value;
    // 0.12 with period 345: 0.12 + 345 / (999 * 10^2).
    const std::size_t point = token.text.find('.');
    const std::size_t decimals = point == std::string::npos ? 0 : token.text.size() - point - 1;
    if (token.repeating.size() + decimals > 300) throw TooHard{};
    const mpz_class nines(std::string(token.repeating.size(), '9') + std::string(decimals, '0'));
    mpq_class fraction(mpz_class(token.repeating, 10), nines);
    fraction.canonicalize();
    return *value + fraction;
  }

  static bool is_whole(const Token& token) {
    return token.type == Type::kNumber && token.repeating.empty() &&
           token.text.find_first_not_of("0123456789") == std::string::npos;
  }

  /// The fraction of "1 \frac{1}{2}" or "1 1/2" behind a whole number, when one stands there.
  std::optional<mpq_class> take_mixed_fraction(const Token& whole) {
    if (!is_whole(whole)) return std::nullopt;
    std::size_t i = at_;
    const auto number_at = [&](std::size_t index) -> const Token* {
      return index < tokens_.size() && is_whole(tokens_[index]) ? &tokens_[index] : nullptr;
    };
    const Token *above = nullptr, *below = nullptr;
    if (now().is("frac")) {
      ++i;
      for (const Token** part : {&above, &below}) {
        const bool in_braces = tokens_[i].is("{");
        *part = number_at(i + (in_braces ? 1 : 0));
        if (*part == nullptr) return std::nullopt;
        i += in_braces ? 3 : 1;
        if (i > tokens_.size() || (in_braces && !tokens_[i - 1].is("}"))) return std::nullopt;
      }
    } else if (now().after_blank && number_at(at_) != nullptr && now(1).is("/") && number_at(at_ + 2) != nullptr) {
      above = number_at(at_);
      below = number_at(at_ + 2);
      i = at_ + 3;
    } else {
      return std::nullopt;
    }
    const mpq_class divisor = literal(*below);
    if (divisor == 0) return std::nullopt;
    at_ = i;
    return literal(*above) / divisor;
  }

  Value base() {
    const Level level(depth_);
    const Token token = now();
    ++at_;
    switch (token.type) {
      case Type::kNumber: {
        mpq_class value = literal(token);
        if (const auto fraction = take_mixed_fraction(token)) value += *fraction;
        if (now().is("_")) throw NotMathematics{};  // a numeral in another base is no number to count with
        return of_quantity(Algebra::number(value));
      }
      case Type::kLetter:
      case Type::kName:
        return letter(token);
      case Type::kFunction:
        return function(token);
      case Type::kSymbol:
        return bracket(token);
      default:
        throw NotMathematics{};
    }
  }

  Value letter(const Token& token) {
    std::string name = token.text;
    if (take("_")) {
      std::string index;
      if (take("{")) {
        while (!now().is("}")) {
          if (now().type == Type::kEnd || index.size() > 64) throw NotMathematics{};
          index += now().text;
          ++at_;
        }
        ++at_;
      } else {
        index = now().text;
        ++at_;
      }
      if (index.empty()) throw NotMathematics{};
      name += "_{" + index + "}";
    } else if ((name == "f" || name == "g") && now().is("(") && !now().after_blank) {
      ++at_;
      const Quantity inside = quantity_of(sum());
      expect(")");
      return of_quantity(algebra_.apply(name, inside));
    }
    return of_quantity(algebra_.symbol(name));
  }

  Value function(const Token& token) {
    std::string name = token.text;
    if (name == "sqrt") {
      int degree = 2;
      if (take("[")) {
        const Quantity n = quantity_of(sum());
        expect("]");
        if (!Algebra::is_rational(n)) throw NotMathematics{};
        const mpq_class value = Algebra::rational(n);
        if (value.get_den() != 1 || value < 1 || value > 64) throw TooHard{};
        degree = static_cast<int>(value.get_num().get_si());
      }
      return of_quantity(algebra_.root(argument(), degree));
    }
    std::optional<Quantity> log_base;
    Quantity raised = Algebra::number(1);
    for (;;) {
      if (take("^")) {
        raised = exponent();
      } else if (name == "log" && take("_")) {
        log_base = argument();
      } else {
        break;
      }
    }
    const bool is_angle = name == "sin" || name == "cos" || name == "tan" || name == "cot" || name == "sec" || name == "csc";
    if (is_angle && Algebra::is_rational(raised) && Algebra::rational(raised) == -1) {
      if (name != "sin" && name != "cos" && name != "tan") throw NotMathematics{};
      name = "arc" + name;
      raised = Algebra::number(1);
    }
    angles_ += is_angle;
    Quantity inside;
    if (now().is("(") || now().is("{")) {
      inside = quantity_of(base());
    } else {
      Value total = factor();
      while (begins_factor() && now().type != Type::kFunction && !now().is("(")) total = combined(total, factor(), '*');
      inside = quantity_of(std::move(total));
    }
    angles_ -= is_angle;
    Quantity result;
    if (name == "log" || name == "lg") {
      const Quantity ten = Algebra::number(10);
      result = algebra_.divide(algebra_.logarithm(inside), algebra_.logarithm(log_base ? *log_base : ten));
    } else if (name == "sinh" || name == "cosh" || name == "tanh" || name == "coth") {
      result = algebra_.apply("\\" + name, inside);
    } else {
      result = algebra_.apply(name, inside);
    }
    return of_quantity(algebra_.power(result, raised));
  }

  Value bracket(const Token& token) {
    if (token.is("(") || token.is("[") || token.is("<(") || token.is("]")) return bracketed(token);
    if (token.is("{")) {
      Value inside = sum();
      expect("}");
      return inside;
    }
    if (token.is("\\{")) return set();
    if (token.is("emptyset")) {
      Value result;
      result.kind = Value::Kind::kList;
      return result;
    }
    if (token.is("reals")) return interval(infinity(-1), false, infinity(1), false);
    if (token.is("frac")) {
      const Quantity above = argument();
      return of_quantity(algebra_.divide(above, argument()));
    }
    if (token.is("binom")) {
      const Quantity n = argument();
      return of_quantity(algebra_.binomial(n, argument()));
    }
    if (token.is("|")) {
      ++absolutes_;
      const Quantity inside = quantity_of(sum());
      --absolutes_;
      expect("|");
      return of_quantity(algebra_.absolute(inside));
    }
    if (token.is("lfloor") || token.is("lceil")) {
      const Quantity inside = quantity_of(sum());
      expect(token.is("lfloor") ? "rfloor" : "rceil");
      return of_quantity(algebra_.apply(token.is("lfloor") ? "floor" : "ceil", inside));
    }
    if (token.is("begin")) return matrix();
    throw NotMathematics{};
  }

  /// A bracketed quantity, a tuple, or an interval.
  Value bracketed(const Token& token) {
    const int outer_absolutes = std::exchange(absolutes_, 0);
    std::vector<Value> items;
    do {
      items.push_back(relation());
    } while (take(",") || take(";"));
    absolutes_ = outer_absolutes;
    const Token close = now();
    ++at_;
    const bool is_angle = token.is("<(");
    if (is_angle ? !close.is(">)") : !(close.is(")") || close.is("]") || (close.is("[") && items.size() == 2))) {
      throw NotMathematics{};
    }
    if (items.size() == 1) {
      const bool fits = (token.is("(") && close.is(")")) || (token.is("[") && close.is("]"));
      if (!fits) throw NotMathematics{};
      return std::move(items[0]);
    }
    Value result;
    result.kind = Value::Kind::kTuple;
    if (items.size() == 2 && !is_angle) {
      result.open = token.is("[") ? '[' : '(';
      result.close = close.is("]") ? ']' : ')';
      result.items = std::move(items);
      result = opened(std::move(result));
      if (result.open != '(' || result.close != ')') result.kind = Value::Kind::kInterval;
      return result;
    }
    result.items = std::move(items);
    return result;
  }

  Value set() {
    if (take("\\}")) {
      Value empty;
      empty.kind = Value::Kind::kList;
      return empty;
    }
    // "\{x : x > 0\}" and "\{x \mid x > 0\}" are what the condition says.
    if (now().type == Type::kLetter && (now(1).is(":") || now(1).is("mid") || now(1).is("|"))) {
      at_ += 2;
      Value condition = relation();
      expect("\\}");
      if (condition.kind != Value::Kind::kInterval && condition.kind != Value::Kind::kUnion) throw NotMathematics{};
      return condition;
    }
    Value result;
    result.kind = Value::Kind::kList;
    std::vector<Value> items = list();
    expect("\\}");
    for (Value& item : items) item.name.clear();
    result.items = distinct(std::move(items));
    if (result.items.size() == 1) return std::move(result.items[0]);
    return result;
  }

  Value matrix() {
    Value result;
    result.kind = Value::Kind::kMatrix;
    std::size_t columns = 0;
    while (!now().is("end")) {
      ++columns;
      result.items.push_back(of_quantity(quantity_of(sum())));
      if (take("&")) continue;
      const bool is_last = !take("\\\\");
      if (result.columns == 0) result.columns = columns;
      if (columns != result.columns || (is_last && !now().is("end"))) throw NotMathematics{};
      columns = 0;
    }
    ++at_;
    if (result.items.empty() || columns != 0) throw NotMathematics{};
    return result;
  }

  // --- canonical text -----------------------------------------------------------------------------------------------

  std::string text(const Value& value, bool is_outermost) {
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

  static AnswerKind kind_of(const Value& value) {
    switch (value.kind) {
      case Value::Kind::kQuantity:
        return Algebra::is_rational(value.quantity) ? AnswerKind::kNumber : AnswerKind::kExpression;
      case Value::Kind::kTuple:
      case Value::Kind::kRatio: return AnswerKind::kTuple;
      case Value::Kind::kInterval:
      case Value::Kind::kUnion: return AnswerKind::kInterval;
      case Value::Kind::kList: return AnswerKind::kList;
      case Value::Kind::kMatrix: return AnswerKind::kMatrix;
      case Value::Kind::kRelation: return value.is_equation ? AnswerKind::kEquation : AnswerKind::kInequality;
    }
    return AnswerKind::kText;
  }

  std::string_view answer_;
  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  int depth_ = 0;
  int absolutes_ = 0;  ///< bars that are open in this bracket
  int angles_ = 0;     ///< trigonometric functions around: degrees count
  int sign_ = 1;       ///< what "\pm" is in this round
  bool sign_seen_ = false;
  Algebra algebra_{kMaxOperations};
  Budget budget_{kMaxOperations};
};

}  // namespace

std::optional<Answer> parse_answer(std::string_view answer) {
  if (answer.size() > kMaxExpressionBytes) return std::nullopt;
  try {
    return Parser(answer).parse();
  } catch (const NotMathematics&) {
    return std::nullopt;
  } catch (const TooHard&) {
    return Answer{AnswerKind::kText, {}, {}, true};
  }
}

}  // namespace whet::text
