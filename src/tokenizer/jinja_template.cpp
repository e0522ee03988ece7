#include "tokenizer/jinja_template.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <map>

namespace whet::tokenizer::jinja {
namespace {

using Kind = Expression::Kind;

// A chat of a million tokens takes some hundred thousand steps; a template that goes on for ever is stopped in seconds.
constexpr std::int64_t kMostSteps = 3'000'000;
constexpr std::size_t kLongestText = std::size_t{1} << 28;
constexpr int kDeepestCalls = 100;

using Frame = std::map<std::string, Value, std::less<>>;

class Interpreter {
 public:
  Interpreter(const Dict& variables, std::int64_t now) {
    Frame globals;
    for (auto& [name, function] : global_functions(now)) globals[name] = function;
    frames_.push_back(std::move(globals));
    Frame given;
    for (const auto& [name, value] : variables.items) given[name] = value;
    frames_.push_back(std::move(given));
  }

  std::string run(const Block& block) {
    std::string out;
    execute(block, out);
    return out;
  }

 private:
  enum class Flow { kOn, kBreak, kContinue };
  /// The frames that everything sees: globals, and what was given or set outside of loops and macros.
  static constexpr std::size_t kOuterFrames = 2;

  /// Adds the line to an error that has none yet.
  template <class Action>
  auto at_line(int line, Action&& action) {
    try {
      return action();
    } catch (const TemplateError& error) {
      if (std::string_view(error.what()).starts_with("line ")) throw;
      throw TemplateError(fmt::format("line {}: {}", line, error.what()));
    }
  }

  void step() {
    if (++steps_ > kMostSteps) throw TemplateError(fmt::format("more than {} steps, does it end?", kMostSteps));
  }

  Flow execute(const Block& block, std::string& out) {
    for (const auto& statement : block) {
      const Flow flow = at_line(statement->line, [&] { return execute(*statement, out); });
      if (flow != Flow::kOn) return flow;
    }
    return Flow::kOn;
  }

  Flow execute(const Statement& statement, std::string& out) {
    step();
    switch (statement.kind) {
      case Statement::Kind::kText:
        append(out, statement.text);
        return Flow::kOn;
      case Statement::Kind::kOutput:
        append(out, evaluate(*statement.expression).str());
        return Flow::kOn;
      case Statement::Kind::kIf:
        for (std::size_t i = 0; i < statement.conditions.size(); ++i) {
          if (evaluate(*statement.conditions[i]).truth()) return execute(statement.bodies[i], out);
        }
        return statement.bodies.size() > statement.conditions.size() ? execute(statement.bodies.back(), out)
                                                                     : Flow::kOn;
      case Statement::Kind::kFor:
        return loop(statement, out);
      case Statement::Kind::kSet:
        assign(*statement.target, evaluate(*statement.expression));
        return Flow::kOn;
      case Statement::Kind::kSetBlock: {
        std::string text;
        const Flow flow = execute(statement.bodies[0], text);
        assign(*statement.target, text);
        return flow;
      }
      case Statement::Kind::kMacro:
        frames_.back()[statement.text] = Function{
            statement.text, [this, &statement](const Arguments& given) { return call_macro(statement, given); }};
        return Flow::kOn;
      case Statement::Kind::kGroup:
        return execute(statement.bodies[0], out);
      case Statement::Kind::kBreak:
        return Flow::kBreak;
      case Statement::Kind::kContinue:
        return Flow::kContinue;
    }
    return Flow::kOn;
  }

  static void append(std::string& out, const std::string& text) {
    if (out.size() + text.size() > kLongestText)
      throw TemplateError(fmt::format("a text of more than {} bytes", kLongestText));
    out += text;
  }

  void assign(const Expression& target, const Value& value) {
    if (target.kind == Kind::kName) {
      frames_.back()[target.name] = value;
    } else if (target.kind == Kind::kAttribute) {
      const Value object = look_up(target.parts[0]->name);
      if (!object.is_dict() || !object.dict().is_namespace)
        throw TemplateError(
            fmt::format("'{}' is no namespace, its '{}' cannot be set", target.parts[0]->name, target.name));
      object.dict().set(target.name, value);
    } else {
      const std::vector<Value> values = value.iterate();
      if (values.size() != target.parts.size())
        throw TemplateError(fmt::format("{} values for {} names", values.size(), target.parts.size()));
      for (std::size_t i = 0; i < values.size(); ++i) assign(*target.parts[i], values[i]);
    }
  }

