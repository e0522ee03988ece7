#include "tokenizer/jinja_parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>

#include "tokenizer/jinja_lexer.h"

namespace whet::tokenizer::jinja {
namespace {

using TokenKind = Token::Kind;
using Kind = Expression::Kind;

constexpr int kDeepest = 200, kLongestChain = 1000;

class Parser {
 public:
  explicit Parser(std::string_view source) : tokens_(cut_template(source)) {}

  Block run() {
    Block block = this->block({});
    if (current().kind != TokenKind::kEnd) fail(fmt::format("'{}' without its begin", current().text));
    return block;
  }

 private:
  /// Nesting is bounded, so that no template can exhaust the stack, here or when it runs.
  class Deeper {
   public:
    explicit Deeper(Parser& parser) : parser_(parser) {
      if (++parser_.depth_ > kDeepest) parser_.fail(fmt::format("nested more than {} deep", kDeepest));
    }
    ~Deeper() { --parser_.depth_; }

   private:
    Parser& parser_;
  };

  const Token& current() const { return tokens_[at_]; }
  const Token& next() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }

  [[noreturn]] void fail(const std::string& what) const {
    throw TemplateError(fmt::format("line {}: {}", current().line, what));
  }

  bool is(TokenKind kind, std::string_view text) const { return current().kind == kind && current().text == text; }
  bool is_operator(std::string_view text) const { return is(TokenKind::kOperator, text); }
  bool is_name(std::string_view text) const { return is(TokenKind::kName, text); }

  bool take_operator(std::string_view text) { return is_operator(text) && (++at_, true); }
  bool take_name(std::string_view text) { return is_name(text) && (++at_, true); }

  void want_operator(std::string_view text) {
    if (!take_operator(text)) fail(fmt::format("'{}' where '{}' was wanted", describe(), text));
  }
  void want_block_end() {
    if (current().kind != TokenKind::kBlockEnd) fail(fmt::format("'{}' where '%}}' was wanted", describe()));
    ++at_;
  }
  std::string want_name() {
    if (current().kind != TokenKind::kName) fail(fmt::format("'{}' where a name was wanted", describe()));
    return tokens_[at_++].text;
  }
  std::string describe() const { return current().kind == TokenKind::kEnd ? "the end" : current().text; }

  ExpressionPtr make(Kind kind, std::string name = "") const {
    auto result = std::make_unique<Expression>();
    result->kind = kind;
    result->line = current().line;
    result->name = std::move(name);
    return result;
  }
  ExpressionPtr join(Kind kind, ExpressionPtr left, ExpressionPtr right, std::string name = "") const {
    ExpressionPtr result = make(kind, std::move(name));
    result->line = left->line;
    result->parts.push_back(std::move(left));
    result->parts.push_back(std::move(right));
    return deepen(std::move(result));
  }
  /// A chain of operators is no nesting to the parser, but a deep tree all the same.
  ExpressionPtr deepen(ExpressionPtr whole) const {
    for (const ExpressionPtr& part : whole->parts) {
      if (part) whole->depth = std::max(whole->depth, part->depth + 1);
    }
    if (whole->depth > kLongestChain) fail(fmt::format("an expression of more than {} operators", kLongestChain));
    return whole;
  }

  // Statements.

  /// Up to a block tag of one of these names, which stays to be read, or the end.
  Block block(std::initializer_list<std::string_view> ends) {
    const Deeper deeper(*this);
    Block result;
    while (current().kind != TokenKind::kEnd) {
      if (current().kind == TokenKind::kBlockBegin) {
        const auto ends_here = [&](std::string_view end) { return next().kind == TokenKind::kName && next().text == end; };
        if (std::any_of(ends.begin(), ends.end(), ends_here)) return result;
        ++at_;
        result.push_back(statement());
        continue;
      }
      auto item = std::make_unique<Statement>();
      item->line = current().line;
      if (current().kind == TokenKind::kText) {
        item->kind = Statement::Kind::kText;
        item->text = tokens_[at_++].text;
      } else {
        ++at_;
        item->kind = Statement::Kind::kOutput;
        item->expression = tuple(true);
        if (current().kind != TokenKind::kOutputEnd) fail(fmt::format("'{}' where '}}}}' was wanted", describe()));
        ++at_;
      }
      result.push_back(std::move(item));
    }
    if (ends.size() > 0) fail(fmt::format("the end where '{}' was wanted", *(ends.end() - 1)));
    return result;
  }

