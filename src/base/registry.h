// Named things that register themselves: a reward, task or command is one file that ends in one registrar line.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace whet::base {

/// Values under unique names, listed in alphabetical order. One registry per kind of value:
///
///   Registry<RewardFactory>& rewards();                       // declared by the room
///   const Registrar kRegistered(rewards(), "majority-vote", make_majority_vote);
template <class Value>
class Registry {
 public:
  /// `kind` is the word for one entry in messages ("reward", "task").
  explicit Registry(std::string kind) : kind_(std::move(kind)) {}

  void add(std::string name, Value value) {
    if (!values_.emplace(name, std::move(value)).second) {
      throw std::logic_error(fmt::format("{} '{}' is registered twice", kind_, name));
    }
  }

  /// UserError that lists the known names when `name` is not among them.
  const Value& find(std::string_view name) const {
    const auto found = values_.find(name);
    if (found == values_.end()) {
      user_error(kind_, "unknown {} '{}', want one of: {}", kind_, name, fmt::join(names(), ", "));
    }
    return found->second;
  }

  bool contains(std::string_view name) const { return values_.find(name) != values_.end(); }

  std::vector<std::string> names() const {
    std::vector<std::string> result;
    for (const auto& [name, value] : values_) result.push_back(name);
    return result;
  }

  auto begin() const { return values_.begin(); }
  auto end() const { return values_.end(); }

 private:
  std::string kind_;
  std::map<std::string, Value, std::less<>> values_;
};

/// Adds a value to a registry when the program starts.
struct Registrar {
  template <class Value>
  Registrar(Registry<Value>& registry, std::string name, Value value) {
    registry.add(std::move(name), std::move(value));
  }
};

}  // namespace whet::base