  Flow loop(const Statement& statement, std::string& out) {
    std::vector<Value> items = evaluate(*statement.expression).iterate();
    frames_.emplace_back();
    if (!statement.conditions.empty()) {
      std::vector<Value> kept;
      for (const Value& item : items) {
        step();
        frames_.back().clear();
        assign(*statement.target, item);
        if (evaluate(*statement.conditions[0]).truth()) kept.push_back(item);
      }
      items = std::move(kept);
    }
    Flow flow = Flow::kOn;
    for (std::size_t i = 0; i < items.size() && flow != Flow::kBreak; ++i) {
      step();
      frames_.back().clear();
      frames_.back()["loop"] = loop_variable(items, i);
      assign(*statement.target, items[i]);
      flow = execute(statement.bodies[0], out);
    }
    frames_.pop_back();
    if (items.empty() && statement.bodies.size() > 1) return execute(statement.bodies[1], out);
    return Flow::kOn;
  }

  static Value loop_variable(const std::vector<Value>& items, std::size_t i) {
    const auto index = static_cast<std::int64_t>(i), count = static_cast<std::int64_t>(items.size());
    Dict loop;
    loop.is_namespace = true;
    loop.items = {{"index", index + 1},
                  {"index0", index},
                  {"revindex", count - index},
                  {"revindex0", count - index - 1},
                  {"first", index == 0},
                  {"last", index + 1 == count},
                  {"length", count}};
    if (i > 0) loop.items.emplace_back("previtem", items[i - 1]);
    if (i + 1 < items.size()) loop.items.emplace_back("nextitem", items[i + 1]);
    loop.items.emplace_back(
        "cycle", Function{"cycle", [index](const Arguments& given) -> Value {
                            if (given.positional.empty()) throw TemplateError("cycle of nothing");
                            return given.positional[static_cast<std::size_t>(index) % given.positional.size()];
                          }});
    return loop;
  }

  Value call_macro(const Statement& macro, const Arguments& given) {
    if (++call_depth_ > kDeepestCalls)
      throw TemplateError(fmt::format("macros call each other more than {} deep", kDeepestCalls));
    if (given.positional.size() > macro.parameters.size())
      throw TemplateError(fmt::format("macro '{}' takes {} arguments, got {}", macro.text, macro.parameters.size(),
                                      given.positional.size()));
    for (const auto& [name, value] : given.named) {
      const bool is_known =
          std::any_of(macro.parameters.begin(), macro.parameters.end(), [&](const auto& p) { return p.first == name; });
      if (!is_known) throw TemplateError(fmt::format("macro '{}' has no argument '{}'", macro.text, name));
    }
    // A macro sees what stands outside, not the loop from which it is called.
    std::vector<Frame> callers(std::make_move_iterator(frames_.begin() + kOuterFrames),
                               std::make_move_iterator(frames_.end()));
    frames_.resize(kOuterFrames);
    frames_.emplace_back();
    for (std::size_t i = 0; i < macro.parameters.size(); ++i) {
      const auto& [name, otherwise] = macro.parameters[i];
      Value value = Undefined{name};
      const auto named = std::find_if(given.named.begin(), given.named.end(),
                                      [&, wanted = &name](const auto& p) { return p.first == *wanted; });
      if (i < given.positional.size()) {
        value = given.positional[i];
      } else if (named != given.named.end()) {
        value = named->second;
      } else if (otherwise) {
        value = evaluate(*otherwise);
      }
      frames_.back()[name] = value;
    }
    std::string text;
    execute(macro.bodies[0], text);
    frames_.resize(kOuterFrames);
    for (Frame& frame : callers) frames_.push_back(std::move(frame));
    --call_depth_;
    return text;
  }

