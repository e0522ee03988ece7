// whet_head_bench: memory and time of the head (from hidden states to log-probabilities and statistics of given tokens,
// and back) beside the same in plain PyTorch operations. Each measurement is a process of its own, so that one's peak is not
// another's; memory is the growth of the largest resident set over what the inputs and the gradients' places take.
#include <malloc.h>

#include <CLI/CLI.hpp>
#include <array>
#include <chrono>
#include <cstdio>
#include <fstream>

#include "base/error.h"
#include "base/json.h"
#include "engine/machine.h"
#include "engine/torch/functions.h"

namespace whet::bench {
namespace {

struct Options {
  std::int64_t rows = 8192;
  std::int64_t plain_rows = 0;
  std::int64_t vocabulary = 151936;
  std::int64_t hidden = 1024;
  int threads = 0;
  std::string child;  ///< "whet forward" and the like
};

std::int64_t status_bytes(const char* file, const std::string& field) {
  std::ifstream status(file);
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(field)) return std::stoll(line.substr(field.size())) * 1024;
  }
  base::run_error("bench", "{} has no {}", file, field);
}

/// Plain operations hold three arrays of [rows, vocabulary] at once: log-probabilities, probabilities and their product
/// forward; log-probabilities, their gradient and that of the logits on the way back.
std::int64_t plain_bytes(std::int64_t rows, std::int64_t vocabulary) { return 3 * rows * vocabulary * 4; }

base::Json measure(const Options& options) {
  if (options.threads > 0) at::set_num_threads(options.threads);
  // As the engine sets its process up.
  ::mallopt(M_MMAP_THRESHOLD, 1 << 30);
  ::mallopt(M_TRIM_THRESHOLD, -1);
  at::manual_seed(1);
  const bool is_plain = options.child.starts_with("plain"), is_backward = options.child.ends_with("backward");
  const at::Tensor hidden = at::randn({options.rows, options.hidden}).requires_grad_(is_backward);
  at::Tensor weight = at::randn({options.vocabulary, options.hidden});
  weight.mul_(0.02).requires_grad_(is_backward);
  if (is_backward) weight.mutable_grad() = at::full_like(weight, 0.0);  // written, so that its pages are there
  engine::SharedPromptBatch group{{0}, {{}}};
  for (std::int64_t i = 0; i < options.rows; ++i)
    group.responses[0].push_back(static_cast<engine::TokenId>(i * 7919 % options.vocabulary));
  const auto batches = engine::pack(std::span(&group, 1), 1 << 30, options.vocabulary);
  const engine::PackedBatch& batch = batches[0];
  const at::Tensor targets = at::tensor(batch.target_ids).unsqueeze(1);

  const std::int64_t before = status_bytes("/proc/self/status", "VmRSS:");
  const auto start = std::chrono::steady_clock::now();
  double check = 0;  // what both programs must agree on
  if (is_plain && is_backward) {
    const at::Tensor logprob = at::mm(hidden, weight.t()).log_softmax(-1).gather(1, targets);
    logprob.mean().backward();
    check = weight.grad().narrow(0, 0, 1).norm().item<double>();
  } else if (is_plain) {
    const at::Tensor log_p = at::mm(hidden, weight.t()).log_softmax(-1), p = log_p.exp();
    const at::Tensor largest = std::get<0>(p.topk(2, -1));
    const at::Tensor logprob = log_p.gather(1, targets), entropy = -(p * log_p).sum(-1), mean = log_p.mean(-1),
                     gap = largest.select(1, 0) - largest.select(1, 1);
    check = (logprob.mean() + entropy.mean() + mean.mean() + gap.mean()).item<double>();
  } else if (is_backward) {
    engine::target_logprobs(hidden, weight, batch, 1.0, {weight.grad()}).mean().backward();
    check = weight.grad().narrow(0, 0, 1).norm().item<double>();
  } else {
    const engine::TargetStatistics s = engine::target_statistics(hidden, weight, batch, 1.0);
    const double uniform = std::log(static_cast<double>(options.vocabulary));
    check = (s.logprob.mean() + s.entropy.mean() - (s.self_certainty.mean() + uniform) + s.gap.mean()).item<double>();
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return {{"measured", options.child},
          {"rows", options.rows},
          {"vocabulary", options.vocabulary},
          {"hidden", options.hidden},
          {"extra_bytes", engine::peak_memory() - before},
          {"seconds", seconds},
          {"check", check}};
}

base::Json run_child(const Options& options, const std::string& child, std::int64_t rows) {
  const std::string command = fmt::format("'{}' --child '{}' --rows {} --vocabulary {} --hidden {} --threads {}",
                                          std::filesystem::read_symlink("/proc/self/exe").string(), child, rows,
                                          options.vocabulary, options.hidden, options.threads);
  FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) base::run_error("bench", "cannot run {}", command);
  std::string text;
  std::array<char, 4096> block;
  while (const std::size_t count = std::fread(block.data(), 1, block.size(), pipe)) text.append(block.data(), count);
  if (const int status = ::pclose(pipe); status != 0)
    base::run_error("bench", "{} ended with status {}", command, status);
  return base::parse_json(text, command);
}

