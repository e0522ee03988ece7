// Problems from files: any JSON Lines or JSON array of {prompt, answer?}, and verl's rows. Answers are found and
// compared by the rules of src/text.
#include <algorithm>
#include <set>
#include <unordered_set>

#include "tasks/generator.h"
#include "tasks/permutation.h"
#include "tasks/problem_file.h"
#include "text/canonical.h"
#include "text/equivalence.h"
#include "text/extract.h"

namespace whet::tasks {
namespace {

constexpr std::string_view kPlace = "problems";
constexpr int kResponseLimit = 1024;

class FileTask : public Task {
 public:
  explicit FileTask(const TaskSource& source) {
    if (source.rules_only) return;
    if (source.files.empty() && source.held_out_files.empty()) {
      base::user_error(kPlace, "the task 'file' has no file, want --problems FILE");
    }
    for (Problem& problem : read_all(source.files, source.chat)) {
      const bool is_held_out = source.held_out_files.empty() && split_of(problem.prompt) == Split::kHeldOut;
      (is_held_out ? held_out_ : train_).push_back(std::move(problem));
    }
    for (Problem& problem : read_all(source.held_out_files, source.chat)) held_out_.push_back(std::move(problem));
    if (source.chat) template_name_ = source.chat->name;
    remove_shared();
    make_ids_unique();
    const std::string files = fmt::format("{}", fmt::join(source.files, ", "));
    if (train_.empty()) {
      nothing_to_train_on_ =
          source.files.empty() ? "no file to train on, want --problems FILE"
                               : fmt::format("{}: no problem is left to train on ({} are held out), want more problems",
                                             files, held_out_.size());
      // Files that were named as held out can be measured on without any to train on.
      if (source.held_out_files.empty()) base::user_error(kPlace, "{}", nothing_to_train_on_);
    }
    if (held_out_.empty()) {
      base::user_error(kPlace, "{}: none of the {} problems is held out, want more, or --held-out-problems FILE", files,
                       train_.size());
    }
  }

  std::optional<std::string> proposal_prompt() const override {
    return "Write one new problem like those of a mathematics competition, of a kind that has a single short answer and that a "
           "strong student would get wrong half of the time. Do not solve it. Put the problem between <question> and "
           "</question>.";
  }

  /// What stands between the last pair of tags; its label is not known.
  std::optional<Problem> proposed(std::string_view response) const override {
    constexpr std::string_view kOpen = "<question>", kClose = "</question>";
    const std::size_t end = response.rfind(kClose);
    const std::size_t begin = end == std::string_view::npos ? end : response.rfind(kOpen, end);
    if (begin == std::string_view::npos) return std::nullopt;
    std::string_view question = response.substr(begin + kOpen.size(), end - begin - kOpen.size());
    const std::size_t first = question.find_first_not_of(" \t\r\n");
    if (first == std::string_view::npos) return std::nullopt;
    question = question.substr(first, question.find_last_not_of(" \t\r\n") + 1 - first);
    const auto is_question = [&](const Problem& problem) { return problem.prompt == question; };
    if (std::any_of(held_out_.begin(), held_out_.end(), is_question)) return std::nullopt;
    Problem problem;
    problem.source = "proposed";
    problem.prompt = question;
    return problem;
  }

  /// Each pass over the problems has its own order: index / size is the pass.
  Problem problem(Split split, std::uint64_t seed, std::uint64_t index) const override {
    const std::vector<Problem>& problems = side(split);
    if (problems.empty()) {
      base::user_error(
          kPlace, "{}",
          nothing_to_train_on_.empty() ? "the task 'file' has no file, want --problems FILE" : nothing_to_train_on_);
    }
    const std::uint64_t pass = index / problems.size();
    const std::uint64_t key = base::combine({seed, static_cast<std::uint64_t>(split), pass});
    return problems[permuted(index % problems.size(), problems.size(), key)];
  }

  std::optional<std::uint64_t> size(Split split) const override { return side(split).size(); }

  std::optional<std::string> answer_in(const Problem&, std::string_view response) const override {
    const auto found = text::find_answer(response);
    if (!found) return std::nullopt;
    std::string answer = text::canonical(*found);
    if (answer.empty()) return std::nullopt;
    return answer;
  }

  std::optional<std::string_view> answer_place(const Problem& problem, std::string_view response) const override {
    return answer_in(problem, response) ? text::find_answer(response) : std::nullopt;
  }

