// Units of measurement that may stand behind a number without being a part of the answer.
#pragma once

#include <string_view>

namespace whet::text {

/// Whether a text is made of names of units only: "cm", "square feet", "km/h", "cm^2", "ft^{3}". Not the empty text; no
/// single letters, which may as well be variables, unless they stand `in_text_box` ("5\text{ m}").
bool is_unit_text(std::string_view text, bool in_text_box = false);

}  // namespace whet::text
