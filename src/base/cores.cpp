#include "base/cores.h"

#include <sched.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include <fmt/format.h>

namespace whet::base {
namespace {

namespace fs = std::filesystem;

std::string first_line(const fs::path& path) {
  std::ifstream input(path);
  std::string line;
  std::getline(input, line);
  return line;
}

int cores_of_affinity() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (::sched_getaffinity(0, sizeof(allowed), &allowed) != 0) return 1;
  std::set<std::string> cores;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &allowed)) continue;
    // The threads of a core list the same siblings.
    const std::string siblings =
        first_line(fmt::format("/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list", cpu));
    cores.insert(siblings.empty() ? fmt::format("cpu {}", cpu) : siblings);
  }
  return std::max(1, static_cast<int>(cores.size()));
}

}  // namespace

std::int64_t shared_cache_bytes() {
  // Not sysconf: in a virtual machine it names the caches of the whole processor, not of the cores that this one has.
  return cache_bytes(first_line("/sys/devices/system/cpu/cpu0/cache/index3/size"));
}

std::int64_t cache_bytes(std::string_view size) {
  std::int64_t kilobytes = 0;
  const char* const end = size.data() + size.size();
  const auto [rest, error] = std::from_chars(size.data(), end, kilobytes);
  return error == std::errc() && std::string_view(rest, end) == "K" ? kilobytes * 1024 : 0;
}

std::optional<int> quota_cores(std::string_view cpu_max) {
  std::istringstream text{std::string(cpu_max)};
  double quota = 0, period = 0;
  if (!(text >> quota >> period) || !(quota > 0) || !(period > 0)) return std::nullopt;
  return static_cast<int>(std::ceil(quota / period));
}

int usable_cores() {
  int cores = cores_of_affinity();
  // "0::/a/b": the quotas of /a/b, of /a and of the root all hold.
  std::string group = "/";
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    if (line.starts_with("0::")) group = line.substr(3);
  }
  for (fs::path at = fs::path(group).relative_path();; at = at.parent_path()) {
    if (const auto quota = quota_cores(first_line("/sys/fs/cgroup" / at / "cpu.max"))) cores = std::min(cores, *quota);
    if (at.empty()) break;
  }
  return std::max(1, cores);
}

}  // namespace whet::base
