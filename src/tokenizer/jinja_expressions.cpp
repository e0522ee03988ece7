#include "tokenizer/jinja_cursor.h"

namespace whet::tokenizer::jinja {

ExpressionPtr ExpressionReader::tuple(bool with_condition) {
  const auto item = [&] { return with_condition ? expression() : or_expression(); };
  ExpressionPtr first = item();
  if (!is_operator(",")) return first;
  ExpressionPtr all = make(Kind::kTuple);
  all->parts.push_back(std::move(first));
  while (take_operator(",")) {
    const bool ends =
        current().kind == TokenKind::kOutputEnd || current().kind == TokenKind::kBlockEnd || is_operator(")");
    if (ends) break;
    all->parts.push_back(item());
  }
  return all;
}

ExpressionPtr ExpressionReader::expression() {
  const Deeper deeper(*this);
  ExpressionPtr result = or_expression();
  while (take_name("if")) {
    ExpressionPtr condition = or_expression();
    ExpressionPtr whole = join(Kind::kConditional, std::move(condition), std::move(result));
    whole->parts.push_back(take_name("else") ? expression() : nullptr);
    result = std::move(whole);
  }
  return result;
}

ExpressionPtr ExpressionReader::or_expression() {
  ExpressionPtr left = and_expression();
  while (take_name("or")) left = join(Kind::kOr, std::move(left), and_expression());
  return left;
}

ExpressionPtr ExpressionReader::and_expression() {
  ExpressionPtr left = not_expression();
  while (take_name("and")) left = join(Kind::kAnd, std::move(left), not_expression());
  return left;
}

ExpressionPtr ExpressionReader::not_expression() {
  const Deeper deeper(*this);
  if (!is_name("not")) return comparison();
  ExpressionPtr result = make(Kind::kNot);
  ++at_;
  result->parts.push_back(not_expression());
  return result;
}

ExpressionPtr ExpressionReader::comparison() {
  ExpressionPtr first = sum();
  ExpressionPtr whole;
  while (true) {
    std::string op;
    for (const std::string_view known : {"==", "!=", "<=", ">=", "<", ">"}) {
      if (op.empty() && take_operator(known)) op = known;
    }
    if (op.empty() && take_name("in")) op = "in";
    if (op.empty() && is_name("not") && next().kind == TokenKind::kName && next().text == "in") {
      at_ += 2;
      op = "not in";
    }
    if (op.empty()) return whole ? std::move(whole) : std::move(first);
    if (!whole) {
      whole = make(Kind::kCompare);
      whole->line = first->line;
      whole->parts.push_back(std::move(first));
    }
    whole->operators.push_back(op);
    whole->parts.push_back(sum());
  }
}

ExpressionPtr ExpressionReader::sum() {
  ExpressionPtr left = concatenation();
  while (is_operator("+") || is_operator("-")) {
    const std::string op = tokens_[at_++].text;
    left = join(Kind::kBinary, std::move(left), concatenation(), op);
  }
  return left;
}

ExpressionPtr ExpressionReader::concatenation() {
  ExpressionPtr left = product();
  while (take_operator("~")) left = join(Kind::kBinary, std::move(left), product(), "~");
  return left;
}

ExpressionPtr ExpressionReader::product() {
  ExpressionPtr left = power();
  while (is_operator("*") || is_operator("/") || is_operator("//") || is_operator("%")) {
    const std::string op = tokens_[at_++].text;
    left = join(Kind::kBinary, std::move(left), power(), op);
  }
  return left;
}

ExpressionPtr ExpressionReader::power() {
  ExpressionPtr left = unary(true);
  while (take_operator("**")) left = join(Kind::kBinary, std::move(left), unary(true), "**");
  return left;
}

ExpressionPtr ExpressionReader::unary(bool with_filters) {
  const Deeper deeper(*this);
  ExpressionPtr result;
  if (is_operator("-") || is_operator("+")) {
    result = make(is_operator("-") ? Kind::kNegative : Kind::kPositive);
    ++at_;
    result->parts.push_back(unary(false));
  } else {
    result = postfix(primary());
  }
  return with_filters ? filters(std::move(result)) : std::move(result);
}

ExpressionPtr ExpressionReader::primary() {
  const Token& token = current();
  if (token.kind == TokenKind::kString) {
    ExpressionPtr result = make(Kind::kLiteral);
    std::string text;
    while (current().kind == TokenKind::kString) text += tokens_[at_++].text;
    result->value = text;
    return result;
  }
  ExpressionPtr result = make(Kind::kLiteral);
  if (token.kind == TokenKind::kInteger || token.kind == TokenKind::kFloat) {
    result->value =
        token.kind == TokenKind::kInteger ? Value(std::int64_t{std::stoll(token.text)}) : Value(std::stod(token.text));
    ++at_;
    return result;
  }
  if (token.kind == TokenKind::kName) {
    const std::string name = tokens_[at_++].text;
    if (name == "true" || name == "True") {
      result->value = true;
    } else if (name == "false" || name == "False") {
      result->value = false;
    } else if (name == "none" || name == "None") {
      result->value = None{};
    } else {
      result->kind = Kind::kName;
      result->name = name;
    }
    return result;
  }
  if (take_operator("(")) {
    if (take_operator(")")) {
      result->kind = Kind::kTuple;
      return result;
    }
    result = tuple(true);
    want_operator(")");
    return result;
  }
  if (take_operator("[")) {
    result->kind = Kind::kList;
    while (!take_operator("]")) {
      if (!result->parts.empty()) want_operator(",");
      if (take_operator("]")) break;
      result->parts.push_back(expression());
    }
    return result;
  }
  if (take_operator("{")) {
    result->kind = Kind::kDict;
    while (!take_operator("}")) {
      if (!result->parts.empty()) want_operator(",");
      if (take_operator("}")) break;
      result->parts.push_back(expression());
      want_operator(":");
      result->parts.push_back(expression());
    }
    return result;
  }
  fail(fmt::format("'{}' where a value was wanted", describe()));
}

ExpressionPtr ExpressionReader::postfix(ExpressionPtr object) {
  while (true) {
    if (take_operator(".")) {
      ExpressionPtr result = make(current().kind == TokenKind::kInteger ? Kind::kSubscript : Kind::kAttribute);
      if (current().kind == TokenKind::kInteger) {
        ExpressionPtr index = primary();
        result->parts.push_back(std::move(object));
        result->parts.push_back(std::move(index));
      } else {
        result->name = want_name();
        result->parts.push_back(std::move(object));
      }
      object = deepen(std::move(result));
    } else if (take_operator("[")) {
      object = deepen(subscript(std::move(object)));
    } else if (is_operator("(")) {
      object = deepen(call(std::move(object)));
    } else {
      return object;
    }
  }
}

ExpressionPtr ExpressionReader::subscript(ExpressionPtr object) {
  ExpressionPtr result = make(Kind::kSubscript);
  result->parts.push_back(std::move(object));
  result->parts.push_back(is_operator(":") ? nullptr : expression());
  if (is_operator(":")) {
    result->kind = Kind::kSlice;
    for (int bound = 0; bound < 2; ++bound) {
      const bool has_bound = take_operator(":") && !is_operator(":") && !is_operator("]");
      result->parts.push_back(has_bound ? expression() : nullptr);
    }
  }
  want_operator("]");
  return result;
}

ExpressionPtr ExpressionReader::call(ExpressionPtr function) {
  ExpressionPtr result = make(Kind::kCall);
  result->line = function->line;
  result->parts.push_back(std::move(function));
  arguments(*result);
  return result;
}

void ExpressionReader::arguments(Expression& result) {
  want_operator("(");
  bool is_first = true;
  while (!take_operator(")")) {
    if (!is_first) want_operator(",");
    is_first = false;
    if (take_operator(")")) return;
    if (is_operator("*") || is_operator("**")) fail("'*' before an argument is not supported");
    if (current().kind == TokenKind::kName && next().kind == TokenKind::kOperator && next().text == "=") {
      std::string name = want_name();
      ++at_;
      result.named.emplace_back(std::move(name), expression());
    } else {
      if (!result.named.empty()) fail("an argument without name after one with name");
      result.parts.push_back(expression());
    }
  }
}

ExpressionPtr ExpressionReader::filters(ExpressionPtr input) {
  while (true) {
    if (take_operator("|")) {
      ExpressionPtr result = make(Kind::kFilter);
      result->name = want_name();
      result->parts.push_back(std::move(input));
      if (is_operator("(")) arguments(*result);
      input = deepen(std::move(result));
    } else if (is_name("is")) {
      input = deepen(test(std::move(input)));
    } else if (is_operator("(")) {
      input = deepen(call(std::move(input)));
    } else {
      return input;
    }
  }
}

ExpressionPtr ExpressionReader::test(ExpressionPtr input) {
  ExpressionPtr result = make(Kind::kTest);
  ++at_;
  ExpressionPtr negation = is_name("not") ? make(Kind::kNot) : nullptr;
  if (negation) ++at_;
  for (const std::string_view op : {"==", "!=", "<=", ">=", "<", ">"}) {
    if (result->name.empty() && take_operator(op)) result->name = op;
  }
  if (result->name.empty()) result->name = want_name();
  result->parts.push_back(std::move(input));
  const bool has_value = current().kind == TokenKind::kString || current().kind == TokenKind::kInteger ||
                         current().kind == TokenKind::kFloat || is_operator("[") || is_operator("{");
  const bool has_name = current().kind == TokenKind::kName && !is_name("else") && !is_name("or") && !is_name("and") &&
                        !is_name("is") && !is_name("if") && !is_name("in") && !is_name("not");
  if (is_operator("(")) {
    arguments(*result);
  } else if (has_value || has_name) {
    result->parts.push_back(postfix(primary()));
  }
  if (!negation) return result;
  negation->parts.push_back(std::move(result));
  return negation;
}

}  // namespace whet::tokenizer::jinja
