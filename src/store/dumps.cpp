#include "store/dumps.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>

#include "base/error.h"
#include "store/dump_files.h"
#include "store/dump_values.h"
#include "store/line_reader.h"
#include "store/mend_json.h"

namespace whet::store {
namespace {

namespace dom = simdjson::dom;

constexpr std::string_view kPlace = "dump";
constexpr std::size_t kRoles = static_cast<std::size_t>(Role::kCount);
static_assert(LineReader::kPadding >= simdjson::SIMDJSON_PADDING);

std::size_t index_of(Role role) { return static_cast<std::size_t>(role); }

bool has(const dom::object& row, std::string_view name) { return row[name].error() == simdjson::SUCCESS; }

std::string columns_text(const dom::object& row) {
  std::vector<std::string_view> names;
  for (const auto field : row) names.push_back(field.key);
  return fmt::format("{}", fmt::join(names, ", "));
}

/// NeMo-RL writes each row as a batch of one: the value inside.
Element inside_batch(Element value) {
  dom::array list;
  if (value.get(list) == simdjson::SUCCESS && list.size() == 1) return list.at(0).value();
  return value;
}

/// One column of a row, as its last row had it: rows of a dump have the same columns in the same order.
struct Known {
  std::string name;
  std::optional<Role> role;
  std::size_t rank = 0;  ///< among the names of its role
  bool is_added = false;
};

}  // namespace

struct DumpReader::State {
  DumpOptions options;
  std::vector<std::string> paths;
  std::vector<std::pair<std::string, bool>> files;  // with whether a new path begins
  std::size_t file = 0;                             // the one that is being read, plus 1
  std::unique_ptr<LineReader> lines;
  std::vector<std::uint64_t> read_bytes;  // of the files before `file`
  bool is_cut = false;                    // the line that `lines` is to go on with was cut
  dom::parser parser;
  std::optional<DumpFormat> format;
  std::string first_place;  // where the format was told from
  std::string prefix;
  std::vector<Known> layout;
  std::string mended;
  std::array<Element, kRoles> value;
  std::array<std::size_t, kRoles> rank;  // npos: the row has no such column
  std::array<std::string_view, kRoles> name;
  std::string input, output, label, pair, policy;
  std::vector<float> mask;
  DumpRow row;
  bool starts_file = false, starts_dump = false;
  DumpCounts counts;

  static constexpr std::size_t kNone = static_cast<std::size_t>(-1);

  void list_files();
  const std::string& path() const { return files[file - 1].first; }
  DumpPlace place() const { return {static_cast<std::uint32_t>(file), lines ? lines->number() : 0}; }
  std::string text(DumpPlace place) const {
    const std::string& path = files[place.file - 1].first;
    return fmt::format("{}:{}", path == "-" ? "standard input" : path, place.line);
  }
  std::string where() const { return text(place()); }
  bool found(Role role) const { return rank[index_of(role)] != kNone; }
  Element& at(Role role) { return value[index_of(role)]; }
  std::string_view column(Role role) const { return name[index_of(role)]; }

  template <class... Args>
  [[noreturn]] void refuse(fmt::format_string<Args...> text, Args&&... args) const {
    base::user_error(kPlace, "{}: {}", where(), fmt::format(text, std::forward<Args>(args)...));
  }

