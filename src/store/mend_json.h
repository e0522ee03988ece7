// JSON as programs really write it, turned into JSON.
#pragma once

#include <string>
#include <string_view>

namespace whet::store {

/// A copy of one line of JSON in which what strict parsers refuse although its meaning is plain is written otherwise:
///
/// - `NaN`, `Infinity` and `-Infinity`, as Python's json writes numbers that are not finite, become null;
/// - numbers beyond 64 bits or beyond a double become texts with the same digits;
/// - bytes that are not UTF-8, and escaped halves of surrogate pairs, become U+FFFD.
///
/// Everything else is copied, right or wrong.
std::string mend_json(std::string_view line);

}  // namespace whet::store
