#include "store/dump_files.h"

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "base/error.h"
#include "store/run.h"

namespace whet::store {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPlace = "dump";
constexpr std::string_view kNemoRlPrefix = "train_data_step";

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// Pandas reads one file or a folder of them, and chat columns as lists; 15 digits are all that it writes of a number.
[[noreturn]] void refuse_parquet(const std::string& path) {
  base::user_error(kPlace,
                   "{} is Parquet, want JSON Lines: python3 -c \"import pandas,sys; pandas.read_parquet(sys.argv[1])"
                   ".to_json(sys.stdout, orient='records', lines=True, double_precision=15)\" {} | whet score - ...",
                   path, path);
}

bool begins(std::string_view text, std::string_view prefix) { return text.substr(0, prefix.size()) == prefix; }

std::vector<std::string> files_below(const fs::path& folder) {
  std::vector<std::string> files;
  bool any_parquet = false, any_nemo_rl = false;
  std::error_code error;
  for (fs::recursive_directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    if (!entry->is_regular_file()) continue;
    const fs::path& path = entry->path();
    const std::string name = path.filename().string();
    if (name[0] == '.') continue;
    any_parquet = any_parquet || path.extension() == ".parquet";
    if (path.extension() != ".jsonl") continue;
    any_nemo_rl = any_nemo_rl || begins(name, kNemoRlPrefix);
    files.push_back(path.string());
  }
  if (error) base::user_error(kPlace, "cannot read {}: {}", folder.string(), error.message());
  if (any_nemo_rl) {
    std::erase_if(files,
                  [](const std::string& file) { return !begins(fs::path(file).filename().string(), kNemoRlPrefix); });
  }
  if (files.empty() && any_parquet) refuse_parquet(folder.string());
  if (files.empty()) base::user_error(kPlace, "no .jsonl file in {}, want a folder of rollout dumps", folder.string());
  std::sort(files.begin(), files.end(), natural_less);
  return files;
}

}  // namespace

std::optional<std::int64_t> step_of_file(const std::string& path) {
  const std::string stem = fs::path(path).stem().string();
  const std::size_t at = begins(stem, kNemoRlPrefix) ? kNemoRlPrefix.size() : 0;
  std::int64_t step = 0;
  const char* end = stem.data() + stem.size();
  const auto [stop, error] = std::from_chars(stem.data() + at, end, step);
  if (error != std::errc() || stop != end) return std::nullopt;
  return step;
}

bool natural_less(std::string_view a, std::string_view b) {
  std::size_t i = 0, j = 0;
  while (i < a.size() && j < b.size()) {
    if (!is_digit(a[i]) || !is_digit(b[j])) {
      if (a[i] != b[j]) return static_cast<unsigned char>(a[i]) < static_cast<unsigned char>(b[j]);
      ++i, ++j;
      continue;
    }
    const auto number = [](std::string_view text, std::size_t& at) {
      while (at < text.size() && text[at] == '0') ++at;
      const std::size_t begin = at;
      while (at < text.size() && is_digit(text[at])) ++at;
      return text.substr(begin, at - begin);
    };
    const std::string_view x = number(a, i), y = number(b, j);
    if (x.size() != y.size()) return x.size() < y.size();
    if (x != y) return x < y;
  }
  // Equal but for leading zeros, or one is the other's beginning.
  if (a.size() - i != b.size() - j) return a.size() - i < b.size() - j;
  return a < b;
}

std::vector<std::string> dump_files(const std::string& path) {
  std::error_code error;
  if (path == "-" || !fs::is_directory(path, error)) return {path};
  const fs::path folder = path;
  if (fs::exists(folder / kManifestFile, error)) {
    if (!fs::is_directory(folder / kRolloutsFolder, error)) {
      base::user_error(kPlace, "{} is a run that kept no rollouts, want one of 'whet train --rollouts-every N'", path);
    }
    return files_below(folder / kRolloutsFolder);
  }
  return files_below(folder);
}

void check_is_json_lines(std::string_view head, const std::string& path) {
  if (begins(head, "PAR1")) refuse_parquet(path);
  if (begins(head, "\x1F\x8B"))
    base::user_error(kPlace, "{} is compressed, want JSON Lines: zcat {} | whet score - ...", path, path);
  if (begins(head, "\x28\xB5\x2F\xFD")) {
    base::user_error(kPlace, "{} is compressed, want JSON Lines: zstdcat {} | whet score - ...", path, path);
  }
  const std::size_t first = head.find_first_not_of(" \t\r\n");
  if (first != std::string_view::npos && head[first] == '[') {
    base::user_error(kPlace, "{} is a JSON array, want JSON Lines, a row a line: jq -c '.[]' {} | whet score - ...",
                     path, path);
  }
}

}  // namespace whet::store
