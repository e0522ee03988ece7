// Where the time of a run goes: spans of named phases, each with the work that was done in it. They are summed by phase and,
// when it is asked for, kept one by one as a trace that Perfetto and chrome://tracing open.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "base/file.h"
#include "base/json.h"

namespace whet::base {

/// Whatever stands in no other phase is kOther.
enum class Phase { kPrefill, kDecode, kSampling, kReward, kForward, kBackward, kOptimizer, kEvaluation, kIo, kOther };
inline constexpr std::array<const char*, 10> kPhaseNames = {"prefill",  "decode",    "sampling",   "reward", "forward",
                                                            "backward", "optimizer", "evaluation", "io",     "other"};

/// Floating point operations (a multiplication and an addition are two) and bytes moved, by a stated model of both.
struct Work {
  double flops = 0;
  double bytes = 0;

  Work& operator+=(const Work& other) {
    flops += other.flops;
    bytes += other.bytes;
    return *this;
  }
};

struct Cost {
  double seconds = 0;
  Work work;
  std::int64_t spans = 0;
};

using Costs = std::array<Cost, kPhaseNames.size()>;

inline Cost& of(Costs& costs, Phase phase) { return costs[static_cast<std::size_t>(phase)]; }
inline const Cost& of(const Costs& costs, Phase phase) { return costs[static_cast<std::size_t>(phase)]; }

/// {"decode": {"seconds": s, "flops": n, "bytes": n}, ...}: the phases that there were, in their order.
Json costs_json(const Costs& costs);

/// The account of one thread's spans.
class Profile {
 public:
  Profile() = default;
  ~Profile();
  Profile(const Profile&) = delete;
  Profile& operator=(const Profile&) = delete;

  /// Keeps spans from now on, to be written to `file`; nothing is written before flush_trace().
  void start_trace(const std::filesystem::path& file, const std::string& program);
  /// Writes what was kept. The first call replaces the file; UserError when it cannot be opened, RunError when it cannot be
  /// written.
  void flush_trace();
  /// Ends the file as whole JSON. Without it (a kill) the file lacks its last bracket, which both viewers forgive.
  void close_trace();

  /// What was spent since the last call, or since the beginning. Spans that are still open are not in it.
  Costs take();

 private:
  friend class Span;
  using Clock = std::chrono::steady_clock;

  void record(std::string_view name, Phase phase, Clock::time_point begin, Clock::time_point end, const Work& work);

  Costs costs_;
  class Span* innermost_ = nullptr;
  const Clock::time_point start_ = Clock::now();
  std::filesystem::path trace_;  ///< empty: none is kept
  std::string kept_;             ///< text that is not written yet
  std::optional<AppendFile> file_;
};

/// A stretch of time in a phase, from its construction to its destruction. Time within an inner span belongs to that one's
/// phase, except that whatever happens within an evaluation belongs to the evaluation.
class Span {
 public:
  /// `profile` null: nothing is measured. `name`: in the trace; the phase's where it is empty.
  Span(Profile* profile, Phase phase, std::string_view name = {});
  ~Span();
  Span(const Span&) = delete;
  Span& operator=(const Span&) = delete;

  void add(const Work& work) { work_ += work; }

 private:
  Profile* profile_;
  Span* outer_ = nullptr;
  Phase phase_;
  Phase charged_;
  std::string name_;
  Work work_;
  double inner_seconds_ = 0;
  Profile::Clock::time_point begin_;
};

}  // namespace whet::base
