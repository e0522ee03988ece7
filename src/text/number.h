// Answers that are numbers, read exactly.
#pragma once

#include <gmpxx.h>

#include <optional>
#include <string>
#include <string_view>

namespace whet::text {

/// The exact value of a plain answer (plain_latex): integers with leading zeros or thousands separators ("1,000", "1
/// 000"), decimals, fractions ("3/4", "\frac{3}{4}"), mixed numbers ("1 1/2", "1\frac{1}{2}"), powers and products of
/// them
/// ("2^{-99}", "3*10^8"), sums. nullopt for anything else and for numbers beyond the limits of text/expression.h, which
/// are then compared as texts.
std::optional<mpq_class> parse_number(std::string_view plain);

/// "24", "-3/4": what parse_number reads back as the same value.
std::string number_text(const mpq_class& value);

}  // namespace whet::text
