#include "text/equivalence.h"

#include <functional>
#include <string>
#include <unordered_map>

#include "text/canonical.h"

namespace whet::text {
namespace {

struct Hash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
};
using Forms = std::unordered_map<std::string, std::string, Hash, std::equal_to<>>;

/// canonical(), remembered for short texts: a group's few distinct answers are compared pair by pair, and a parse costs a
/// hundred times a look.
const std::string& remembered(std::string_view text, Forms& forms, std::string& scratch) {
  constexpr std::size_t kLongest = 256;
  if (text.size() > kLongest) return scratch = canonical(text);
  auto found = forms.find(text);
  if (found == forms.end()) found = forms.emplace(std::string(text), canonical(text)).first;
  return found->second;
}

}  // namespace

bool equivalent(std::string_view a, std::string_view b) {
  if (a == b) return true;
  // One table a thread, so that no thread waits for another; what it holds changes no result.
  constexpr std::size_t kMostForms = 1024;
  thread_local Forms forms;
  if (forms.size() >= kMostForms) forms.clear();
  std::string left_scratch, right_scratch;
  return remembered(a, forms, left_scratch) == remembered(b, forms, right_scratch);
}

}  // namespace whet::text
