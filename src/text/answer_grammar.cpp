#include "text/answer_grammar.h"

#include <algorithm>

#include "text/latex.h"
#include "text/units.h"

namespace whet::text {

const Token& Grammar::now(std::size_t ahead) const { return tokens_[std::min(at_ + ahead, tokens_.size() - 1)]; }

bool Grammar::take(std::string_view symbol) {
  if (!now().is(symbol)) return false;
  ++at_;
  return true;
}

void Grammar::expect(std::string_view symbol) {
  if (!take(symbol)) throw NotMathematics{};
}

bool Grammar::is_conjunction() const {
  if (now().is("and") || now().is("or")) return true;
  if (now().type != Type::kText) return false;
  const std::string& word = now().text;
  return word == "and" || word == "or" || word == ",";
}

bool Grammar::take_separator(Value::Separator& separator) {
  bool taken = false;
  separator = Value::Separator::kComma;
  while (now().is(",") || now().is(";") || is_conjunction()) {
    if (now().text == ";") separator = Value::Separator::kSemicolon;
    if (now().text == "or") separator = Value::Separator::kOr;
    if (now().text == "and") separator = Value::Separator::kAnd;
    ++at_;
    taken = true;
  }
  return taken;
}

bool Grammar::ends_element() const {
  return now().type == Type::kEnd || now().is(",") || now().is(";") || now().is(")") || now().is("]") ||
         now().is("\\}") || now().is("}") || now().is(">)") || now().is("&") || now().is("\\\\") || now().is("end") ||
         is_conjunction();
}

std::vector<Value> Grammar::list() {
  std::vector<Value> items;
  Value::Separator separator = Value::Separator::kNone;
  do {
    if (ends_element()) break;
    const std::size_t begin = at_;
    const bool outer_seen = sign_seen_;
    const int outer_sign = sign_;
    sign_seen_ = false;
    sign_ = 1;
    items.push_back(relation());
    items.back().separator = separator;
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
  } while (take_separator(separator));
  return items;
}

int Grammar::take_sign() {
  if (take("+")) return 1;
  if (take("-")) return -1;
  const bool is_plus_minus = now().is("pm");
  if (!is_plus_minus && !now().is("mp")) return 0;
  ++at_;
  sign_seen_ = true;
  return is_plus_minus ? sign_ : -sign_;
}

Value Grammar::sum() {
  const Level level(depth_);
  int sign = take_sign();
  Value total = product();
  if (sign < 0) total = negated(total);
  while ((sign = take_sign()) != 0) total = combined(total, product(), sign > 0 ? '+' : '-');
  return total;
}

bool Grammar::begins_factor() const {
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

bool Grammar::take_unit(const Value& value) {
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
           tokens_[end].is("or") || tokens_[end].is("=") || tokens_[end].is(")") || tokens_[end].is("]") ||
           tokens_[end].is("\\}"))) {
    ++end;
  }
  std::string_view rest = trim(answer_.substr(token.begin, tokens_[end].begin - token.begin));
  while (!rest.empty() && (rest.back() == '$' || rest.back() == '.')) rest = trim(rest.substr(0, rest.size() - 1));
  // "m/s" alone is a quotient of letters; behind a number and a blank it is a unit.
  const bool is_rate = token.after_blank && rest.find('/') != std::string_view::npos;
  if (!algebra_.is_number(value.quantity) || !is_unit_text(rest, is_rate)) return false;
  at_ = end;
  return true;
}

Value Grammar::product() {
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

Value Grammar::signed_factor() { return take("-") ? negated(factor()) : factor(); }

Value Grammar::factor() {
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
      } else if ((now().text == "C" || now().text == "F") && now().type == Type::kLetter && now(1).type == Type::kEnd) {
        ++at_;  // Celsius, Fahrenheit
      }
    } else if (take("%")) {
      if (value.kind != Value::Kind::kQuantity) throw NotMathematics{};
    } else {
      return value;
    }
  }
}

Quantity Grammar::quantity_of(Value value) {
  if (value.kind != Value::Kind::kQuantity) throw NotMathematics{};
  return std::move(value.quantity);
}

Quantity Grammar::exponent() {
  const Level level(depth_);
  if (take("-")) return algebra_.negative(exponent());
  if (take("+")) return exponent();
  Quantity result;
  if (take("{")) {
    result = quantity_of(sum());
    expect("}");
  } else {
    result = quantity_of(base(/*may_be_mixed=*/false));
    if (at_ > 0 && tokens_[at_ - 1].type == Type::kLetter && now().type == Type::kLetter && !now().begins_run) {
      throw NotMathematics{};  // "e^xy"
    }
  }
  if (take("^")) return algebra_.power(result, exponent());
  return result;
}

Quantity Grammar::argument() {
  if (take("{")) {
    Quantity result = quantity_of(sum());
    while (now().type == Type::kText && is_unit_text(now().text, /*in_text_box=*/true)) ++at_;
    expect("}");
    return result;
  }
  return quantity_of(base(/*may_be_mixed=*/false));
}

mpq_class Grammar::literal(const Token& token) {
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

bool Grammar::is_whole(const Token& token) {
  return token.type == Type::kNumber && token.repeating.empty() &&
         token.text.find_first_not_of("0123456789") == std::string::npos;
}

std::optional<mpq_class> Grammar::take_mixed_fraction(const Token& whole) {
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

Value Grammar::base(bool may_be_mixed) {
  const Level level(depth_);
  const Token token = now();
  ++at_;
  switch (token.type) {
    case Type::kNumber: {
      mpq_class value = literal(token);
      if (may_be_mixed) {
        if (const auto fraction = take_mixed_fraction(token)) value += *fraction;
      }
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

Value Grammar::letter(const Token& token) {
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

Value Grammar::function(const Token& token) {
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
  const bool is_angle =
      name == "sin" || name == "cos" || name == "tan" || name == "cot" || name == "sec" || name == "csc";
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

Value Grammar::bracket(const Token& token) {
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

Value Grammar::bracketed(const Token& token) {
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

Value Grammar::set() {
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

Value Grammar::matrix() {
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

}  // namespace whet::text