  void tell_format(const dom::object& first);
  Known known(std::string_view name) const;
  void find_columns(const dom::object& object);
  std::string_view text_of(Role role, std::string& storage, bool only_model);
  void read_conversation();
  void read_step();
  std::optional<std::int64_t> count_of(Role role);
  bool flag_of(Role role);
  std::string_view name_of(Role role, std::string& storage);
  void read_mask();
  void read_tokens();
  void read_length();
  bool parse(std::string_view line, dom::object& object);
  void read_row(const dom::object& object);
};

void DumpReader::State::tell_format(const dom::object& first) {
  first_place = where();
  const auto named = [&](Role role) {
    return std::any_of(options.columns.begin(), options.columns.end(),
                       [&](const auto& entry) { return entry.first == role; });
  };
  const bool has_input = named(Role::kInput) || has(first, "input");
  const bool has_output = named(Role::kOutput) || has(first, "output");
  const bool has_prompt = named(Role::kInput) || has(first, "prompt");
  const bool has_completion = named(Role::kOutput) || has(first, "completion");
  if (options.format) {
    format = options.format;
  } else if (has_input && has_output) {
    const bool is_ours = has(first, "true_score") && has(first, "tokens");
    format = is_ours ? DumpFormat::kWhetstone : DumpFormat::kVerl;
  } else if (has_prompt && has_completion) {
    format = has(first, "task_id") && has(first, "reward") ? DumpFormat::kAreal : DumpFormat::kTrl;
  } else if (has(first, "content") && (has(first, "rewards") || has(first, "idx"))) {
    format = DumpFormat::kNemoRl;
  } else {
    refuse(
        "columns {} are of no known dump, want input and output (verl, whetstone), prompt and completion (TRL; with "
        "task_id and reward AReaL) or content and rewards (NeMo-RL); --column names others",
        columns_text(first));
  }
  prefix = options.prefix ? *options.prefix : std::string(default_prefix(*format));
}

Known DumpReader::State::known(std::string_view column_name) const {
  Known result{.name = std::string(column_name)};
  for (std::size_t r = 0; r < kRoles; ++r) {
    const auto role = static_cast<Role>(r);
    std::optional<std::string_view> given;
    for (const auto& [named, by_caller] : options.columns) {
      if (named == role) given = by_caller;
    }
    const auto names = given ? std::vector<std::string_view>{*given} : column_names(role, *format);
    const auto found_name = std::find(names.begin(), names.end(), column_name);
    if (found_name == names.end()) continue;
    result.role = role;
    result.rank = static_cast<std::size_t>(found_name - names.begin());
    break;
  }
  for (const std::string& added : options.added) result.is_added = result.is_added || prefix + added == column_name;
  return result;
}

void DumpReader::State::find_columns(const dom::object& object) {
  rank.fill(kNone);
  std::size_t i = 0;
  for (const auto field : object) {
    const std::string_view key = field.key;
    if (i == layout.size() || layout[i].name != key) {
      layout.resize(i);
      layout.push_back(known(key));
    }
    const Known& column = layout[i++];
    if (column.is_added) {
      refuse("the row has a column '{}' of its own, want another name for the added one: --prefix NAME_", key);
    }
    if (!column.role) continue;
    const std::size_t r = index_of(*column.role);
    if (rank[r] == column.rank) refuse("column '{}' stands twice, want it once", key);
    if (rank[r] < column.rank) continue;
    rank[r] = column.rank;
    value[r] = *format == DumpFormat::kNemoRl ? inside_batch(field.value) : field.value;
    name[r] = key;
  }
  std::vector<std::string_view> missing;
  const auto require = [&](Role role) {
    if (found(role)) return;
    const auto given =
        std::find_if(options.columns.begin(), options.columns.end(), [&](const auto& c) { return c.first == role; });
    missing.push_back(given != options.columns.end() ? std::string_view(given->second)
                                                     : column_names(role, *format).front());
  };
  for (const auto& [role, given] : options.columns) {
    if (!found(role) && role != Role::kInput && role != Role::kOutput) missing.push_back(given);
  }
  if (*format == DumpFormat::kNemoRl && !(found(Role::kInput) && found(Role::kOutput))) {
    require(Role::kContent);
  } else {
    require(Role::kInput);
    require(Role::kOutput);
  }
  if (missing.empty()) return;
  refuse("no column {} (there are {}), want it in each row of this {} dump{}", fmt::join(missing, ", "),
         columns_text(object), format_name(*format),
         options.format ? "" : fmt::format(" (told from {}; formats cannot be mixed)", first_place));
}

/// A text column: a string as it is, a chat list by its messages.
std::string_view DumpReader::State::text_of(Role role, std::string& storage, bool only_model) {
  std::string_view text;
  if (at(role).get(text) == simdjson::SUCCESS) return text;
  auto joined = chat_text(at(role), only_model);
  if (!joined) {
    refuse("column '{}' is {}, want text or a list of messages{}", column(role), kind_name(at(role)),
           only_model ? " with one of the assistant" : "");
  }
  storage = std::move(*joined);
  return storage;
}

void DumpReader::State::read_conversation() {
  if (found(Role::kInput) && found(Role::kOutput)) {
    row.input = text_of(Role::kInput, input, false);
    row.output = text_of(Role::kOutput, output, true);
    return;
  }
  dom::array list;
  if (at(Role::kContent).get(list) != simdjson::SUCCESS) {
    refuse("column 'content' is {}, want a list of messages", kind_name(at(Role::kContent)));
  }
  Conversation cut;
  std::vector<std::string_view> messages;
  for (const Element message : list) {
    std::string_view text;
    if (message.get(text) == simdjson::SUCCESS) {
      messages.push_back(text);
      continue;
    }
    // Messages with roles, as the validation dumps have them: the prompt ends where the assistant begins.
    std::string_view role;
    const auto one = message.is_object() ? chat_text(at(Role::kContent), true) : std::nullopt;
    if (!one || !messages.empty()) refuse("column 'content' holds {}, want texts or messages", kind_name(message));
    cut.response = *one;
    for (const Element turn : list) {
      std::string_view turn_text;
      if (turn["role"].get(role) != simdjson::SUCCESS || role == "assistant") break;
      if (turn["content"].get(turn_text) != simdjson::SUCCESS) break;
      if (!cut.prompt.empty()) cut.prompt += "\n\n";
      cut.prompt += turn_text;
    }
    if (cut.prompt.empty()) refuse("column 'content' has no prompt before the assistant's message, want one");
    messages.clear();
    break;
  }
  if (!messages.empty()) {
    if (!found(Role::kMask) && messages.size() != 2) {
      refuse("no column token_loss_mask, want it to tell which of the {} messages in 'content' are the model's",
             messages.size());
    }
    const std::vector<float> two{0, 1};
    const auto parts = cut_conversation(messages, found(Role::kMask) ? mask : two);
    if (!parts) {
      refuse("{} messages in 'content' do not fit 'token_loss_mask', want a prompt before each response",
             messages.size());
    }
    cut = *parts;
  } else if (cut.prompt.empty()) {
    refuse("column 'content' is empty, want a prompt and a response");
  }
  input = std::move(cut.prompt);
  output = std::move(cut.response);
  row.input = input;
  row.output = output;
}

void DumpReader::State::read_step() {
  row.step.reset();
  if (found(Role::kStep) && !at(Role::kStep).is_null()) {
    double number = 0;
    if (at(Role::kStep).get(number) != simdjson::SUCCESS || number != std::floor(number) || std::abs(number) > 1e15) {
      refuse("column '{}' is {}, want a whole number", column(Role::kStep),
             std::string(simdjson::minify(at(Role::kStep))));
    }
    row.step = static_cast<std::int64_t>(number);
  } else {
    row.step = step_of_file(path());
  }
}

/// A whole number >= 0 in a column of one number, or the size of a list.
std::optional<std::int64_t> DumpReader::State::count_of(Role role) {
  if (!found(role)) return std::nullopt;
  dom::array list;
  std::int64_t number = 0;
  if (at(role).get(list) == simdjson::SUCCESS) return static_cast<std::int64_t>(list.size());
  if (at(role).get(number) == simdjson::SUCCESS && number >= 0) return number;
  return std::nullopt;
}

/// True or false; false where there is none.
bool DumpReader::State::flag_of(Role role) {
  bool flag = false;
  if (found(role) && !at(role).is_null() && at(role).get(flag) != simdjson::SUCCESS) {
    refuse("column '{}' is {}, want true or false", column(role), kind_name(at(role)));
  }
  return flag;
}

/// A text or a number that names something; empty where there is none.
std::string_view DumpReader::State::name_of(Role role, std::string& storage) {
  storage.clear();
  if (!found(role) || at(role).is_null()) return storage;
  auto text = label_text(at(role));
  if (!text) refuse("column '{}' is {}, want a text or a number", column(role), kind_name(at(role)));
  storage = std::move(*text);
  return storage;
}

void DumpReader::State::read_mask() {
  mask.clear();
  if (!found(Role::kMask)) return;
  std::size_t bad = 0;
  if (!at(Role::kMask).is_array() || !read_numbers(at(Role::kMask), mask, bad)) {
    refuse("column '{}' is not a list of numbers, want 1 for each token of the response", column(Role::kMask));
  }
  // Rows of a batch are padded to one length; zeros behind the conversation are no environment's reply.
  const auto whole = *format == DumpFormat::kNemoRl ? count_of(Role::kWholeLength) : std::nullopt;
  if (whole) mask.resize(std::min(mask.size(), static_cast<std::size_t>(*whole)));
}

void DumpReader::State::read_tokens() {
  for (std::size_t r = 0; r < kTokenRoles; ++r) {
    const auto role = static_cast<Role>(r);
    TokenColumn& tokens = row.tokens[r];
    tokens.column = {};
    tokens.fault.clear();
    tokens.is_mean = false;
    tokens.values.clear();
    if (!found(role)) continue;
    tokens.column = column(role);
    double mean = 0;
    if (!at(role).is_array()) {
      tokens.is_mean = at(role).get(mean) == simdjson::SUCCESS && *format == DumpFormat::kWhetstone;
      if (tokens.is_mean) {
        tokens.values.push_back(static_cast<float>(mean));
      } else {
        tokens.fault = fmt::format("is {}, want a list with a number for each token", kind_name(at(role)));
      }
      continue;
    }
    std::size_t bad = 0;
    if (!read_numbers(at(role), tokens.values, bad)) {
      tokens.fault = fmt::format("has something else than a finite number at token {}", bad);
    } else if (found(Role::kMask) && tokens.values.size() < mask.size()) {
      tokens.fault = fmt::format("has {} values for the {} tokens of '{}'", tokens.values.size(), mask.size(),
                                 column(Role::kMask));
    } else if (found(Role::kMask)) {
      std::size_t kept = 0;
      for (std::size_t t = 0; t < mask.size(); ++t) {
        if (mask[t] != 0) tokens.values[kept++] = tokens.values[t];
      }
      tokens.values.resize(kept);
    }
  }
}

void DumpReader::State::read_length() {
  row.length = count_of(Role::kLength);
  if (row.length) return;
  if (found(Role::kMask)) {
    row.length = std::count_if(mask.begin(), mask.end(), [](float one) { return one != 0; });
    return;
  }
  const auto whole = count_of(Role::kWholeLength), prompt = count_of(Role::kPromptLength);
  if (whole && prompt && *whole >= *prompt) {
    row.length = *whole - *prompt;
    return;
  }
  for (const TokenColumn& tokens : row.tokens) {
    if (tokens.column.empty() || tokens.is_mean || !tokens.fault.empty()) continue;
    row.length = static_cast<std::int64_t>(tokens.values.size());
    return;
  }
}

/// False for a last line that was cut.
bool DumpReader::State::parse(std::string_view line, dom::object& object) {
  auto parsed = parser.parse(line.data(), line.size(), false);
  if (parsed.error()) {
    mended = mend_json(line);
    if (mended != line) {
      parsed = parser.parse(mended);
      counts.mended += parsed.error() ? 0 : 1;
    }
  }
  if (parsed.error() && !lines->ended()) return false;
  if (parsed.error() == simdjson::DEPTH_ERROR) refuse("lists within lists deeper than 1,000, want a row of a dump");
  if (parsed.error()) refuse("not JSON, want an object on a line of its own");
  if (parsed.get(object) != simdjson::SUCCESS)
    refuse("{}, want an object with the columns of a row", kind_name(parsed.value()));
  return true;
}

void DumpReader::State::read_row(const dom::object& object) {
  if (!format) tell_format(object);
  find_columns(object);
  read_mask();
  read_conversation();
  read_step();
  read_tokens();
  read_length();
  row.label.reset();
  row.has_odd_label = false;
  if (found(Role::kLabel) && !at(Role::kLabel).is_null()) {
    if (auto text = label_text(at(Role::kLabel))) {
      label = std::move(*text);
      row.label = label;
    } else {
      row.has_odd_label = true;
    }
  }
  row.truncated = flag_of(Role::kTruncated);
  row.voter = flag_of(Role::kVoter);
  row.pair = name_of(Role::kPair, pair);
  row.policy = name_of(Role::kPolicy, policy);
}

void DumpReader::State::list_files() {
  files.clear();
  for (const std::string& dump : paths) {
    bool is_first = true;
    for (std::string& one : dump_files(dump)) files.emplace_back(std::move(one), std::exchange(is_first, false));
  }
}

DumpReader::DumpReader(const std::vector<std::string>& paths, DumpOptions options) : state_(std::make_unique<State>()) {
  state_->options = std::move(options);
  state_->paths = paths;
  state_->list_files();
}

DumpReader::~DumpReader() = default;

const DumpRow* DumpReader::next() {
  State& s = *state_;
  std::string_view line;
  for (;;) {
    if (!s.lines) {
      const auto& [path, begins_dump] = s.files[s.file++];
      s.lines = std::make_unique<LineReader>(path);
      check_is_json_lines(s.lines->head(), path);
      ++s.counts.files;
      s.starts_file = true;
      s.starts_dump = s.starts_dump || begins_dump;
    }
    if (s.is_cut || !s.lines->next(line)) {
      if (s.file == s.files.size()) return nullptr;
      s.read_bytes.push_back(s.lines->bytes());
      s.lines.reset();
      s.is_cut = false;
      continue;
    }
    s.counts.bytes += static_cast<std::int64_t>(line.size()) + 1;
    if (s.lines->number() == 1 && line.substr(0, 3) == "\xEF\xBB\xBF") line.remove_prefix(3);
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    dom::object object;
    if (!s.parse(line, object)) {
      s.counts.cut.push_back(s.where());
      s.counts.bytes -= static_cast<std::int64_t>(line.size()) + 1;
      s.lines->take_back();
      s.is_cut = true;
      continue;
    }
    s.read_row(object);
    s.row.line = line;
    s.row.starts_file = std::exchange(s.starts_file, false);
    s.row.starts_dump = std::exchange(s.starts_dump, false);
    ++s.counts.rows;
    return &s.row;
  }
}

bool DumpReader::more() {
  State& s = *state_;
  if (std::find(s.paths.begin(), s.paths.end(), "-") != s.paths.end()) return false;
  const auto before = std::exchange(s.files, {});
  s.list_files();
  if (s.files.size() < before.size() || !std::equal(before.begin(), before.end(), s.files.begin())) return false;
  for (std::size_t i = 0; i < s.read_bytes.size(); ++i) {
    std::error_code error;
    if (std::filesystem::file_size(before[i].first, error) != s.read_bytes[i] || error) return false;
  }
  if (!s.lines->is_current()) return false;
  if (std::exchange(s.is_cut, false)) s.counts.cut.pop_back();
  s.lines->go_on();
  return true;
}

DumpPlace DumpReader::place() const { return state_->place(); }
std::string DumpReader::text(DumpPlace place) const { return state_->text(place); }
DumpFormat DumpReader::format() const { return *state_->format; }
const std::string& DumpReader::prefix() const { return state_->prefix; }
const DumpCounts& DumpReader::counts() const { return state_->counts; }

}  // namespace whet::store