  /// A box that was closed before the limit counts.
  bool answers_when_truncated() const override { return true; }

  bool equivalent(const Problem&, std::string_view a, std::string_view b) const override {
    return text::equivalent(a, b);
  }

  std::optional<std::string> label_from(std::string_view written) const override { return label_in(written); }

  Document document(std::string_view, base::Random&) const override {
    base::user_error("task", "the task 'file' has no pre-training text, want a task that generates its problems");
  }

  /// Every character (UTF-8) of the prompts and answers, once.
  std::string alphabet() const override {
    std::set<std::string> characters;
    const auto add = [&characters](std::string_view text) {
      for (std::size_t i = 0; i < text.size();) {
        std::size_t end = i + 1;
        while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) ++end;
        characters.emplace(text.substr(i, end - i));
        i = end;
      }
    };
    for (const auto* problems : {&train_, &held_out_}) {
      for (const Problem& problem : *problems) {
        add(problem.prompt);
        if (problem.answer) add(*problem.answer);
      }
    }
    std::string result;
    for (const std::string& character : characters) result += character;
    return result;
  }

  int response_limit() const override { return kResponseLimit; }

  std::vector<std::string> notes() const override {
    std::vector<std::string> lines;
    if (removed_ > 0) lines.push_back(fmt::format("{} problems are held out as well: not trained on", removed_));
    if (removed_rephrasings_ > 0) {
      lines.push_back(fmt::format("{} rephrasings are prompts that are held out: not used", removed_rephrasings_));
    }
    std::size_t chats = 0;
    for (const auto* problems : {&train_, &held_out_}) {
      for (const Problem& problem : *problems) chats += problem.as_chat.contains(problem.prompt) ? 1 : 0;
    }
    if (chats > 0)
      lines.push_back(fmt::format("{} prompts are written by the chat template {}", chats, template_name_));
    std::size_t unlabelled = 0;
    for (const Problem& problem : held_out_) unlabelled += problem.answer ? 0 : 1;
    if (unlabelled > 0) {
      lines.push_back(fmt::format("{} of {} held-out problems have no answer: accuracy leaves them out", unlabelled,
                                  held_out_.size()));
    }
    return lines;
  }

 private:
  std::string nothing_to_train_on_;  ///< why, where the training side is empty
  const std::vector<Problem>& side(Split split) const { return split == Split::kTrain ? train_ : held_out_; }

  static std::vector<Problem> read_all(const std::vector<std::string>& files, const std::optional<ChatWriter>& chat) {
    std::vector<Problem> problems;
    for (const std::string& file : files) {
      for (Problem& problem : read_problems(file, chat)) problems.push_back(std::move(problem));
    }
    return problems;
  }

  /// Takes problems whose prompt is also held out off the training side, and rephrasings that are.
  void remove_shared() {
    std::unordered_set<std::string_view> prompts;
    for (const Problem& problem : held_out_) prompts.insert(problem.prompt);
    removed_ = std::erase_if(train_, [&prompts](const Problem& problem) { return prompts.contains(problem.prompt); });
    for (Problem& problem : train_) {
      removed_rephrasings_ +=
          std::erase_if(problem.rephrased, [&prompts](const std::string& other) { return prompts.contains(other); });
    }
  }

  /// An id that several problems share (files are often numbered from 0) gets the prompt's hash behind it, and a count
  /// when even the prompts agree.
  void make_ids_unique() {
    std::unordered_set<std::string> taken;
    for (auto* problems : {&train_, &held_out_}) {
      for (Problem& problem : *problems) {
        if (taken.insert(problem.id).second) continue;
        const std::string base_id = fmt::format("{}@{:08x}", problem.id, base::hash_text(problem.prompt) >> 32);
        problem.id = base_id;
        for (int copy = 2; !taken.insert(problem.id).second; ++copy) problem.id = fmt::format("{}#{}", base_id, copy);
      }
    }
  }

  std::vector<Problem> train_, held_out_;
  std::size_t removed_ = 0, removed_rephrasings_ = 0;
  std::string template_name_;
};

const base::Registrar kRegistered(
    tasks(), "file",
    TaskEntry{"problems of --problems FILE: JSON Lines or a JSON array of {prompt, answer?}, or verl's rows",
              [](const TaskSource& source) { return std::make_unique<FileTask>(source); }});

}  // namespace
}  // namespace whet::tasks
