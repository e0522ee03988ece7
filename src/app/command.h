// What a command is: a file of this folder that ends in one registrar line.
#pragma once

#include <CLI/CLI.hpp>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>

#include "base/fields.h"
#include "base/registry.h"
#include "store/config_toml.h"

namespace whet::app {

/// What a declared command does when the command line has been read; returns the exit code.
using Run = std::function<int()>;

struct Command {
  std::string summary;   ///< one line for `whet --help`
  std::string examples;  ///< shown under the command's own help
  /// Adds the command's options to `app` and returns what to run. Values live in the closure.
  std::function<Run(CLI::App& app)> declare;
};

base::Registry<Command>& commands();

/// The arguments that the program was called with, its name first (for manifests).
const std::vector<std::string>& command_line();
/// For main() alone, once, before a command runs.
void remember_command_line(int argc, char** argv);

/// Adds an option for each field of `options`. The value at the time of the call is the default that --help shows.
template <class Options>
void add_fields(CLI::App& app, Options& options) {
  visit_fields(options, [&](auto& value, const char* name, const char* help, const base::Allowed& allowed) {
    using T = std::remove_cvref_t<decltype(value)>;
    const std::string flag = std::string("--") + name;
    if constexpr (std::is_same_v<T, bool>) {
      app.add_flag(flag + ",!--no-" + name, value, help);
    } else if constexpr (std::is_same_v<T, std::vector<std::string>>) {
      app.add_option(flag, value, help);
    } else {
      auto* option = app.add_option(flag, value, help)->capture_default_str();
      option->check([name, allowed](const std::string& text) -> std::string {
        T parsed{};
        if (!CLI::detail::lexical_cast(text, parsed)) return {};  // CLI11's own message says what is wrong
        try {
          base::check_allowed(parsed, name, allowed);
        } catch (const base::UserError& error) {
          return error.what();
        }
        return {};
      });
    }
  });
}

/// What a command declares that has the fields of one struct of options and --json, and nothing else.
template <class Options>
std::function<Run(CLI::App& app)> fields_and_json(int (*run)(const Options& options, bool json),
                                                  const char* json_help = "one JSON object on standard output") {
  return [run, json_help](CLI::App& app) -> Run {
    auto options = std::make_shared<Options>();
    auto json = std::make_shared<bool>(false);
    add_fields(app, *options);
    app.add_flag("--json", *json, json_help);
    return [run, options, json] { return run(*options, *json); };
  };
}

/// UserError when another option is given beside --resume: a run goes on with the options it began with, and to ignore
/// what was asked for would be worse than to refuse it. --json is about what is printed, and may be; `allowed`: one more that
/// is not about the run itself.
void check_only_resume(const CLI::App& app, std::string_view allowed = {});

/// Adds --config FILE: the file's fields come first, whatever stands on the command line overrides them.
template <class Options>
void add_config(CLI::App& app, Options& options, std::string& path) {
  app.add_option("--config", path, "a run's config.toml to start from; other options override it");
  app.parse_complete_callback([&app, &options, &path] {
    if (path.empty()) return;
    Options from_file;
    base::fields_from_json(from_file, store::read_toml_file(path), path);
    visit_fields(options, [&](auto& value, const char* name, const char*, const base::Allowed&) {
      if (app.count(std::string("--") + name) > 0) return;
      using T = std::remove_cvref_t<decltype(value)>;
      visit_fields(from_file, [&](auto& other, const char* other_name, const char*, const base::Allowed&) {
        if constexpr (std::is_same_v<std::remove_cvref_t<decltype(other)>, T>) {
          if (std::string_view(name) == other_name) value = other;
        }
      });
    });
  });
}

}  // namespace whet::app
