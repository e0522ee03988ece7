// The tokens of a template, one after the other, and the making of expressions: what reading statements and reading
// expressions share.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tokenizer/jinja_lexer.h"
#include "tokenizer/jinja_parser.h"

namespace whet::tokenizer::jinja {

class Cursor {
 public:
  static constexpr int kDeepest = 200, kLongestChain = 1000;

  explicit Cursor(std::string_view source) : tokens_(cut_template(source)) {}

 protected:
  using TokenKind = Token::Kind;
  using Kind = Expression::Kind;

  /// Nesting is bounded, so that no template can exhaust the stack, here or when it runs.
  class Deeper {
   public:
    explicit Deeper(Cursor& cursor) : cursor_(cursor) {
      if (++cursor_.depth_ > kDeepest) cursor_.fail(fmt::format("nested more than {} deep", kDeepest));
    }
    ~Deeper() { --cursor_.depth_; }

   private:
    Cursor& cursor_;
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

  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  int depth_ = 0;
};

/// Expressions, the loosest binding first.
class ExpressionReader : public Cursor {
 public:
  using Cursor::Cursor;

 protected:
  /// One, or several with commas. Without `with_condition`, an "if" that follows is left to the statement.
  ExpressionPtr tuple(bool with_condition);
  ExpressionPtr expression();

 private:
  ExpressionPtr or_expression();
  ExpressionPtr and_expression();
  ExpressionPtr not_expression();
  ExpressionPtr comparison();
  ExpressionPtr sum();
  ExpressionPtr concatenation();
  ExpressionPtr product();
  ExpressionPtr power();
  ExpressionPtr unary(bool with_filters);
  ExpressionPtr primary();
  ExpressionPtr postfix(ExpressionPtr object);
  ExpressionPtr subscript(ExpressionPtr object);
  ExpressionPtr call(ExpressionPtr function);
  void arguments(Expression& result);
  ExpressionPtr filters(ExpressionPtr input);
  ExpressionPtr test(ExpressionPtr input);
};

}  // namespace whet::tokenizer::jinja
