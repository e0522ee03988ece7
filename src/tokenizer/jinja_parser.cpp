#include "tokenizer/jinja_parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>

#include "tokenizer/jinja_cursor.h"

namespace whet::tokenizer::jinja {
namespace {

class Parser : public ExpressionReader {
 public:
  using ExpressionReader::ExpressionReader;

  Block run() {
    Block block = this->block({});
    if (current().kind != TokenKind::kEnd) fail(fmt::format("'{}' without its begin", current().text));
    return block;
  }

 private:
  // Statements.

  /// Up to a block tag of one of these names, which stays to be read, or the end.
  Block block(std::initializer_list<std::string_view> ends) {
    const Deeper deeper(*this);
    Block result;
    while (current().kind != TokenKind::kEnd) {
      if (current().kind == TokenKind::kBlockBegin) {
        const auto ends_here = [&](std::string_view end) {
          return next().kind == TokenKind::kName && next().text == end;
        };
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

  int loops_ = 0;
};

}  // namespace

Block parse_template(std::string_view source) { return Parser(source).run(); }

}  // namespace whet::tokenizer::jinja
