// Rollout dumps of other programs and of ours, read a row at a time.
//
//   verl        {step}.jsonl: input, output, gts, score, step and columns of the reward function
//   trl         completions: step, prompt, completion, a column for each reward, advantage (Parquet, to be converted)
//   nemo-rl     train_data_step{N}.jsonl: content, rewards, token_ids, token_loss_mask, generation_logprobs, ..., idx;
//               each value a list of one; content is the whole conversation
//   areal       rollout/{version}/{task}.jsonl: task_id, sample_idx, prompt, completion, reward, tail_version, ...
//   whetstone   verl's columns and those of store/rollout.h; `logprob` and the like are means over the response
//
// Text that is not UTF-8 and numbers that are not finite are mended as mend_json() says; the row's own bytes stay.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace whet::store {

enum class DumpFormat { kVerl, kTrl, kNemoRl, kAreal, kWhetstone };

/// "verl", "trl", "nemo-rl", "areal", "whetstone".
std::string_view format_name(DumpFormat format);
std::vector<std::string> format_names();

/// What a column is for. The four per-token ones come first.
enum class Role {
  kLogprob,
  kEntropy,
  kSelfCertainty,
  kGap,
  kInput,
  kOutput,
  kLabel,
  kStep,
  kTruncated,
  kLength,
  kMask,
  kContent,
  kPromptLength,
  kWholeLength,
  kPair,
  kPolicy,
  kVoter,  // only where the caller names them
  kCount
};
inline constexpr std::size_t kTokenRoles = 4;

/// The names under which a column is looked for, the first that is there counts.
std::vector<std::string_view> column_names(Role role, DumpFormat format);
std::string_view role_name(Role role);

/// The values that a row has for the tokens of its response.
struct TokenColumn {
  std::string_view column;    ///< its name in the dump; empty: the row has none
  std::string fault;          ///< why it cannot be used ("is null"), to stand behind the name; empty: it can
  bool is_mean = false;       ///< `values` has one number, the mean over tokens
  std::vector<float> values;  ///< one a token of the response (what a mask leaves out is left out)
};

/// A row. Views are valid until the next one is read.
struct DumpRow {
  std::string_view line;    ///< its bytes, without the line end
  std::string_view input;   ///< the prompt: what the rows of a group share
  std::string_view output;  ///< the response
  std::optional<std::int64_t> step;
  std::optional<std::string_view> label;  ///< of the problem, as it is written there
  bool has_odd_label = false;             ///< a label that is neither a text nor a number
  bool truncated = false;
  std::string_view pair;                        ///< problems that ask the same in other words share it; empty: none
  std::string_view policy;                      ///< whose rollout it is; empty: not told
  bool voter = false;                           ///< a rollout that votes for others
  std::optional<std::int64_t> length;           ///< tokens of the response
  std::array<TokenColumn, kTokenRoles> tokens;  ///< by Role
  bool starts_file = false;                     ///< the first row of its file
  bool starts_dump = false;                     ///< the first row of one of the paths
};

/// Where a row stands: a file of the reader, and a line of it.
struct DumpPlace {
  std::uint32_t file = 0;
  std::uint64_t line = 0;
};

struct DumpOptions {
  std::optional<DumpFormat> format;                   ///< else told from the first row's columns
  std::vector<std::pair<Role, std::string>> columns;  ///< named by the caller, in place of the names looked for
  std::vector<std::string> added;                     ///< columns that are to be added to each row
  std::optional<std::string> prefix;                  ///< before their names; default_prefix() if none is given
};

/// "whet_" where the format itself has a column that would be added (AReaL's `reward`), else nothing.
std::string_view default_prefix(DumpFormat format);

struct DumpCounts {
  std::int64_t files = 0, rows = 0, bytes = 0;
  std::int64_t mended = 0;       ///< rows that were not strict JSON
  std::vector<std::string> cut;  ///< "file:line" of last lines that were cut, and left out
};

class DumpReader {
 public:
  /// `paths` are files, folders or "-". UserError when one is not there or holds no JSON Lines.
  DumpReader(const std::vector<std::string>& paths, DumpOptions options);
  ~DumpReader();

  /// The next row, or nullptr behind the last. UserError naming file and line: for a line that is not a JSON object
  /// (but the last of a file, when it has no end), columns of no known format or of another one than the first row's,
  /// a column that is missing, stands twice or has the wrong type, or one that has the name of an added one.
  const DumpRow* next();
  /// Behind the last row: looks for rows that have been written since. Afterwards next() gives those, or the end again.
  /// False, and of no more use, when what was read is no longer a beginning of what is there (a file was lost, a new one
  /// belongs before others, one that was left has another length), or standard input was read.
  bool more();

  /// Of the row that was read last.
  DumpPlace place() const;
  /// "file:line".
  std::string text(DumpPlace place) const;
  /// Valid once a row was read.
  DumpFormat format() const;
  const std::string& prefix() const;
  const DumpCounts& counts() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace whet::store
