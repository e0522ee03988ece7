#include "text/verdict.h"

#include <string>

#include "text/latex.h"

namespace whet::text {
namespace {

constexpr std::string_view kBox = "\\boxed";

bool drop_prefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

std::optional<bool> word(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  if (lower == "true") return true;
  if (lower == "false") return false;
  return std::nullopt;
}

/// `text` begins behind "\boxed". Looks no further than the longest spelling of a verdict.
std::optional<bool> verdict_at(std::string_view text) {
  text = trim(text.substr(0, 40));
  int open = 0;
  const auto open_brace = [&] {
    if (!drop_prefix(text, "{")) return false;
    text = trim(text);
    ++open;
    return true;
  };
  if (!open_brace()) return std::nullopt;
  open_brace();
  for (const std::string_view command : {"\\textbf", "\\text", "\\mathrm", "\\mathbf"}) {
    if (!drop_prefix(text, command)) continue;
    if (!open_brace()) return std::nullopt;
    break;
  }
  const std::size_t end = text.find('}');
  if (end == std::string_view::npos) return std::nullopt;
  const auto verdict = word(trim(text.substr(0, end)));
  text.remove_prefix(end);
  for (; open > 0; --open) {
    if (!drop_prefix(text, "}")) return std::nullopt;
    text = trim(text);
  }
  return verdict;
}

}  // namespace

std::optional<bool> boxed_verdict(std::string_view text) {
  while (!text.empty()) {
    const std::size_t at = text.rfind(kBox);
    if (at == std::string_view::npos) break;
    if (const auto verdict = verdict_at(text.substr(at + kBox.size()))) return verdict;
    text = text.substr(0, at);
  }
  return std::nullopt;
}

std::optional<bool> mark_verdict(std::string_view text) {
  if (text.ends_with('T')) return true;
  if (text.ends_with('F')) return false;
  return std::nullopt;
}

}  // namespace whet::text
