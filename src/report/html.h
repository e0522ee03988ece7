// Text on its way into a page: escaped for where it goes, and numbers as people read them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"

namespace whet::report {

/// Text as HTML content or a quoted attribute value. Control characters, which HTML forbids, become their visible
/// symbols (U+2400 onwards); line feeds and tabs stay. Bytes that are not UTF-8 become U+FFFD.
std::string html_escape(std::string_view text);

/// A value as JSON that may stand inside a <script> element: nothing in it can end the element or open a comment.
std::string script_json(const base::Json& value);

/// .90125 as "90.1 %"; an absent or infinite number as a dash.
std::string percent(std::optional<double> share);
/// Three significant digits; an absent or infinite number as a dash.
std::string number(std::optional<double> value);

}  // namespace whet::report
