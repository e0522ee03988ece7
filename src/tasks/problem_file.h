// Problems read from JSON Lines or a JSON array: the project's own fields, or verl's rows.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tasks/task.h"

namespace whet::tasks {

/// The canonical form of an answer as files write it; a worked solution gives the answer that it ends in. nullopt when
/// nothing is left.
std::optional<std::string> label_in(std::string_view written);

/// How a label is read (Task::label_from).
using LabelRule = std::function<std::optional<std::string>(std::string_view written)>;

/// Reads the problems of one file. A row is an object with
///
///   prompt     text, or a chat: a list of {role, content}; required. A chat's contents joined by blank lines are the prompt;
///              with `chat`, the model is given what it writes instead (Problem::as_chat)
///   answer     text or number (optional); verl: reward_model.ground_truth. Its canonical form is kept; a worked
///              solution that ends in \boxed{...} or #### x gives that answer
///   id         text or number (optional); verl: extra_info.index. Default: the file's name and the row's number
///   source     text (optional); verl: data_source. Default: the file's name
///   rephrased  list of texts (optional)
///
/// Other fields are ignored. UserError naming the file, and the line (or the position in an array), for a row that is
/// malformed, has no prompt, or has a field of the wrong type; and for a file without rows.
///
/// `label`: the canonical form of an answer as the file writes it, where another task's rules will judge.
std::vector<Problem> read_problems(const std::filesystem::path& path, const std::optional<ChatWriter>& chat = {},
                                   const LabelRule& label = label_in);

}  // namespace whet::tasks
