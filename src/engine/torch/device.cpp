#include "engine/torch/device.h"

#include <c10/core/impl/VirtualGuardImpl.h>

#include <atomic>
#include <charconv>
#include <cstdlib>

#include "base/error.h"
#include "engine/torch/cuda/backend.h"

namespace whet::engine {
namespace {

/// How many reasons there are to leave the kernels aside: scopes that live, and the environment's wish for the whole process.
std::atomic<int>& plain_scopes() {
  static std::atomic<int> count = [] {
    const char* wish = std::getenv("WHET_PLAIN_OPERATIONS");
    return wish != nullptr && std::string_view(wish) == "1" ? 1 : 0;
  }();
  return count;
}

}  // namespace

at::Device find_device(const std::string& name) {
  if (name == "cpu") return at::kCPU;
  int index = 0;
  if (name != "cuda") {
    constexpr std::string_view kPrefix = "cuda:";
    const char *begin = name.data() + std::min(name.size(), kPrefix.size()), *end = name.data() + name.size();
    const auto [rest, error] = std::from_chars(begin, end, index);
    if (!name.starts_with(kPrefix) || error != std::errc() || rest != end || index < 0) {
      base::user_error("device", "'{}', want cpu, cuda or cuda:N", name);
    }
  }
  const int devices = cuda::device_count(name);
  if (index >= devices) base::user_error("device", "'{}', but PyTorch sees {} GPU(s), counted from 0", name, devices);
  return {at::kCUDA, static_cast<c10::DeviceIndex>(index)};
}

bool by_kernels(const at::Tensor& tensor) { return tensor.is_cpu() && plain_scopes() == 0; }

void wait_for(at::Device device) {
  if (device.is_cpu()) return;
  c10::impl::VirtualGuardImpl(device.type()).getStream(device).synchronize();
}

PlainOperations::PlainOperations() { ++plain_scopes(); }
PlainOperations::~PlainOperations() { --plain_scopes(); }

}  // namespace whet::engine
