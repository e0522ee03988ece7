// The columns of rollout dumps: what each is called in which program.
#include "base/error.h"
#include "store/dumps.h"

namespace whet::store {
namespace {

constexpr std::array<std::string_view, 5> kFormats{"verl", "trl", "nemo-rl", "areal", "whetstone"};

}  // namespace

std::string_view format_name(DumpFormat format) { return kFormats[static_cast<std::size_t>(format)]; }

std::vector<std::string> format_names() { return {kFormats.begin(), kFormats.end()}; }

std::string_view role_name(Role role) {
  switch (role) {
    case Role::kLogprob:
      return "logprob";
    case Role::kEntropy:
      return "entropy";
    case Role::kSelfCertainty:
      return "self_certainty";
    case Role::kGap:
      return "gap";
    case Role::kInput:
      return "input";
    case Role::kOutput:
      return "output";
    case Role::kLabel:
      return "label";
    case Role::kStep:
      return "step";
    case Role::kTruncated:
      return "truncated";
    case Role::kLength:
      return "length";
    case Role::kMask:
      return "mask";
    case Role::kContent:
      return "content";
    case Role::kPromptLength:
      return "prompt_length";
    case Role::kWholeLength:
      return "whole_length";
    case Role::kPair:
      return "pair";
    case Role::kPolicy:
      return "policy";
    case Role::kVoter:
      return "voter";
    case Role::kCount:
      break;
  }
  throw std::logic_error("no such role");
}

std::vector<std::string_view> column_names(Role role, DumpFormat format) {
  const bool has_prompt = format == DumpFormat::kTrl || format == DumpFormat::kAreal;
  const bool is_conversation = format == DumpFormat::kNemoRl;
  switch (role) {
    case Role::kLogprob:
      // What the rollouts were sampled with before what the trainer computed again.
      return {"logprob",
              "logprobs",
              "log_probs",
              "token_logprobs",
              "rollout_log_probs",
              "sampling_per_token_logps",
              "generation_logprobs",
              "old_log_probs",
              "old_per_token_logps",
              "prev_logprobs"};
    case Role::kEntropy:
      return {"entropy", "entropies", "entropys", "token_entropy", "token_entropies"};
    case Role::kSelfCertainty:
      return {"self_certainty", "self_certainties", "token_self_certainty"};
    case Role::kGap:
      return {"gap", "gaps", "top2_gap", "token_gap"};
    case Role::kInput:
      return is_conversation ? std::vector<std::string_view>{}
                             : std::vector<std::string_view>{has_prompt ? "prompt" : "input"};
    case Role::kOutput:
      return is_conversation ? std::vector<std::string_view>{}
                             : std::vector<std::string_view>{has_prompt ? "completion" : "output"};
    case Role::kLabel:
      return {"gts", "ground_truth"};
    case Role::kStep:
      return format == DumpFormat::kAreal ? std::vector<std::string_view>{"tail_version"}
                                          : std::vector<std::string_view>{"step"};
    case Role::kTruncated:
      return {"truncated"};
    case Role::kLength:
      if (format == DumpFormat::kAreal) return {"completion_ids"};
      return {"tokens", "completion_ids", "response_ids", "output_ids", "response_length", "completion_length"};
    case Role::kMask:
      return {"token_loss_mask", "response_mask", "completion_mask"};
    case Role::kContent:
      return is_conversation ? std::vector<std::string_view>{"content"} : std::vector<std::string_view>{};
    case Role::kPromptLength:
      return format == DumpFormat::kAreal ? std::vector<std::string_view>{"prompt_len"}
                                          : std::vector<std::string_view>{};
    case Role::kWholeLength:
      // Of prompt and response together.
      if (format == DumpFormat::kAreal) return {"seqlen"};
      return is_conversation ? std::vector<std::string_view>{"input_lengths"} : std::vector<std::string_view>{};
    case Role::kPair:
    case Role::kPolicy:
    case Role::kVoter:
    case Role::kCount:
      break;
  }
  return {};
}

std::string_view default_prefix(DumpFormat format) { return format == DumpFormat::kAreal ? "whet_" : ""; }

}  // namespace whet::store
