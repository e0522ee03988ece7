// whet grade: answers against references, a JSON line each.
#include "text/grade.h"

#include <fmt/format.h>

#include <cstdio>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>

#include "app/command.h"
#include "app/console.h"
#include "base/json.h"

namespace whet::app {
namespace {

constexpr const char* kEquivalent = "equivalent";
constexpr const char* kReason = "reason";

struct GradeOptions {
  std::string file = "-";
  std::string answer = "answer";
  std::string reference = "reference";
  bool summary = false;
};

/// A member of a JSON object, as it stands in the line.
struct Member {
  std::string key;
  std::string_view value;
  std::size_t begin = 0, end = 0;  ///< of key and value in the line
};

/// The members of the object that a line holds. Rows are passed on byte for byte, and numbers are read as they are
/// written: neither survives a parser that turns 12345678901234567890 into a double. The line is known to be JSON.
std::vector<Member> members_of(std::string_view line) {
  std::vector<Member> members;
  std::size_t at = line.find('{') + 1;
  const auto skip_blanks = [&] {
    while (at < line.size() && std::string_view(" \t\r\n").find(line[at]) != std::string_view::npos) ++at;
  };
  const auto skip_string = [&] {
    for (++at; line[at] != '"'; ++at) at += line[at] == '\\';
    ++at;
  };
  for (;;) {
    skip_blanks();
    if (line[at] == '}') return members;
    Member member;
    member.begin = at;
    skip_string();
    member.key = base::Json::parse(line.substr(member.begin, at - member.begin)).get<std::string>();
    skip_blanks();
    ++at;  // ':'
    skip_blanks();
    const std::size_t begin = at;
    int depth = 0;
    do {
      if (line[at] == '"') {
        skip_string();
        continue;
      }
      if (line[at] == '{' || line[at] == '[') ++depth;
      if (line[at] == '}' || line[at] == ']') --depth;
      ++at;
    } while (depth > 0 || (line[at] != ',' && line[at] != '}'));
    member.end = at;
    member.value = line.substr(begin, at - begin);
    while (!member.value.empty() && member.value.back() <= ' ') member.value.remove_suffix(1);
    members.push_back(std::move(member));
    if (line[at] == ',') ++at;
  }
}

/// The text of a field that is a string or a number; nullopt for null, which only an answer may be.
std::optional<std::string> text_of(const std::vector<Member>& members, const std::string& field, bool may_be_null,
                                   const std::string& where) {
  const Member* found = nullptr;
  for (const Member& member : members) {
    if (member.key != field) continue;
    if (found != nullptr) base::user_error(where, "the field '{}' stands twice", field);
    found = &member;
  }
  if (found == nullptr) base::user_error(where, "no field '{}', want one with a text or a number", field);
  const char first = found->value[0];
  if (first == '"') return base::Json::parse(found->value).get<std::string>();
  if (first == '-' || (first >= '0' && first <= '9')) return std::string(found->value);
  if (may_be_null && found->value == "null") return std::nullopt;
  base::user_error(where, "the field '{}' is {}, want a text or a number", field, found->value.substr(0, 40));
}

/// The line with the verdict in it, in place of an older one.
std::string graded(std::string_view line, const std::vector<Member>& members, const text::Verdict& verdict) {
  std::string out = "{";
  for (const Member& member : members) {
    if (member.key == kEquivalent || member.key == kReason) continue;
    if (out.size() > 1) out += ", ";
    std::string_view text = line.substr(member.begin, member.end - member.begin);
    while (!text.empty() && text.back() <= ' ') text.remove_suffix(1);
    out += text;
  }
  if (out.size() > 1) out += ", ";
  out += fmt::format("\"{}\": {}, \"{}\": {}}}\n", kEquivalent, verdict.equivalent, kReason,
                     base::to_json_line(verdict.reason));
  return out;
}

int run(const GradeOptions& options) {
  std::ifstream file;
  const bool from_input = options.file == "-";
  if (!from_input) {
    file.open(options.file);
    if (!file || std::filesystem::is_directory(options.file)) base::user_error("grade", "cannot read {}", options.file);
  }
  std::ios::sync_with_stdio(false);
  std::istream& input = from_input ? std::cin : file;
  const std::string name = from_input ? "standard input" : options.file;
  std::map<std::string, std::size_t> reasons;
  std::size_t number = 0, rows = 0, equivalent = 0;
  for (std::string line; std::getline(input, line);) {
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    const std::string where = fmt::format("{}:{}", name, number);
    if (!base::Json::accept(line)) base::user_error(where, "not JSON, want an object a line");
    if (line[line.find_first_not_of(" \t\r")] != '{') base::user_error(where, "not an object, want one a line");
    const std::vector<Member> members = members_of(line);
    const auto answer = text_of(members, options.answer, /*may_be_null=*/true, where);
    const auto reference = text_of(members, options.reference, /*may_be_null=*/false, where);
    const text::Verdict verdict =
        answer ? text::grade(*answer, *reference) : text::Verdict{false, "no-answer: the answer is null"};
    const std::string out = graded(line, members, verdict);
    if (std::fwrite(out.data(), 1, out.size(), stdout) != out.size()) base::run_error("grade", "cannot write a row");
    ++rows;
    equivalent += verdict.equivalent ? 1 : 0;
    ++reasons[verdict.reason.substr(0, verdict.reason.find(':'))];
  }
  if (input.bad()) base::run_error("grade", "cannot read on in {} behind line {}", name, number);
  if (std::fflush(stdout) != 0) base::run_error("grade", "cannot write all rows");
  if (rows == 0)
    base::user_error("grade", "{} has no rows, want JSON lines with '{}' and '{}'", name, options.answer,
                     options.reference);
  if (options.summary) {
    print_line(fmt::format("{} of {} rows equivalent ({:.1f} %)", equivalent, rows,
                           100.0 * static_cast<double>(equivalent) / static_cast<double>(rows)));
    for (const auto& [reason, count] : reasons) print_line(fmt::format("  {:<20}{}", reason, count));
  }
  return 0;
}

const base::Registrar kRegistered(
    commands(), "grade",
    Command{
        "whether answers equal their references: JSON lines in, the same lines with verdict and reason out",
        "  whet grade answers.jsonl > graded.jsonl\n"
        "  echo '{\"answer\": \"so \\\\boxed{\\\\frac{2}{4}}\", \"reference\": \"0.5\"}' | whet grade\n"
        "  whet grade dump.jsonl --answer output --reference gts --summary > graded.jsonl\n"
        "Rows keep their fields and their order. A bad line ends the work with its number and exit code 2; the rows\n"
        "before it are already written. docs/grading.md has the rules of equivalence.",
        [](CLI::App& app) -> Run {
          auto options = std::make_shared<GradeOptions>();
          app.add_option("file", options->file, "JSON lines; '-' is standard input")->capture_default_str();
          app.add_option("--answer", options->answer,
                         "the field to grade: an answer, or a whole response with \\boxed{}, '#### x' or 'answer: x'")
              ->capture_default_str();
          app.add_option("--reference", options->reference, "the field to grade it against")->capture_default_str();
          app.add_flag("--summary", options->summary, "count verdicts and reasons on standard error");
          return [options] { return run(*options); };
        }});

}  // namespace
}  // namespace whet::app
