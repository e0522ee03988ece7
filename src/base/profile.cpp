#include "base/profile.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <utility>

#include "base/error.h"

namespace whet::base {

Json costs_json(const Costs& costs) {
  Json json = Json::object();
  for (std::size_t i = 0; i < costs.size(); ++i) {
    if (costs[i].spans == 0) continue;
    json[kPhaseNames[i]] = {
        {"seconds", costs[i].seconds}, {"flops", costs[i].work.flops}, {"bytes", costs[i].work.bytes}};
  }
  return json;
}

Profile::~Profile() {
  try {
    close_trace();
  } catch (const std::exception&) {
    // A run that failed has said why; one that did not has closed its trace itself.
  }
}

void Profile::start_trace(const std::filesystem::path& file, const std::string& program) {
  trace_ = file;
  kept_ = "[\n" +
          to_json_line({{"name", "process_name"}, {"ph", "M"}, {"pid", 1}, {"tid", 1}, {"args", {{"name", program}}}});
}

void Profile::flush_trace() {
  if (trace_.empty()) return;
  if (!file_) {
    if (!std::ofstream(trace_, std::ios::app))
      user_error("trace", "cannot write {}: {}", trace_.string(), std::strerror(errno));
    file_.emplace(trace_, 0);
  }
  if (!kept_.empty()) file_->append(std::exchange(kept_, {}));
}

void Profile::close_trace() {
  if (!file_) return;
  kept_ += "\n]\n";
  flush_trace();
  file_.reset();
  trace_.clear();
}

Costs Profile::take() { return std::exchange(costs_, {}); }

void Profile::record(std::string_view name, Phase phase, Clock::time_point begin, Clock::time_point end,
                     const Work& work) {
  if (trace_.empty()) return;
  // Microseconds with all of the clock's nanoseconds: a rounded end could stand after its outer span's.
  const auto nanoseconds = [](Clock::duration duration) {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(duration).count();
  };
  const std::int64_t from = nanoseconds(begin - start_), length = nanoseconds(end - begin);
  fmt::format_to(
      std::back_inserter(kept_),
      ",\n{{\"name\":\"{}\",\"cat\":\"{}\",\"ph\":\"X\",\"pid\":1,\"tid\":1,\"ts\":{}.{:03},\"dur\":{}.{:03}", name,
      kPhaseNames[static_cast<std::size_t>(phase)], from / 1000, from % 1000, length / 1000, length % 1000);
  if (work.flops > 0 || work.bytes > 0) {
    fmt::format_to(std::back_inserter(kept_), ",\"args\":{{\"flops\":{:.0f},\"bytes\":{:.0f}}}", work.flops,
                   work.bytes);
  }
  kept_ += "}";
}

Span::Span(Profile* profile, Phase phase, std::string_view name) : profile_(profile), phase_(phase), charged_(phase) {
  if (profile_ == nullptr) return;
  name_ = name.empty() ? std::string_view(kPhaseNames[static_cast<std::size_t>(phase)]) : name;
  outer_ = std::exchange(profile_->innermost_, this);
  if (outer_ != nullptr && outer_->charged_ == Phase::kEvaluation) charged_ = Phase::kEvaluation;
  begin_ = Profile::Clock::now();
}

Span::~Span() {
  if (profile_ == nullptr) return;
  const auto end = Profile::Clock::now();
  const double seconds = std::chrono::duration<double>(end - begin_).count();
  Cost& cost = of(profile_->costs_, charged_);
  cost.seconds += seconds - inner_seconds_;
  cost.work += work_;
  ++cost.spans;
  if (outer_ != nullptr) outer_->inner_seconds_ += seconds;
  profile_->innermost_ = outer_;
  profile_->record(name_, phase_, begin_, end, work_);
}

}  // namespace whet::base
