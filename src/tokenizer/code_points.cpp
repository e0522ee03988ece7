#include "tokenizer/code_points.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <unordered_map>

#include "tokenizer/unicode_data.h"

namespace whet::tokenizer {
namespace {

using Range = CodePointSet::Range;

CodePointSet from_numbers(const std::uint32_t* numbers, std::size_t count) {
  std::vector<Range> ranges;
  for (std::size_t i = 0; i + 1 < count; i += 2) ranges.emplace_back(numbers[i], numbers[i + 1]);
  return CodePointSet(std::move(ranges));
}

/// The categories whose names begin with `prefix`; "" gives all.
CodePointSet category_set(std::string_view prefix) {
  using namespace unicode_data;
  std::vector<Range> ranges;
  for (std::size_t i = 0; i < kCategoryRunsCount; ++i) {
    if (!std::string_view(kCategories[kCategoryRuns[i] & 31]).starts_with(prefix)) continue;
    const std::uint32_t end = i + 1 < kCategoryRunsCount ? kCategoryRuns[i + 1] >> 5 : kLastCodePoint + 1;
    ranges.emplace_back(kCategoryRuns[i] >> 5, end - 1);
  }
  return CodePointSet(std::move(ranges));
}

CodePointSet alphabetic_set() {
  using namespace unicode_data;
  return category_set("L").with(category_set("Nl")).with(from_numbers(kOtherAlphabetic, kOtherAlphabeticCount));
}

constexpr std::pair<std::string_view, std::string_view> kLongNames[] = {
    {"Letter", "L"},
    {"Uppercase_Letter", "Lu"},
    {"Lowercase_Letter", "Ll"},
    {"Mark", "M"},
    {"Number", "N"},
    {"Decimal_Number", "Nd"},
    {"Punctuation", "P"},
    {"Symbol", "S"},
    {"Separator", "Z"},
    {"Other", "C"},
};

}  // namespace

CodePointSet::CodePointSet(std::vector<Range> ranges) {
  std::sort(ranges.begin(), ranges.end());
  for (const Range& range : ranges) {
    if (!ranges_.empty() && range.first <= ranges_.back().second + 1) {
      ranges_.back().second = std::max(ranges_.back().second, range.second);
    } else {
      ranges_.push_back(range);
    }
  }
}

CodePointSet CodePointSet::with(const CodePointSet& other) const {
  std::vector<Range> all = ranges_;
  all.insert(all.end(), other.ranges_.begin(), other.ranges_.end());
  return CodePointSet(std::move(all));
}

CodePointSet CodePointSet::without(const CodePointSet& other) const { return complement().with(other).complement(); }

CodePointSet CodePointSet::complement() const {
  std::vector<Range> gaps;
  std::uint32_t next = 0;
  for (const auto& [first, last] : ranges_) {
    if (first > next) gaps.emplace_back(next, first - 1);
    next = last + 1;
  }
  if (next <= kLastCodePoint) gaps.emplace_back(next, kLastCodePoint);
  return CodePointSet(std::move(gaps));
}

bool CodePointSet::contains(std::uint32_t code) const {
  const auto after = std::upper_bound(ranges_.begin(), ranges_.end(), Range{code, kLastCodePoint});
  return after != ranges_.begin() && std::prev(after)->second >= code;
}

std::optional<CodePointSet> property_set(std::string_view name) {
  using namespace unicode_data;
  for (const auto& [longer, shorter] : kLongNames) {
    if (name == longer) name = shorter;
  }
  if (name == "Any") return CodePointSet({{0, kLastCodePoint}});
  if (name == "Alphabetic" || name == "Alpha") return alphabetic_set();
  const bool is_category = std::any_of(std::begin(kCategories), std::end(kCategories), [&](std::string_view category) {
    return !name.empty() && name.size() <= 2 && category.starts_with(name);
  });
  if (is_category) return category_set(name);
  for (std::size_t i = 0; i < kScriptsCount; ++i) {
    if (name == kScripts[i].name) return from_numbers(kScripts[i].ranges, kScripts[i].count);
  }
  return std::nullopt;
}

CodePointSet space_set() {
  return CodePointSet({{0x9, 0xD},
                       {0x20, 0x20},
                       {0x85, 0x85},
                       {0xA0, 0xA0},
                       {0x1680, 0x1680},
                       {0x2000, 0x200A},
                       {0x2028, 0x2029},
                       {0x202F, 0x202F},
                       {0x205F, 0x205F},
                       {0x3000, 0x3000}});
}

CodePointSet word_set() {
  // The six are Oniguruma's own: superscript digits and fractions of Latin-1.
  return alphabetic_set()
      .with(category_set("M"))
      .with(category_set("Nd"))
      .with(category_set("Pc"))
      .with(CodePointSet({{0xB2, 0xB3}, {0xB9, 0xB9}, {0xBC, 0xBE}}));
}

CodePointSet plain_word_set() {
  using namespace unicode_data;
  return word_set().with(from_numbers(kOtherWord, kOtherWordCount)).without(from_numbers(kNotWord, kNotWordCount));
}

CodePointSet numeric_set() {
  using namespace unicode_data;
  return category_set("N").with(from_numbers(kOtherNumeric, kOtherNumericCount));
}

CodePointSet punctuation_set() { return from_numbers(unicode_data::kPunctuation, unicode_data::kPunctuationCount); }

CodePointTable::CodePointTable() : CodePointTable(CodePointSet()) {}

CodePointTable::CodePointTable(const std::vector<std::uint8_t>& kinds) {
  std::unordered_map<std::string_view, std::uint32_t> known;
  for (std::uint32_t begin = 0; begin <= kLastCodePoint; begin += 256) {
    const std::string_view page(reinterpret_cast<const char*>(kinds.data()) + begin, 256);
    const auto [found, is_new] = known.emplace(page, static_cast<std::uint32_t>(cells_.size() / 256));
    if (is_new) cells_.insert(cells_.end(), page.begin(), page.end());
    pages_.push_back(found->second);
  }
}

CodePointTable::CodePointTable(const CodePointSet& members)
    : CodePointTable([&] {
        std::vector<std::uint8_t> kinds(kLastCodePoint + 1);
        for (const auto& [first, last] : members.ranges()) {
          std::fill(kinds.begin() + first, kinds.begin() + last + 1, std::uint8_t{1});
        }
        return kinds;
      }()) {}

}  // namespace whet::tokenizer
