#include "text/extract.h"

#include <algorithm>
#include <cctype>
#include <vector>

#include "text/latex.h"

namespace whet::text {
namespace {

constexpr std::size_t kNone = std::string_view::npos;

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

/// Without blanks, Markdown emphasis and sentence punctuation around it.
std::string_view tidy(std::string_view text) {
  text = trim(text);
  for (;;) {
    const std::size_t before = text.size();
    while (text.substr(0, 2) == "**") text = trim(text.substr(2));
    while (text.size() >= 2 && text.substr(text.size() - 2) == "**") text = trim(text.substr(0, text.size() - 2));
    while (!text.empty() && (text.back() == '.' || text.back() == ',' || text.back() == ';')) {
      text = trim(text.substr(0, text.size() - 1));
    }
    if (text.size() == before) return text;
  }
}

/// Whether only a conjunction stands between two boxes: ", ", " and ", "$; $", "\quad \text{or}\quad".
bool joins(std::string_view gap) {
  constexpr std::size_t kLongest = 64;
  if (gap.size() > kLongest) return false;
  bool has_conjunction = false;
  for (std::size_t i = 0; i < gap.size();) {
    if (std::string_view(" \t\r\n$()[]{}").find(gap[i]) != kNone) {
      ++i;
    } else if (gap[i] == ',' || gap[i] == ';') {
      has_conjunction = true;
      ++i;
    } else {
      const bool is_command = gap[i] == '\\';
      std::size_t end = i + (is_command ? 1 : 0);
      const std::size_t begin = end;
      while (end < gap.size() && is_letter(gap[end])) ++end;
      const std::string_view word = gap.substr(begin, end - begin);
      if (is_command ? !(word.empty() || word == "quad" || word == "qquad" || word == "text" || word == "mbox")
                     : !(word == "and" || word == "or")) {
        return false;
      }
      has_conjunction |= !is_command;
      i = is_command && word.empty() ? end + 1 : end;
    }
  }
  return has_conjunction;
}

/// Rule 1. One pass with a stack of open braces, because a response may open a hundred thousand boxes and close none.
std::string_view last_boxed(std::string_view text) {
  struct Open {
    std::size_t command, inside;
    bool is_box;
  };
  struct Box {
    std::size_t begin, end;
    std::string_view content;
  };
  std::vector<Open> open;
  std::vector<Box> boxes;  // in the order of their ends
  std::size_t last = 0;    // the one that begins latest
  const auto offer = [&](std::size_t begin, std::size_t end, std::string_view content) {
    content = trim(content);
    if (content.empty()) return;
    boxes.push_back({begin, end, content});
    if (begin >= boxes[last].begin) last = boxes.size() - 1;
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '{') {
      open.push_back({i, i + 1, false});
    } else if (c == '}') {
      if (open.empty()) continue;
      const Open group = open.back();
      open.pop_back();
      if (group.is_box) offer(group.command, i + 1, text.substr(group.inside, i - group.inside));
    } else if (c == '\\') {
      std::size_t end = i + 1;
      while (end < text.size() && is_letter(text[end])) ++end;
      if (end == i + 1) {  // an escaped sign, perhaps a brace
        ++i;
        continue;
      }
      const std::string_view name = text.substr(i + 1, end - i - 1);
      const std::size_t command = i;
      i = end - 1;
      if (name != "boxed" && name != "fbox") continue;
      std::size_t next = end;
      while (next < text.size() && text[next] == ' ') ++next;
      if (next == text.size()) continue;
      if (text[next] == '{') {
        open.push_back({command, next + 1, true});
        i = next;
      } else {
        const std::size_t stop = std::min(text.find_first_of(" \t\r\n$", next), text.size());
        offer(command, stop, tidy(text.substr(next, stop - next)));
        i = stop - 1;
      }
    }
  }
  if (boxes.empty()) return {};
  // "\boxed{1}, \boxed{2} and \boxed{3}" is one answer, a list; "\boxed{1} and \boxed{1}" is one said twice.
  constexpr int kMostJoined = 64;
  std::size_t begin = boxes[last].begin;
  bool all_alike = true;
  int joined = 1;
  for (std::size_t i = last; i-- > 0 && joined < kMostJoined;) {
    if (boxes[i].end > begin) continue;
    if (!joins(text.substr(boxes[i].end, begin - boxes[i].end))) break;
    all_alike &= boxes[i].content == boxes[last].content;
    begin = boxes[i].begin;
    ++joined;
  }
  return all_alike ? boxes[last].content : text.substr(begin, boxes[last].end - begin);
}

/// Rule 2.
std::string_view last_hashes(std::string_view text) {
  while (!text.empty()) {
    const std::size_t newline = text.rfind('\n');
    const std::string_view line = newline == kNone ? text : text.substr(newline + 1);
    if (const std::size_t at = line.rfind("####"); at != kNone) {
      const std::string_view found = tidy(line.substr(at + 4));
      if (!found.empty()) return found;
    }
    text = text.substr(0, newline == kNone ? 0 : newline);
  }
  return {};
}

bool is_word_at(std::string_view text, std::size_t at, std::string_view word) {
  if (text.size() - at < word.size()) return false;
  for (std::size_t i = 0; i < word.size(); ++i) {
    if (std::tolower(static_cast<unsigned char>(text[at + i])) != word[i]) return false;
  }
  return true;
}

/// Up to the end of the line, or a full stop that ends a sentence (and not the point of a decimal).
std::string_view sentence(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\n') return text.substr(0, i);
    if (text[i] == '.' && i > 0 && (i + 1 == text.size() || text[i + 1] == ' ' || text[i + 1] == '\n')) {
      return text.substr(0, i);
    }
  }
  return text;
}

/// Rule 3. From the back, so that a text full of the word is not read once for each.
std::string_view last_phrase(std::string_view text) {
  constexpr std::string_view kWord = "answer";
  for (std::size_t i = text.size(); i-- > 0;) {
    if ((text[i] != 'a' && text[i] != 'A') || !is_word_at(text, i, kWord)) continue;
    std::size_t at = i + kWord.size();
    const auto skip = [&text, &at](std::string_view set) {
      while (at < text.size() && set.find(text[at]) != kNone) ++at;
    };
    bool is_said = false;
    skip(" *");
    if (at < text.size() && (text[at] == ':' || text[at] == '=')) {
      is_said = true;
      ++at;
    } else if (at < text.size() && is_word_at(text, at, "is")) {
      at += 2;
      is_said = at < text.size() && !is_letter(text[at]);
      skip(" *");
      if (at < text.size() && (text[at] == ':' || text[at] == '=')) ++at;
    }
    if (!is_said) continue;
    skip(" *");
    if (at < text.size() && text[at] == '\n') skip(" \n*");  // the answer on a line of its own
    const std::string_view found = tidy(sentence(text.substr(at)));
    if (!found.empty()) return found;
  }
  return {};
}

}  // namespace

std::optional<std::string_view> find_answer(std::string_view response) {
  for (const auto rule : {last_boxed, last_hashes, last_phrase}) {
    const std::string_view found = rule(response);
    if (!found.empty()) return found;
  }
  return std::nullopt;
}

std::optional<std::string> extract_answer(std::string_view response) {
  const auto found = find_answer(response);
  return found ? std::optional<std::string>(*found) : std::nullopt;
}

}  // namespace whet::text