  Value look_up(const std::string& name) const {
    for (auto frame = frames_.rbegin(); frame != frames_.rend(); ++frame) {
      const auto found = frame->find(name);
      if (found != frame->end()) return found->second;
    }
    return Undefined{name};
  }

  Value evaluate(const Expression& e) {
    step();
    return at_line(e.line, [&] { return value_of(e); });
  }

  Value optional_value(const ExpressionPtr& e) { return e ? evaluate(*e) : Value(None{}); }

  Value value_of(const Expression& e) {
    switch (e.kind) {
      case Kind::kLiteral:
        return e.value;
      case Kind::kName:
        return look_up(e.name);
      case Kind::kList:
      case Kind::kTuple: {
        List list;
        list.is_tuple = e.kind == Kind::kTuple;
        for (const ExpressionPtr& part : e.parts) list.items.push_back(evaluate(*part));
        return list;
      }
      case Kind::kDict: {
        Dict dict;
        for (std::size_t i = 0; i < e.parts.size(); i += 2) {
          const Value key = evaluate(*e.parts[i]);
          if (!key.is_text()) throw TemplateError(fmt::format("a dict's key is a {}, want a text", key.type_name()));
          dict.set(key.text(), evaluate(*e.parts[i + 1]));
        }
        return dict;
      }
      case Kind::kAttribute:
        return evaluate(*e.parts[0]).attribute(e.name);
      case Kind::kSubscript:
        return evaluate(*e.parts[0]).subscript(evaluate(*e.parts[1]));
      case Kind::kSlice:
        return evaluate(*e.parts[0])
            .slice(optional_value(e.parts[1]), optional_value(e.parts[2]), optional_value(e.parts[3]));
      case Kind::kCall:
        return call(e);
      case Kind::kFilter:
        return filter(e);
      case Kind::kTest: {
        const Value input = evaluate(*e.parts[0]);
        return call_test(e.name, input, arguments(e));
      }
      case Kind::kNot:
        return !evaluate(*e.parts[0]).truth();
      case Kind::kNegative:
      case Kind::kPositive: {
        const Value operand = evaluate(*e.parts[0]);
        const bool negates = e.kind == Kind::kNegative;
        if (operand.is_float()) return negates ? -operand.number() : operand.number();
        const std::int64_t number = operand.integer("the operand of a sign");
        return negates ? -number : number;
      }
      case Kind::kBinary:
        return binary(e.name, evaluate(*e.parts[0]), evaluate(*e.parts[1]));
      case Kind::kCompare: {
        Value left = evaluate(*e.parts[0]);
        for (std::size_t i = 0; i < e.operators.size(); ++i) {
          Value right = evaluate(*e.parts[i + 1]);
          if (!compares(e.operators[i], left, right)) return false;
          left = std::move(right);
        }
        return true;
      }
      case Kind::kAnd: {
        Value left = evaluate(*e.parts[0]);
        return left.truth() ? evaluate(*e.parts[1]) : left;
      }
      case Kind::kOr: {
        Value left = evaluate(*e.parts[0]);
        return left.truth() ? left : evaluate(*e.parts[1]);
      }
      case Kind::kConditional:
        if (evaluate(*e.parts[0]).truth()) return evaluate(*e.parts[1]);
        return e.parts[2] ? evaluate(*e.parts[2]) : Value(Undefined{"an 'if' without 'else'"});
    }
    return {};
  }

  Arguments arguments(const Expression& e) {
    Arguments result;
    for (std::size_t i = 1; i < e.parts.size(); ++i) result.positional.push_back(evaluate(*e.parts[i]));
    for (const auto& [name, value] : e.named) result.named.emplace_back(name, evaluate(*value));
    return result;
  }

  Value filter(const Expression& e) {
    const Value input = evaluate(*e.parts[0]);
    return call_filter(e.name, input, arguments(e));
  }

  Value call(const Expression& e) {
    const Expression& callee = *e.parts[0];
    const Value function = evaluate(callee);
    if (!function.is_function()) {
      const std::string name = callee.name.empty() ? "what is called" : fmt::format("'{}'", callee.name);
      if (callee.kind == Kind::kAttribute)
        throw TemplateError(fmt::format("a {} has no method {}", evaluate(*callee.parts[0]).type_name(), name));
      throw TemplateError(function.is_undefined()
                              ? fmt::format("there is no function {}", name)
                              : fmt::format("{} is a {} and cannot be called", name, function.type_name()));
    }
    return function.function().call(arguments(e));
  }

