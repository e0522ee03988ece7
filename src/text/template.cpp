#include "text/template.h"

namespace whet::text {

Template::Template(std::string_view text, const std::vector<std::string>& names) {
  std::size_t begin = 0;
  const auto cut = [&](std::size_t end) {
    if (end > begin) pieces_.push_back({std::string(text.substr(begin, end - begin)), false});
  };
  for (std::size_t i = text.find('{'); i != std::string_view::npos; i = text.find('{', i)) {
    const std::string_view rest = text.substr(i + 1);
    const std::string* found = nullptr;
    for (const std::string& name : names) {
      if (rest.starts_with(name) && rest.substr(name.size()).starts_with('}')) found = &name;
    }
    if (!found) {
      ++i;
      continue;
    }
    cut(i);
    pieces_.push_back({*found, true});
    i += found->size() + 2;
    begin = i;
  }
  cut(text.size());
}

int Template::count(std::string_view name) const {
  int found = 0;
  for (const Piece& piece : pieces_) found += piece.is_place && piece.text == name ? 1 : 0;
  return found;
}

void Template::visit(const std::function<void(std::string_view)>& on_text,
                     const std::function<void(std::string_view)>& on_place) const {
  for (const Piece& piece : pieces_) (piece.is_place ? on_place : on_text)(piece.text);
}

}  // namespace whet::text