  /// Reads "{% name %}", of which the name is known to be one of those that end a block.
  std::string end_name() {
    ++at_;
    return want_name();
  }

  std::unique_ptr<Statement> statement() {
    auto result = std::make_unique<Statement>();
    result->line = current().line;
    const std::string name = want_name();
    if (name == "if") {
      if_statement(*result);
    } else if (name == "for") {
      for_statement(*result);
    } else if (name == "set") {
      set_statement(*result);
    } else if (name == "macro") {
      macro_statement(*result);
    } else if (name == "generation") {
      // transformers marks with it what an assistant wrote; what is printed is the same.
      result->kind = Statement::Kind::kGroup;
      want_block_end();
      result->bodies.push_back(block({"endgeneration"}));
      end_name();
      want_block_end();
    } else if (name == "break" || name == "continue") {
      if (loops_ == 0) fail(fmt::format("'{}' outside of a loop", name));
      result->kind = name == "break" ? Statement::Kind::kBreak : Statement::Kind::kContinue;
      want_block_end();
    } else {
      --at_;
      fail(fmt::format("the statement '{}' is not supported", name));
    }
    return result;
  }

  void if_statement(Statement& result) {
    result.kind = Statement::Kind::kIf;
    std::string end;
    do {
      result.conditions.push_back(tuple(false));
      want_block_end();
      result.bodies.push_back(block({"elif", "else", "endif"}));
      end = end_name();
    } while (end == "elif");
    if (end == "else") {
      want_block_end();
      result.bodies.push_back(block({"endif"}));
      end_name();
    }
    want_block_end();
  }

  void for_statement(Statement& result) {
    result.kind = Statement::Kind::kFor;
    result.target = target();
    if (!take_name("in")) fail(fmt::format("'{}' where 'in' was wanted", describe()));
    result.expression = tuple(false);
    if (take_name("if")) result.conditions.push_back(expression());
    if (is_name("recursive")) fail("a recursive loop is not supported");
    want_block_end();
    ++loops_;
    result.bodies.push_back(block({"else", "endfor"}));
    --loops_;
    if (end_name() == "else") {
      want_block_end();
      result.bodies.push_back(block({"endfor"}));
      end_name();
    }
    want_block_end();
  }

  void set_statement(Statement& result) {
    result.target = target();
    if (take_operator("=")) {
      result.kind = Statement::Kind::kSet;
      result.expression = tuple(true);
      return want_block_end();
    }
    if (is_operator("|")) fail("'set' of a block with a filter is not supported");
    result.kind = Statement::Kind::kSetBlock;
    want_block_end();
    result.bodies.push_back(block({"endset"}));
    end_name();
    want_block_end();
  }

  void macro_statement(Statement& result) {
    result.kind = Statement::Kind::kMacro;
    result.text = want_name();
    want_operator("(");
    while (!take_operator(")")) {
      if (!result.parameters.empty()) want_operator(",");
      std::string name = want_name();
      ExpressionPtr otherwise = take_operator("=") ? expression() : nullptr;
      result.parameters.emplace_back(std::move(name), std::move(otherwise));
    }
    want_block_end();
    const int loops = std::exchange(loops_, 0);
    result.bodies.push_back(block({"endmacro"}));
    loops_ = loops;
    end_name();
    if (current().kind == TokenKind::kName) ++at_;
    want_block_end();
  }

