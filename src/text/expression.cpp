#include "text/expression.h"

#include <algorithm>
#include <cctype>

namespace whet::text {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

class Parser {
 public:
  Parser(std::string_view text, const ExpressionSyntax& syntax) : text_(text), syntax_(syntax) {}

  std::optional<Expression> parse() {
    const int root = sum(0);
    skip_blanks();
    if (root < 0 || at_ != text_.size()) return std::nullopt;
    result_.root = root;
    return std::move(result_);
  }

 private:
  static constexpr int kFailed = -1;

  void skip_blanks() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
  }

  /// Consumes `c` if it comes next.
  bool take(char c) {
    skip_blanks();
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  int add(Expression::Node node) {
    result_.nodes.push_back(std::move(node));
    return static_cast<int>(result_.nodes.size()) - 1;
  }

  int sum(int depth) {
    if (depth > kMaxExpressionDepth) return kFailed;
    Expression::Node node{.kind = Expression::Kind::kSum, .literal = {}, .children = {}, .inverted = {}};
    bool negative = take('-');
    if (!negative) take('+');
    do {
      const int term = product(depth);
      if (term < 0) return kFailed;
      node.children.push_back(term);
      node.inverted.push_back(negative);
      negative = take('-');
    } while (negative || take('+'));
    if (node.children.size() > 1) return add(std::move(node));
    return node.inverted[0] ? negation_of(node.children[0]) : node.children[0];
  }

  /// -x; a negation of a negation is x, so that two texts of one value cannot differ by such a pair.
  int negation_of(int child) {
    const Expression::Node& node = result_.nodes[child];
    if (node.kind == Expression::Kind::kSum && node.children.size() == 1) return node.children[0];
    return add({.kind = Expression::Kind::kSum, .literal = {}, .children = {child}, .inverted = {true}});
  }

  int product(int depth) {
    Expression::Node node{.kind = Expression::Kind::kProduct, .literal = {}, .children = {}, .inverted = {}};
    bool divides = false;
    do {
      const int factor = power(depth);
      if (factor < 0) return kFailed;
      node.children.push_back(factor);
      node.inverted.push_back(divides);
      divides = take('/');
    } while (divides || take('*'));
    if (node.children.size() == 1) return node.children[0];
    return add(std::move(node));
  }

  int power(int depth) {
    if (depth > kMaxExpressionDepth) return kFailed;
    const int base = atom(depth);
    if (base < 0 || !syntax_.powers || !take('^')) return base;
    const bool negative = take('-');
    if (!negative) take('+');
    int exponent = power(depth + 1);
    if (exponent < 0) return kFailed;
    if (negative) exponent = negation_of(exponent);
    return add(
        {.kind = Expression::Kind::kPower, .literal = {}, .children = {base, exponent}, .inverted = {false, false}});
  }

  int atom(int depth) {
    if (take('(')) {
      const int inner = sum(depth + 1);
      return inner >= 0 && take(')') ? inner : kFailed;
    }
    skip_blanks();
    const std::size_t begin = at_;
    digits();
    if (syntax_.decimals) {
      if (at_ < text_.size() && text_[at_] == '.') {
        ++at_;
        digits();
      }
      exponent_part();
    }
    const std::string_view literal = text_.substr(begin, at_ - begin);
    if (literal.empty() || literal == ".") return kFailed;
    return add({.kind = Expression::Kind::kLiteral, .literal = std::string(literal), .children = {}, .inverted = {}});
  }

  void digits() {
    while (at_ < text_.size() && is_digit(text_[at_])) ++at_;
  }

  /// "e-3", only directly behind a digit or point and only when digits follow.
  void exponent_part() {
    std::size_t end = at_;
    if (end == 0 || end >= text_.size() || (text_[end] != 'e' && text_[end] != 'E')) return;
    if (!is_digit(text_[end - 1]) && text_[end - 1] != '.') return;
    ++end;
    if (end < text_.size() && (text_[end] == '-' || text_[end] == '+')) ++end;
    if (end == text_.size() || !is_digit(text_[end])) return;
    at_ = end;
    digits();
  }

  std::string_view text_;
  ExpressionSyntax syntax_;
  std::size_t at_ = 0;
  Expression result_;
};

std::size_t bits(const mpq_class& value) {
  return std::max(mpz_sizeinbase(value.get_num_mpz_t(), 2), mpz_sizeinbase(value.get_den_mpz_t(), 2));
}

/// base^exponent when it is rational and small enough.
std::optional<mpq_class> raise(const mpq_class& base, const mpq_class& exponent) {
  if (exponent.get_den() != 1 || !exponent.get_num().fits_slong_p()) return std::nullopt;
  const long signed_power = exponent.get_num().get_si();
  const unsigned long power =
      signed_power < 0 ? 0UL - static_cast<unsigned long>(signed_power) : static_cast<unsigned long>(signed_power);
  if (base == 0 && signed_power <= 0) return std::nullopt;
  if (power > kMaxNumberBits || bits(base) * power > kMaxNumberBits) return std::nullopt;
  mpz_class numerator, denominator;
  mpz_pow_ui(numerator.get_mpz_t(), base.get_num_mpz_t(), power);
  mpz_pow_ui(denominator.get_mpz_t(), base.get_den_mpz_t(), power);
  mpq_class result = signed_power < 0 ? mpq_class(denominator, numerator) : mpq_class(numerator, denominator);
  result.canonicalize();
  return result;
}

std::optional<mpq_class> value_of(const Expression& expression, int index) {
  const Expression::Node& node = expression.nodes[index];
  if (node.kind == Expression::Kind::kLiteral) return literal_value(node.literal);
  if (node.kind == Expression::Kind::kPower) {
    const auto base = value_of(expression, node.children[0]);
    const auto exponent = value_of(expression, node.children[1]);
    if (!base || !exponent) return std::nullopt;
    return raise(*base, *exponent);
  }
  const bool is_sum = node.kind == Expression::Kind::kSum;
  mpq_class total = is_sum ? 0 : 1;
  for (std::size_t i = 0; i < node.children.size(); ++i) {
    const auto part = value_of(expression, node.children[i]);
    if (!part) return std::nullopt;
    if (is_sum) {
      total = node.inverted[i] ? mpq_class(total - *part) : mpq_class(total + *part);
    } else if (node.inverted[i]) {
      if (*part == 0) return std::nullopt;
      total /= *part;
    } else {
      total *= *part;
    }
    if (bits(total) > kMaxNumberBits) return std::nullopt;
  }
  return total;
}

void collect_literals(const Expression& expression, int index, std::vector<std::string>& out) {
  const Expression::Node& node = expression.nodes[index];
  if (node.kind == Expression::Kind::kLiteral) out.push_back(node.literal);
  for (const int child : node.children) collect_literals(expression, child, out);
}

/// The parts of a flattened sum or product as texts: those that count, and those that are inverted.
struct Parts {
  std::vector<std::string> plain, inverted;
};

std::string form_of(const Expression& expression, int index);

void flatten(const Expression& expression, int index, Expression::Kind kind, bool inverted, Parts& parts) {
  const Expression::Node& node = expression.nodes[index];
  if (node.kind != kind) {
    std::string form = form_of(expression, index);
    // A sum inside a product needs its brackets. A product inside a sum does not.
    if (kind == Expression::Kind::kProduct && node.kind == Expression::Kind::kSum) form = "(" + form + ")";
    (inverted ? parts.inverted : parts.plain).push_back(std::move(form));
    return;
  }
  for (std::size_t i = 0; i < node.children.size(); ++i) {
    flatten(expression, node.children[i], kind, inverted != node.inverted[i], parts);
  }
}

bool shorter_first(const std::string& a, const std::string& b) {
  return a.size() != b.size() ? a.size() < b.size() : a < b;
}

std::string form_of(const Expression& expression, int index) {
  const Expression::Node& node = expression.nodes[index];
  if (node.kind == Expression::Kind::kLiteral) {
    if (node.literal.find_first_not_of("0123456789") != std::string::npos) return node.literal;
    const std::size_t first = node.literal.find_first_not_of('0');
    return first == std::string::npos ? "0" : node.literal.substr(first);
  }
  if (node.kind == Expression::Kind::kPower) {
    const auto wrapped = [&](int child) {
      const bool is_literal = expression.nodes[child].kind == Expression::Kind::kLiteral;
      return is_literal ? form_of(expression, child) : "(" + form_of(expression, child) + ")";
    };
    return wrapped(node.children[0]) + "^" + wrapped(node.children[1]);
  }
  Parts parts;
  flatten(expression, index, node.kind, false, parts);
  std::sort(parts.plain.begin(), parts.plain.end(), shorter_first);
  std::sort(parts.inverted.begin(), parts.inverted.end(), shorter_first);
  const bool is_sum = node.kind == Expression::Kind::kSum;
  std::string form;
  for (const std::string& part : parts.plain) {
    if (!form.empty()) form += is_sum ? '+' : '*';
    form += part;
  }
  for (const std::string& part : parts.inverted) form += (is_sum ? '-' : '/') + part;
  return form;
}

}  // namespace

