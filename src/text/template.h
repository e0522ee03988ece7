// A text with named places: `{problem}` in a template is replaced by the problem.
//
// The template is cut into pieces once, before any value is known, and values are put between the pieces as they are:
// braces, quotes, newlines or another place's mark inside a value stay what they are. Only the marks of the given names
// are places; every other brace of a template, as in \boxed{True}, is text.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace whet::text {

class Template {
 public:
  /// Cuts `text` at the marks `{name}` of `names`.
  Template(std::string_view text, const std::vector<std::string>& names);

  /// How often a place stands in the template.
  int count(std::string_view name) const;

  /// Calls `on_text` for the template's own text and `on_place` for its places (with the name), in order.
  void visit(const std::function<void(std::string_view)>& on_text,
             const std::function<void(std::string_view)>& on_place) const;

 private:
  struct Piece {
    std::string text;
    bool is_place;
  };
  std::vector<Piece> pieces_;
};

}  // namespace whet::text