  static bool compares(const std::string& op, const Value& left, const Value& right) {
    if (op == "==") return left.equals(right);
    if (op == "!=") return !left.equals(right);
    if (op == "in") return right.contains(left);
    if (op == "not in") return !right.contains(left);
    const int order = left.compare(right);
    return op == "<" ? order < 0 : op == "<=" ? order <= 0 : op == ">" ? order > 0 : order >= 0;
  }

  static Value binary(const std::string& op, const Value& left, const Value& right) {
    if (op == "~") return left.str() + right.str();
    for (const Value* operand : {&left, &right}) {
      if (operand->is_undefined())
        throw TemplateError(fmt::format("'{}' is undefined, in a '{}'", operand->undefined().name, op));
    }
    if (op == "+" && left.is_text() && right.is_text()) {
      std::string text = left.text();
      append(text, right.text());
      return text;
    }
    if (op == "+" && left.is_list() && right.is_list()) {
      List list = left.list();
      list.items.insert(list.items.end(), right.list().items.begin(), right.list().items.end());
      return list;
    }
    if (op == "*" && left.is_text() != right.is_text()) {
      const std::string& text = left.is_text() ? left.text() : right.text();
      const std::int64_t times = (left.is_text() ? right : left).integer("the factor of a text");
      if (times > 0 && text.size() * static_cast<double>(times) > kLongestText)
        throw TemplateError(fmt::format("a text of more than {} bytes", kLongestText));
      std::string result;
      for (std::int64_t i = 0; i < times && !text.empty(); ++i) result += text;
      return result;
    }
    if (!left.is_number() || !right.is_number())
      throw TemplateError(fmt::format("'{}' of a {} and a {}", op, left.type_name(), right.type_name()));
    if (op == "/" || left.is_float() || right.is_float()) return of_floats(op, left.number(), right.number());
    return of_integers(op, left.integer("an operand"), right.integer("an operand"));
  }

  static Value of_floats(const std::string& op, double a, double b) {
    if (op == "+") return a + b;
    if (op == "-") return a - b;
    if (op == "*") return a * b;
    if (op == "**") return std::pow(a, b);
    if (b == 0) throw TemplateError("a division by 0");
    if (op == "/") return a / b;
    if (op == "//") return std::floor(a / b);
    return a - b * std::floor(a / b);
  }

  static Value of_integers(const std::string& op, std::int64_t a, std::int64_t b) {
    std::int64_t result = 0;
    bool overflows = false;
    if (op == "+") {
      overflows = __builtin_add_overflow(a, b, &result);
    } else if (op == "-") {
      overflows = __builtin_sub_overflow(a, b, &result);
    } else if (op == "*") {
      overflows = __builtin_mul_overflow(a, b, &result);
    } else if (op == "**") {
      if (b < 0) return std::pow(static_cast<double>(a), static_cast<double>(b));
      result = 1;
      for (std::int64_t i = 0; i < b && !overflows && result != 0 && a != 1; ++i)
        overflows = __builtin_mul_overflow(result, a, &result) || i > 100;
    } else {
      if (b == 0) throw TemplateError("a division by 0");
      if (b == -1) return op == "//" ? of_integers("-", 0, a) : Value(std::int64_t{0});
      const std::int64_t quotient = a / b - ((a % b != 0 && (a < 0) != (b < 0)) ? 1 : 0);
      result = op == "//" ? quotient : a - quotient * b;
    }
    if (overflows) throw TemplateError(fmt::format("{} {} {} is too large", a, op, b));
    return result;
  }

  std::vector<Frame> frames_;
  std::int64_t steps_ = 0;
  int call_depth_ = 0;
};

}  // namespace

std::string Template::render(const Dict& variables, std::int64_t now) const {
  return Interpreter(variables, now).run(block_);
}

}  // namespace whet::tokenizer::jinja
