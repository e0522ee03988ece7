// The files of src/report/assets (chart library, style sheet, page script), embedded at build time.
#pragma once

#include <string_view>

namespace whet::report {

/// The bytes of an embedded file, by its name. std::logic_error when there is none.
std::string_view asset(std::string_view name);

}  // namespace whet::report
