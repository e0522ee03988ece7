// The part of LaTeX's notation that says how an answer looks and not what it is, taken off.
#pragma once

#include <string>
#include <string_view>

namespace whet::text {

/// A plainer text of the same answer: dollars, \left and \right, spacing commands, font sizes and degree signs go; text
/// boxes and font wrappers are all spelt \text; \dfrac and \tfrac become \frac, and a fraction's arguments get braces;
/// \cdot and \times become '*', Unicode's minus becomes '-', and runs of blanks become one. Units and words are left
/// for canonical(). Linear in the length of the input; any bytes are allowed.
std::string plain_latex(std::string_view text);

/// `text` without the blanks at its ends.
std::string_view trim(std::string_view text);

}  // namespace whet::text
