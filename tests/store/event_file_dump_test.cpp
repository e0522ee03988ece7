// Writes a small run for tensorboard_test.py to read with its own reader; does nothing in an ordinary run of the tests.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <limits>

#include "store/run_writer.h"

namespace whet::store {
namespace {

TEST(EventFileDump, WritesARun) {
  const char* folder = std::getenv("WHET_EVENT_FILE_DUMP");
  if (folder == nullptr) GTEST_SKIP() << "WHET_EVENT_FILE_DUMP names no folder";
  RunWriter writer = RunWriter::create(std::filesystem::path(folder) / "run", base::Json::object(), base::Json::object());
  for (const std::int64_t step : {0ll, 1ll, 127ll, 128ll, 300ll, 1ll << 31, 1ll << 40}) {
    writer.append_metrics({{"step", step}, {"reward", std::sin(static_cast<double>(step))}, {"task", "sort"},
                           {"kl", std::numeric_limits<double>::quiet_NaN()}});
    writer.append_timings({{"step", step}, {"seconds", 0.25}});
  }
}

}  // namespace
}  // namespace whet::store
