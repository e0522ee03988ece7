// Which files a rollout dump consists of.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace whet::store {

/// The JSON Lines files of a dump: `path` itself ("-": standard input), or those of a folder and its folders, numbers
/// in names by their value (2.jsonl before 10.jsonl). Of a run of ours the files of rollouts/; of a NeMo-RL log folder
/// the train_data_step{N}.jsonl. UserError when there are none; for Parquet, with the command that converts it.
std::vector<std::string> dump_files(const std::string& path);

/// The step that a file's name tells: 12 of "train_data_step12.jsonl" and "12.jsonl".
std::optional<std::int64_t> step_of_file(const std::string& path);

/// UserError when the first bytes of a file show that it is not JSON Lines but Parquet (with the command that converts
/// it), gzip, Zstandard or a JSON array.
void check_is_json_lines(std::string_view head, const std::string& path);

/// What comes before "10" and after "2", and is otherwise the order of bytes.
bool natural_less(std::string_view a, std::string_view b);

}  // namespace whet::store
