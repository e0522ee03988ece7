#include "text/answer_parser.h"

#include <algorithm>
#include <utility>

#include "text/answer_grammar.h"

namespace whet::text {
namespace {

/// What stands between formulas: names, equations, inequalities, ratios and unions.
class Parser final : public Grammar {
 public:
  explicit Parser(std::string_view answer) : Grammar(answer) {}

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
  bool is_relation() const override {
    for (const std::string_view symbol : {"=", "<", ">", "<=", ">=", "!=", "in", "approx"}) {
      if (now().is(symbol)) return true;
    }
    return false;
  }

  /// Words that make what follows a condition and not a name.
  static constexpr std::string_view kConditions[] = {"where", "for",   "when",      "if",
                                                     "with",  "since", "such that", "given"};

  /// Behind the "=" or "\in" of "x = ...", "f(x) = ...", "\text{Area} = ...", "m\angle A = ..."; 0 where no name
  /// stands.
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
        if (std::find(std::begin(kConditions), std::end(kConditions), token.text) != std::end(kConditions)) return 0;
        // "f^{-1}(x) = ...", "f'(x) = ..."
        if (i == at_ + 1 && token.is("^") && tokens_.size() > i + 5 && tokens_[i + 1].is("{") &&
            tokens_[i + 2].is("-") && tokens_[i + 4].is("}") && tokens_[i + 5].is("(")) {
          i += 4;
          continue;
        }
        if (i == at_ + 1 && token.is("'") && tokens_[i + 1].is("(")) continue;
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
        const Token& before = tokens_[j - (j > at_ ? 1 : 0)];
        const bool is_index = before.is("_") || (before.is("{") && tokens_[j].type == Type::kNumber);
        all_capitals &= tokens_[j].type == Type::kSymbol || is_index ||
                        (tokens_[j].type == Type::kLetter && tokens_[j].text[0] <= 'Z') ||
                        (tokens_[j].type == Type::kWord && tokens_[j].text[0] <= 'Z');
        if (tokens_[j].is("+") || tokens_[j].is("-") || tokens_[j].is("*")) return 0;
      }
      const bool is_letters =
          std::any_of(tokens_.begin() + static_cast<long>(at_), tokens_.begin() + static_cast<long>(i),
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

  Value relation() override {
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
    Value region = inequality(sides, operators);
    region.is_condition = true;
    return region;
  }

  /// "3:4" is the quotient; of three and more parts the first that is not 0 becomes 1.
  Value ratio(Value first) {
    // "12:30" is a time rather than 2:5.
    const Token &hour = tokens_[at_ - 1], &minute = now(1);
    const bool is_time = is_whole(hour) && is_whole(minute) && minute.text.size() == 2 && minute.text < "60" &&
                         hour.text.size() <= 2 && !now(2).is(":");
    if (is_time && Algebra::is_rational(first.quantity) && Algebra::rational(first.quantity) <= 24) {
      at_ += 2;
      return made_relation(hour.text + ":" + minute.text, true);
    }
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
          (algebra_.text(sides[1].quantity) != letters[0] &&
           algebra_.text(sides[1].quantity) != "f(" + letters[0] + ")")) {
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
    const bool is_linear =
        letters.size() == 1 && algebra_.coefficients(difference, letters[0], parts) && parts.size() == 2;
    if (is_linear) {
      const int slope = algebra_.sign(parts[1]);
      if (slope != Algebra::kUnknownSign) {
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
