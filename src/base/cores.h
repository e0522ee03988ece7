// What of the processor this process has: how many threads are worth starting, and the cache that cores share.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace whet::base {

/// Cores that this process may use, at least 1: those of its affinity, two threads of one core counted once (both would wait
/// for the same arithmetic units), or fewer where a container's CPU quota (cgroup v2) leaves less.
int usable_cores();

/// Bytes of the processor's last cache, the one that its cores share; 0 where the system does not say.
std::int64_t shared_cache_bytes();

/// What --threads means, in every command that has it.
inline constexpr const char* kThreadsHelp =
    "CPU threads; 0: one per core that the process may use (or OMP_NUM_THREADS, where that is set). No result depends on it";

/// What the system's "32768K" means; 0 for what is no such text.
std::int64_t cache_bytes(std::string_view size);

/// Cores, rounded up, that a cgroup's cpu.max grants ("150000 100000" is 2); nothing for "max 100000" or what is no such text.
std::optional<int> quota_cores(std::string_view cpu_max);

}  // namespace whet::base
