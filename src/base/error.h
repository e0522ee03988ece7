// Errors that name the place, the value and what was wanted.
//
// Two kinds, because the program answers them differently: a UserError is a mistake of the person who called
// (bad flag, bad file) and ends in one line and exit code 2; a RunError is a failure of the run itself
// (a loss that is not a number, a full disk) and ends in one line and exit code 1.
#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <stdexcept>
#include <string>
#include <string_view>

namespace whet::base {

class UserError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class RunError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Throws UserError("[place] message"), e.g. user_error("sampler", "temperature {}, want > 0", t).
template <class... Args>
[[noreturn]] void user_error(std::string_view place, fmt::format_string<Args...> format, Args&&... args) {
  throw UserError(fmt::format("[{}] {}", place, fmt::format(format, std::forward<Args>(args)...)));
}

/// Throws RunError("[place] message").
template <class... Args>
[[noreturn]] void run_error(std::string_view place, fmt::format_string<Args...> format, Args&&... args) {
  throw RunError(fmt::format("[{}] {}", place, fmt::format(format, std::forward<Args>(args)...)));
}

}  // namespace whet::base
