// A figure as an SVG picture that stands in a page or in a Markdown file: no script, readable on a light and a dark
// ground.
#pragma once

#include <string>

#include "findings/finding.h"

namespace whet::findings {

/// Lines over steps with axes and a legend. The same figure gives the same bytes. A figure without points is an empty
/// frame that says so.
std::string svg_of(const Figure& figure);

}  // namespace whet::findings
