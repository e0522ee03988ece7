// Where problems come from, and who decides what an answer is.
//
// A task generates problems whose answers can be checked, or reads them from a file. It owns the rule that finds the
// answer in a response and the rule that compares it with a label, because both depend on how the task is written.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/random.h"
#include "base/registry.h"

namespace whet::tasks {

/// A prompt with what is known about it.
struct Problem {
  std::string id;      ///< unique within its source
  std::string source;  ///< task name, or the file's own source/data_source
  std::string prompt;  ///< text that the model continues
  std::optional<std::string>
      answer;  ///< the label, in the task's canonical form; training reads it only for `ground-truth`
  std::vector<std::string> rephrased;  ///< prompts that ask the same in other words (may be empty); none is held out
  /// Prompts and rephrasings that the file has as chats, as a model's chat template writes them: what the model is given
  /// in their place. Empty without a template.
  std::map<std::string, std::string> as_chat;
};

/// Training and held-out problems are disjoint by construction: the hash of a prompt decides to which side it belongs.
enum class Split { kTrain, kHeldOut };

/// One pre-training text: the context carries no loss, the completion does (and is followed by the end token).
struct Document {
  std::string context;
  std::string completion;
};

/// How a verifier's verdict is read from what it writes (text/verdict.h).
enum class VerdictRule { kBoxed, kMark };

/// How a verifier is asked about solutions of a task.
struct VerifierFormat {
  /// A text::Template with the places {problem}, {solution} (the whole response) and {answer} (as it stands there).
  std::string prompt;
  VerdictRule rule = VerdictRule::kBoxed;
  int limit = 1024;  ///< of what it writes, in characters; the default of --verifier-max-new-tokens
};

/// The side a prompt belongs to: one prompt in ten is held out. A pure function of the text.
Split split_of(std::string_view prompt);

class Task {
 public:
  virtual ~Task() = default;

  /// The index-th problem of a split under a seed; the same arguments give the same problem on every machine.
  /// UserError when the task has no generator (a file of problems).
  virtual Problem problem(Split split, std::uint64_t seed, std::uint64_t index) const = 0;

  /// Number of distinct problems of a split, or nullopt when practically endless.
  virtual std::optional<std::uint64_t> size(Split) const { return std::nullopt; }

  /// The answer in a response, in canonical form, or nullopt when there is none. Two answers are in one class, and an
  /// answer is right, exactly when `equivalent` says so: voting and grading use one relation. The response is a whole
  /// one: for one that was cut at the length limit the caller applies `answers_when_truncated`.
  virtual std::optional<std::string> answer_in(const Problem& problem, std::string_view response) const = 0;

  /// Where that answer stands: the part of the response that `answer_in` reads, as it is written there (a view into
  /// `response`). nullopt exactly when `answer_in` finds none.
  virtual std::optional<std::string_view> answer_place(const Problem& problem, std::string_view response) const = 0;

  /// Whether a response that was cut at the length limit is asked for its answer. Not where the answer is whatever
  /// stands last: its end would be missing.
  virtual bool answers_when_truncated() const { return false; }

  /// Symmetric and reflexive comparison of two canonical answers to `problem`.
  virtual bool equivalent(const Problem& problem, std::string_view a, std::string_view b) const {
    (void)problem;
    return a == b;
  }

  /// Whether an answer is right: equivalent to the label, or, for tasks with many right answers (Countdown), accepted
  /// by the task's checker. Must not be called on problems without a label unless the task has a checker.
  virtual bool correct(const Problem& problem, std::string_view answer) const {
    return problem.answer && equivalent(problem, answer, *problem.answer);
  }

  /// A label, as a file or another program's dump has it, in the task's canonical form; nullopt when nothing is left.
  virtual std::optional<std::string> label_from(std::string_view written) const { return std::string(written); }

  /// Whether `correct` can be asked for this problem.
  virtual bool has_label(const Problem& problem) const { return problem.answer.has_value(); }

  /// What a verifier is given unless the run brings its own template: by default a question in plain English that asks
  /// for \boxed{True} or \boxed{False}; for tasks whose base models have read verdicts, the form of those.
  virtual VerifierFormat verifier_format() const;

  /// What is wrong with a wrong answer to `problem`, in a word or two, for tables: a task that knows ways to go wrong
  /// names them. Called only where `correct` is false.
  virtual std::string kind_of_error(const Problem& problem, std::string_view answer) const {
    (void)problem;
    (void)answer;
    return "wrong answer";
  }

  /// The word of a check that is cheaper than solving and reads no label, only the problem and a canonical answer
  /// (Countdown: the expression uses the given numbers and reaches the target). nullopt when there is no such check.
  virtual std::optional<bool> check(const Problem& problem, std::string_view answer) const {
    (void)problem;
    (void)answer;
    return std::nullopt;
  }

  /// What asks a model to write a problem of this task (reward `challenger`), or nullopt when the task has no such form.
  virtual std::optional<std::string> proposal_prompt() const { return std::nullopt; }

  /// The problem that a response to `proposal_prompt` poses, or nullopt when it is malformed or on the held-out side. Its
  /// id is left to the caller; its label, where the task can work it out, is for measurement only.
  virtual std::optional<Problem> proposed(std::string_view response) const {
    (void)response;
    return std::nullopt;
  }

  /// A text of the named pre-training mixture ("" is the default mixture). Documents use only training prompts.
  /// UserError when the task has no such mixture.
  virtual Document document(std::string_view mixture, base::Random& random) const = 0;

  /// All characters that prompts and documents may contain (for building the embedded models' tokenizers).
  virtual std::string alphabet() const = 0;

  /// Length limit for responses, in characters, that fits every right answer; the default of --max-new-tokens.
  virtual int response_limit() const = 0;

  /// Lines that a person should see before a run on this task ("3 problems are also held out: not trained on").
  virtual std::vector<std::string> notes() const { return {}; }
};

/// How prompts that are chats become text.
struct ChatWriter {
  std::string name;  ///< of the template, for people
  /// A list of {role, content} as text. UserError naming the template for a chat that it refuses.
  std::function<std::string(const base::Json& messages)> write;
  bool writes_plain_prompts = false;  ///< plain prompts too, as one message of a user
};

/// How a task is made. `files` are the problem files given on the command line (empty for generators).
struct TaskSource {
  std::vector<std::string> files;           ///< --problems
  std::vector<std::string> held_out_files;  ///< --held-out-problems; empty: split `files` by split_of
  bool rules_only = false;                  ///< no problems are wanted, only how answers are found and compared
  std::optional<ChatWriter> chat = {};      ///< none: a chat's contents, joined by blank lines
};

struct TaskEntry {
  std::string summary;  ///< one line for listings
  std::function<std::unique_ptr<Task>(const TaskSource&)> make;
};

base::Registry<TaskEntry>& tasks();

}  // namespace whet::tasks