std::vector<std::string> Expression::literals() const {
  std::vector<std::string> result;
  collect_literals(*this, root, result);
  return result;
}

std::optional<Expression> parse_expression(std::string_view text, const ExpressionSyntax& syntax) {
  if (text.size() > kMaxExpressionBytes) return std::nullopt;
  return Parser(text, syntax).parse();
}

std::optional<mpq_class> evaluate(const Expression& expression) { return value_of(expression, expression.root); }

std::optional<mpq_class> literal_value(std::string_view literal) {
  if (literal.size() > kMaxExpressionBytes) return std::nullopt;
  std::string digits;
  long scale = 0;
  bool after_point = false;
  std::size_t i = 0;
  for (; i < literal.size() && (is_digit(literal[i]) || literal[i] == '.'); ++i) {
    if (literal[i] == '.') {
      if (after_point) return std::nullopt;
      after_point = true;
    } else {
      digits += literal[i];
      if (after_point) --scale;
    }
  }
  if (digits.empty()) return std::nullopt;
  if (i < literal.size()) {
    if (literal[i] != 'e' && literal[i] != 'E') return std::nullopt;
    ++i;
    bool negative = false;
    if (i < literal.size() && (literal[i] == '-' || literal[i] == '+')) negative = literal[i++] == '-';
    const std::string_view exponent = literal.substr(i);
    // Nine digits cannot overflow, and far fewer are already beyond kMaxNumberBits.
    if (exponent.empty() || exponent.size() > 9 || !std::all_of(exponent.begin(), exponent.end(), is_digit)) {
      return std::nullopt;
    }
    const long size = std::stol(std::string(exponent));
    scale += negative ? -size : size;
  }
  const unsigned long power = static_cast<unsigned long>(scale < 0 ? -scale : scale);
  if (power * 4 > kMaxNumberBits) return std::nullopt;
  mpz_class ten_to_scale;
  mpz_ui_pow_ui(ten_to_scale.get_mpz_t(), 10, power);
  mpq_class value{mpz_class(digits, 10)};
  if (scale < 0) {
    value /= ten_to_scale;
  } else {
    value *= ten_to_scale;
  }
  if (bits(value) > kMaxNumberBits) return std::nullopt;
  return value;
}

std::string normal_form(const Expression& expression) { return form_of(expression, expression.root); }

}  // namespace whet::text
