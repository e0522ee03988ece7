// Just enough of CUDA to run the text of a kernel on the CPU: each thread of a block is a fiber, and those of a warp meet
// where lanes exchange values, those of a block at __syncthreads. Slow, exact about who waits for whom, and without a GPU:
// it shows that a kernel's arithmetic and indices are right, not that a GPU agrees or how fast it would be.
#pragma once

#include <ucontext.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <memory>
#include <stdexcept>
#include <vector>

#define __global__
#define __device__
#define __shared__ static
#define __launch_bounds__(threads)
#define CUDART_INF_F std::numeric_limits<float>::infinity()

namespace whet::engine::cuda {
namespace {

/// Volatile: another fiber changes it where the compiler sees no call that could.
struct Index {
  volatile unsigned x = 0, y = 0, z = 0;
};
Index blockIdx, threadIdx;

using std::min;

/// The block that runs. One at a time, on one thread.
class Block {
 public:
  static constexpr unsigned kWarp = 32;

  /// Runs body() once for each thread.
  static void run(unsigned threads, const std::function<void()>& body) {
    Block block(threads, body);
    current() = &block;
    unsigned alive = threads;
    for (unsigned idle = 0; alive > 0; ++idle) {
      if (idle > 1) throw std::logic_error("the threads of a block wait for each other");
      for (unsigned t = 0; t < threads; ++t) {
        Fiber& fiber = block.fibers_[t];
        if (fiber.done || !block.may_go_on(t)) continue;
        idle = 0;
        block.running_ = t;
        threadIdx.x = t;
        ::swapcontext(&block.scheduler_, &fiber.context);
        alive -= fiber.done;
      }
    }
    current() = nullptr;
  }

  /// Leaves a value, waits until every lane of the warp has left one, and returns theirs.
  static const std::uint64_t* exchange(std::uint64_t value) {
    Block& block = *current();
    Fiber& fiber = block.fibers_[block.running_];
    Warp& warp = block.warps_[block.running_ / kWarp];
    // Two sets by turns: a lane that is ahead by one meeting must not overwrite what others still read.
    std::uint64_t* const values = warp.values[fiber.meetings % 2];
    values[block.running_ % kWarp] = value;
    fiber.waits_for_warp = true;
    ++fiber.meetings;
    block.yield();
    return values;
  }

  static void wait_for_block() {
    Block& block = *current();
    Fiber& fiber = block.fibers_[block.running_];
    fiber.waits_for_block = true;
    ++fiber.barriers;
    block.yield();
  }

 private:
  struct Fiber {
    ucontext_t context;
    unsigned meetings = 0, barriers = 0;
    bool waits_for_warp = false, waits_for_block = false, done = false;
  };
  struct Warp {
    std::uint64_t values[2][kWarp] = {};
  };

  Block(unsigned threads, const std::function<void()>& body) : body_(body), fibers_(threads), warps_(threads / kWarp) {
    constexpr std::size_t kStack = 64 << 10;
    static std::vector<char> stacks;  // of the largest block so far
    stacks.resize(std::max(stacks.size(), threads * kStack));
    for (unsigned t = 0; t < threads; ++t) {
      Fiber& fiber = fibers_[t];
      ::getcontext(&fiber.context);
      fiber.context.uc_stack.ss_sp = stacks.data() + t * kStack;
      fiber.context.uc_stack.ss_size = kStack;
      fiber.context.uc_link = &scheduler_;
      ::makecontext(&fiber.context, &Block::enter, 0);
    }
  }

  static Block*& current() {
    static Block* block = nullptr;
    return block;
  }

  static void enter() {
    Block& block = *current();
    block.body_();
    current()->fibers_[current()->running_].done = true;
  }

  void yield() {
    ::swapcontext(&fibers_[running_].context, &scheduler_);
    asm volatile("" ::: "memory");  // shared variables, too, may have been changed by others
  }

  /// A thread that has returned counts as arrived at every barrier, not at a meeting of its warp: that would be a fault.
  bool may_go_on(unsigned t) {
    Fiber& fiber = fibers_[t];
    if (fiber.waits_for_warp) {
      for (unsigned other = t / kWarp * kWarp; other < (t / kWarp + 1) * kWarp; ++other) {
        if (fibers_[other].meetings < fiber.meetings) return false;
      }
      fiber.waits_for_warp = false;
    }
    if (fiber.waits_for_block) {
      for (const Fiber& other : fibers_) {
        if (!other.done && other.barriers < fiber.barriers) return false;
      }
      fiber.waits_for_block = false;
    }
    return true;
  }

  const std::function<void()>& body_;
  ucontext_t scheduler_;
  std::vector<Fiber> fibers_;
  std::vector<Warp> warps_;
  unsigned running_ = 0;
};

template <class T>
T lane_value(const std::uint64_t* values, unsigned lane) {
  T result;
  std::memcpy(&result, values + lane, sizeof(T));
  return result;
}
template <class T>
const std::uint64_t* exchange(T value) {
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  return Block::exchange(bits);
}

void __syncthreads() { Block::wait_for_block(); }
template <class T>
T __shfl_xor_sync(unsigned, T value, int mask) {
  return lane_value<T>(exchange(value), (threadIdx.x % 32) ^ static_cast<unsigned>(mask));
}
template <class T>
T __shfl_up_sync(unsigned, T value, int delta) {
  const unsigned lane = threadIdx.x % 32, by = static_cast<unsigned>(delta);
  return lane_value<T>(exchange(value), lane >= by ? lane - by : lane);
}
template <class T>
T __shfl_sync(unsigned, T value, int lane) {
  return lane_value<T>(exchange(value), static_cast<unsigned>(lane) % 32);
}
unsigned __ballot_sync(unsigned, bool vote) {
  const std::uint64_t* votes = exchange(vote);
  unsigned bits = 0;
  for (unsigned lane = 0; lane < 32; ++lane) bits |= lane_value<bool>(votes, lane) ? 1u << lane : 0u;
  return bits;
}
int __ffs(unsigned bits) { return __builtin_ffs(static_cast<int>(bits)); }
int __clz(unsigned bits) { return bits == 0 ? 32 : __builtin_clz(bits); }
float rsqrtf(float x) { return 1.0f / std::sqrt(x); }

}  // namespace
}  // namespace whet::engine::cuda
