// A template as a tree.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tokenizer/jinja_value.h"

namespace whet::tokenizer::jinja {

struct Expression;
using ExpressionPtr = std::unique_ptr<Expression>;

struct Expression {
  enum class Kind {
    kLiteral,      ///< value
    kName,         ///< name
    kList,         ///< parts
    kTuple,        ///< parts
    kDict,         ///< parts: keys and values in turn
    kAttribute,    ///< parts[0].name
    kSubscript,    ///< parts[0][parts[1]]
    kSlice,        ///< parts[0][parts[1]:parts[2]:parts[3]]; a bound may be null
    kCall,         ///< parts[0](the other parts, named)
    kFilter,       ///< parts[0] | name(the other parts, named)
    kTest,         ///< parts[0] is name(the other parts)
    kNot,          ///< not parts[0]
    kNegative,     ///< -parts[0]
    kPositive,     ///< +parts[0]
    kBinary,       ///< parts[0] name parts[1]
    kCompare,      ///< parts[0] operators[0] parts[1] operators[1] parts[2] ...
    kAnd,          ///< parts[0] and parts[1]
    kOr,           ///< parts[0] or parts[1]
    kConditional,  ///< parts[1] if parts[0] else parts[2], which may be null
  };
  Kind kind;
  int line = 0;
  int depth = 1;  ///< of the tree below, bounded by the parser
  std::string name;
  Value value;
  std::vector<ExpressionPtr> parts;
  std::vector<std::pair<std::string, ExpressionPtr>> named;
  std::vector<std::string> operators;
};

struct Statement;
using Block = std::vector<std::unique_ptr<Statement>>;

struct Statement {
  enum class Kind {
    kText,      ///< text
    kOutput,    ///< expression
    kIf,        ///< conditions, bodies (one more when there is an else)
    kFor,       ///< target in expression if conditions[0]: bodies[0], else bodies[1]
    kSet,       ///< target = expression
    kSetBlock,  ///< target = what bodies[0] prints
    kMacro,     ///< text(parameters): bodies[0]
    kGroup,     ///< bodies[0]
    kBreak,
    kContinue,
  };
  Kind kind;
  int line = 0;
  std::string text;
  ExpressionPtr expression, target;
  std::vector<ExpressionPtr> conditions;
  std::vector<Block> bodies;
  std::vector<std::pair<std::string, ExpressionPtr>> parameters;  ///< with defaults, which may be null
};

/// TemplateError that begins with "line N: " for what is malformed or not supported.
Block parse_template(std::string_view source);

}  // namespace whet::tokenizer::jinja
