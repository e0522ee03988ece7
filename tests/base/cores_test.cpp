// How many cores a process may use.
#include "base/cores.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <thread>

namespace whet::base {
namespace {

TEST(QuotaCores, IsWhatTheKernelsFileGrantsRoundedUp) {
  EXPECT_EQ(quota_cores("200000 100000"), 2);
  EXPECT_EQ(quota_cores("150000 100000"), 2);
  EXPECT_EQ(quota_cores("10000 100000"), 1);
  EXPECT_EQ(quota_cores("max 100000"), std::nullopt);
  EXPECT_EQ(quota_cores(""), std::nullopt);
}

TEST(CacheBytes, AreWhatTheSystemWrites) {
  EXPECT_EQ(cache_bytes("32768K"), 32 * 1024 * 1024);
  EXPECT_EQ(cache_bytes("12M"), 0);
  EXPECT_EQ(cache_bytes(""), 0);
  EXPECT_GE(shared_cache_bytes(), 0);
}

TEST(UsableCores, AreThoseThatTheProcessMayRunOn) {
  cpu_set_t before;
  ASSERT_EQ(::sched_getaffinity(0, sizeof(before), &before), 0);
  const int all = usable_cores();
  EXPECT_GE(all, 1);
  EXPECT_LE(all, CPU_COUNT(&before));
  int first = 0;
  while (!CPU_ISSET(first, &before)) ++first;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(first, &one);
  ASSERT_EQ(::sched_setaffinity(0, sizeof(one), &one), 0);
  EXPECT_EQ(usable_cores(), 1);
  ASSERT_EQ(::sched_setaffinity(0, sizeof(before), &before), 0);
  EXPECT_EQ(usable_cores(), all);
}

}  // namespace
}  // namespace whet::base
