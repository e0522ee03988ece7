// Weighted sums of rewards, as text.
#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>

#include "base/error.h"
#include "base/fields.h"
#include "rewards/reward.h"

namespace whet::rewards {
namespace {

/// sum := [sign] term {sign term};  term := [number "*"] name. A name is as long as it can be, so that the '-' of
/// "majority-vote" is part of it; a minus between two terms needs a space before it.
class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  std::vector<Term> parse() {
    std::vector<Term> terms;
    do {
      terms.push_back(term(sign(terms.empty())));
    } while (!at_end());
    return terms;
  }

 private:
  bool at_end() {
    while (place_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[place_]))) ++place_;
    return place_ == text_.size();
  }

  bool take(char wanted) {
    if (at_end() || text_[place_] != wanted) return false;
    ++place_;
    return true;
  }

  double sign(bool is_first) {
    if (take('+')) return 1;
    if (take('-')) return -1;
    if (!is_first) fail("'+' or '-'");
    return 1;
  }

  Term term(double sign) {
    Term term{.weight = sign, .name = {}};
    if (!at_end() && (std::isdigit(static_cast<unsigned char>(text_[place_])) || text_[place_] == '.')) {
      double weight = 0;
      const auto [end, error] = std::from_chars(text_.data() + place_, text_.data() + text_.size(), weight);
      if (error != std::errc() || !std::isfinite(weight) || weight == 0) fail("a weight other than 0");
      place_ = static_cast<std::size_t>(end - text_.data());
      if (!take('*')) fail("'*' after a weight");
      term.weight *= weight;
    }
    at_end();
    const std::size_t begin = place_;
    while (place_ < text_.size() && is_name_character(text_[place_], place_ == begin)) ++place_;
    if (place_ == begin) fail("the name of a reward");
    term.name = std::string(text_.substr(begin, place_ - begin));
    return term;
  }

  static bool is_name_character(char c, bool is_first) {
    return (c >= 'a' && c <= 'z') || (!is_first && ((c >= '0' && c <= '9') || c == '-'));
  }

  [[noreturn]] void fail(std::string_view wanted) const {
    base::user_error("reward", "'{}', want {} at character {} (example: majority-vote + 0.5*format)", text_, wanted,
                     place_ + 1);
  }

  std::string_view text_;
  std::size_t place_ = 0;
};

}  // namespace

void require_read(const RewardOptions& options, std::span<const Term> terms) {
  // Both are named: what items() walks over must outlive the walk.
  const base::Json given = base::fields_to_json(options), defaults = base::fields_to_json(RewardOptions{});
  for (const auto& [name, value] : defaults.items()) {
    if (given.at(name) == value) continue;
    const auto reads = [&name](const std::string& reward) {
      const auto& own = rewards().find(reward).options;
      return std::find(own.begin(), own.end(), name) != own.end();
    };
    if (std::any_of(terms.begin(), terms.end(), [&](const Term& term) { return reads(term.name); })) continue;
    std::vector<std::string> readers;
    for (const std::string& reward : rewards().names()) {
      if (reads(reward)) readers.push_back(reward);
    }
    base::user_error(name, "given, but no reward of this run reads it; want the default, or a reward that does: {}",
                     fmt::join(readers, ", "));
  }
}

std::vector<Term> parse_terms(std::string_view text) {
  std::vector<Term> terms = Parser(text).parse();
  for (std::size_t i = 0; i < terms.size(); ++i) {
    rewards().find(terms[i].name);
    for (std::size_t j = 0; j < i; ++j) {
      if (terms[j].name == terms[i].name) base::user_error("reward", "'{}', want {} once", text, terms[i].name);
    }
  }
  return terms;
}

}  // namespace whet::rewards
