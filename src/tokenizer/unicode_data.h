// Unicode as Hugging Face tokenizers knows it. Made by scripts/make_unicode_data.py, which says why these tables and not
// those of a library. Ranges are pairs of first and last; all are sorted.
#pragma once

#include <cstddef>
#include <cstdint>

namespace whet::tokenizer::unicode_data {

/// Names of the categories in the order of their numbers in kCategoryRuns.
inline constexpr const char* kCategories[] = {"Cn", "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd",
                                              "Nl", "No", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Sm",
                                              "Sc", "Sk", "So", "Zs", "Zl", "Zp", "Cc", "Cf", "Co"};

struct Script {
  const char* name;
  const std::uint32_t* ranges;
  std::size_t count;  ///< of numbers, twice that of ranges
};

extern const std::uint32_t kCategoryRuns[];
extern const std::size_t kCategoryRunsCount;
extern const std::uint32_t kOtherAlphabetic[];
extern const std::size_t kOtherAlphabeticCount;
extern const std::uint32_t kOtherNumeric[];
extern const std::size_t kOtherNumericCount;
extern const std::uint32_t kPunctuation[];
extern const std::size_t kPunctuationCount;
extern const std::uint32_t kOtherWord[];
extern const std::size_t kOtherWordCount;
extern const std::uint32_t kNotWord[];
extern const std::size_t kNotWordCount;
extern const Script kScripts[];
extern const std::size_t kScriptsCount;
extern const std::uint32_t kCombiningRuns[];
extern const std::size_t kCombiningRunsCount;
extern const std::uint32_t kDecompositions[];
extern const std::size_t kDecompositionsCount;

}  // namespace whet::tokenizer::unicode_data