int run(int argc, char** argv) {
  Options options;
  bool json = false;
  CLI::App app(
      "Memory and time of the head over a large vocabulary, forward and backward, beside plain PyTorch operations.");
  app.add_option("--rows", options.rows, "tokens")->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--plain-rows", options.plain_rows,
                 "tokens of the plain operations; 0: --rows, halved until they fit three quarters of the "
                 "memory that is free")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--vocabulary", options.vocabulary, "")->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--hidden", options.hidden, "width of the hidden states")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--threads", options.threads, "0: one per core")->check(CLI::NonNegativeNumber)->capture_default_str();
  app.add_option("--child", options.child)->group("");
  app.add_flag("--json", json, "one JSON object a line");
  CLI11_PARSE(app, argc, argv);
  if (!options.child.empty()) {
    fmt::print("{}\n", base::to_json_line(measure(options)));
    return 0;
  }
  std::int64_t plain_rows = options.plain_rows > 0 ? options.plain_rows : options.rows;
  const std::int64_t fits =
      status_bytes("/proc/meminfo", "MemAvailable:") / 4 * 3 - 3 * options.vocabulary * options.hidden * 4;
  while (options.plain_rows == 0 && plain_rows > 1 && plain_bytes(plain_rows, options.vocabulary) > fits)
    plain_rows /= 2;
  for (const char* pass : {"forward", "backward"}) {
    for (const char* program : {"plain", "whet"}) {
      const bool is_plain = std::string_view(program) == "plain";
      const base::Json result =
          run_child(options, fmt::format("{} {}", program, pass), is_plain ? plain_rows : options.rows);
      if (json) {
        fmt::print("{}\n", base::to_json_line(result));
      } else {
        fmt::print(
            "{:8s} {:5s} {:6d} tokens x {} words, width {}: {:8.0f} MiB extra, {:6.2f} s ({:.3f} ms a token), check {:.6g}\n",
            pass, program, result["rows"].get<std::int64_t>(), options.vocabulary, options.hidden,
            result["extra_bytes"].get<double>() / (1 << 20), result["seconds"].get<double>(),
            1e3 * result["seconds"].get<double>() / result["rows"].get<double>(), result["check"].get<double>());
      }
      std::fflush(stdout);
    }
  }
  return 0;
}

}  // namespace
}  // namespace whet::bench

int main(int argc, char** argv) {
  try {
    return whet::bench::run(argc, argv);
  } catch (const whet::base::UserError& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 2;
  } catch (const std::exception& error) {
    fmt::print(stderr, "[bench] {}\n", error.what());
    return 1;
  }
}