  /// What is assigned to: a name, several, or a namespace's field.
  ExpressionPtr target() {
    const auto one = [&] {
      const bool in_brackets = take_operator("(");
      ExpressionPtr name = make(Kind::kName);
      name->name = want_name();
      if (!in_brackets && take_operator(".")) {
        ExpressionPtr field = make(Kind::kAttribute);
        field->name = want_name();
        field->parts.push_back(std::move(name));
        return field;
      }
      if (in_brackets && !is_operator(")")) fail("a target in brackets is not supported");
      if (in_brackets) ++at_;
      return name;
    };
    ExpressionPtr first = one();
    if (!is_operator(",")) return first;
    ExpressionPtr all = make(Kind::kTuple);
    all->parts.push_back(std::move(first));
    while (take_operator(",")) all->parts.push_back(one());
    return all;
  }

  // Expressions, the loosest binding first.

  ExpressionPtr tuple(bool with_condition) {
    const auto item = [&] { return with_condition ? expression() : or_expression(); };
    ExpressionPtr first = item();
    if (!is_operator(",")) return first;
    ExpressionPtr all = make(Kind::kTuple);
    all->parts.push_back(std::move(first));
    while (take_operator(",")) {
      const bool ends = current().kind == TokenKind::kOutputEnd || current().kind == TokenKind::kBlockEnd || is_operator(")");
      if (ends) break;
      all->parts.push_back(item());
    }
    return all;
  }

  ExpressionPtr expression() {
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

  ExpressionPtr or_expression() {
    ExpressionPtr left = and_expression();
    while (take_name("or")) left = join(Kind::kOr, std::move(left), and_expression());
    return left;
  }

  ExpressionPtr and_expression() {
    ExpressionPtr left = not_expression();
    while (take_name("and")) left = join(Kind::kAnd, std::move(left), not_expression());
    return left;
  }

  ExpressionPtr not_expression() {
    const Deeper deeper(*this);
    if (!is_name("not")) return comparison();
    ExpressionPtr result = make(Kind::kNot);
    ++at_;
    result->parts.push_back(not_expression());
    return result;
  }

  ExpressionPtr comparison() {
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

  ExpressionPtr sum() {
    ExpressionPtr left = concatenation();
    while (is_operator("+") || is_operator("-")) {
      const std::string op = tokens_[at_++].text;
      left = join(Kind::kBinary, std::move(left), concatenation(), op);
    }
    return left;
  }

  ExpressionPtr concatenation() {
    ExpressionPtr left = product();
    while (take_operator("~")) left = join(Kind::kBinary, std::move(left), product(), "~");
    return left;
  }

  ExpressionPtr product() {
    ExpressionPtr left = power();
    while (is_operator("*") || is_operator("/") || is_operator("//") || is_operator("%")) {
      const std::string op = tokens_[at_++].text;
      left = join(Kind::kBinary, std::move(left), power(), op);
    }
    return left;
  }

  ExpressionPtr power() {
    ExpressionPtr left = unary(true);
    while (take_operator("**")) left = join(Kind::kBinary, std::move(left), unary(true), "**");
    return left;
  }

  ExpressionPtr unary(bool with_filters) {
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

  ExpressionPtr primary() {
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
      result->value = token.kind == TokenKind::kInteger ? Value(std::int64_t{std::stoll(token.text)}) : Value(std::stod(token.text));
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

  ExpressionPtr postfix(ExpressionPtr object) {
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

  ExpressionPtr subscript(ExpressionPtr object) {
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

  ExpressionPtr call(ExpressionPtr function) {
    ExpressionPtr result = make(Kind::kCall);
    result->line = function->line;
    result->parts.push_back(std::move(function));
    arguments(*result);
    return result;
  }

  void arguments(Expression& result) {
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

  ExpressionPtr filters(ExpressionPtr input) {
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

  ExpressionPtr test(ExpressionPtr input) {
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

  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  int depth_ = 0;
  int loops_ = 0;
};

}  // namespace

Block parse_template(std::string_view source) { return Parser(source).run(); }

}  // namespace whet::tokenizer::jinja
