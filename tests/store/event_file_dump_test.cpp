// Writes a small run: for tensorboard_test.py, which names a folder and reads the events with a reader of its own, or
// for nobody.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <limits>

#include "store/run_writer.h"
#include "tests/store/temp_folder.h"

namespace whet::store {
namespace {

TEST(EventFileDump, WritesARun) {
  const TempFolder temp;
  const char* named = std::getenv("WHET_EVENT_FILE_DUMP");
  const std::filesystem::path folder = (named == nullptr ? temp.path() : std::filesystem::path(named)) / "run";
  RunWriter writer = RunWriter::create(folder, base::Json::object(), base::Json::object());
  for (const std::int64_t step : {0ll, 1ll, 127ll, 128ll, 300ll, 1ll << 31, 1ll << 40}) {
    writer.append_metrics({{"step", step},
                           {"reward", std::sin(static_cast<double>(step))},
                           {"task", "sort"},
                           {"kl", std::numeric_limits<double>::quiet_NaN()}});
    writer.append_timings({{"step", step}, {"seconds", 0.25}});
  }
  EXPECT_EQ(load_run(folder).metrics.size(), 7u);
  EXPECT_EQ(event_bytes_through(folder / kEventsFile, 1ll << 40), std::filesystem::file_size(folder / kEventsFile));
}

}  // namespace
}  // namespace whet::store
