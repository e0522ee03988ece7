// Whether two answers to a maths problem are the same. Voting and grading both ask here.
#pragma once

#include <string_view>

namespace whet::text {

/// True when the answers, in whatever form they are written, have one canonical form. Reflexive, symmetric and
/// transitive, so that classes of answers do not depend on the order in which the answers come.
bool equivalent(std::string_view a, std::string_view b);

}  // namespace whet::text
