#include "text/equivalence.h"

#include "text/canonical.h"

namespace whet::text {

bool equivalent(std::string_view a, std::string_view b) { return a == b || canonical(a) == canonical(b); }

}  // namespace whet::text
