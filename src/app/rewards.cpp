// whet rewards: the taxonomy, as a table, one reward in full, or JSON.
#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>

#include "app/command.h"
#include "rewards/reward.h"
#include "rewards/unified.h"

namespace whet::app {
namespace {

using rewards::RewardEntry;
using rewards::Votes;

constexpr std::size_t kWidth = 100;

struct Family {
  const char* name;
  const char* meaning;
};

constexpr std::array<Family, 4> kFamilies{{
    {"certainty", "intrinsic: how sure the policy's own distributions are"},
    {"ensemble", "intrinsic: whether rollouts agree"},
    {"external", "a check that is easier than solving, or the label itself"},
    {"control", "know nothing of being right"},
}};

std::string_view voters(Votes votes) {
  switch (votes) {
    case Votes::kNone:
      return "none";
    case Votes::kOwn:
      return "own";
    case Votes::kRephrased:
      return "rephrased";
    case Votes::kTeacher:
      return "teacher";
    case Votes::kPolicies:
      return "policies";
  }
  return "none";
}

std::string voters_text(Votes votes) {
  switch (votes) {
    case Votes::kNone:
      return "nobody";
    case Votes::kOwn:
      return "the policy's own rollouts";
    case Votes::kRephrased:
      return "the policy's rollouts on a rephrasing";
    case Votes::kTeacher:
      return "a moving average of the policy";
    case Votes::kPolicies:
      return "several policies";
  }
  return "nobody";
}

std::vector<std::string> needs(const RewardEntry& entry) {
  std::vector<std::string> words;
  const auto add = [&](bool wanted, const char* word) {
    if (wanted) words.emplace_back(word);
  };
  add(entry.needs.answers, "answers");
  add(entry.needs.label, "labels");
  add(entry.needs.token_stats, "per-token values");
  add(entry.needs.length, "lengths");
  add(entry.needs.checker, "a checker");
  add(entry.needs.verdicts, "a verifier");
  add(entry.needs.votes == Votes::kRephrased, "rephrasings");
  add(entry.needs.votes == Votes::kTeacher, "a teacher");
  add(entry.needs.votes == Votes::kPolicies, "several policies");
  add(entry.needs.proposer, "a proposer");
  return words;
}

std::string needs_text(const RewardEntry& entry) {
  const auto words = needs(entry);
  return words.empty() ? "nothing" : fmt::format("{}", fmt::join(words, ", "));
}

std::string cost_text(const RewardEntry& entry) {
  return fmt::format("forward passes: {}; extra rollouts: {}", entry.cost.forward_passes, entry.cost.extra_rollouts);
}

/// Lines of at most `width` bytes, broken at spaces.
std::vector<std::string> wrapped(const std::string& text, std::size_t width) {
  std::vector<std::string> lines(1);
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find(' ', begin), text.size());
    const std::string word = text.substr(begin, end - begin);
    if (!lines.back().empty() && lines.back().size() + 1 + word.size() > width) lines.emplace_back();
    lines.back() += (lines.back().empty() ? "" : " ") + word;
    begin = end + 1;
  }
  return lines;
}

struct Cell {
  std::vector<std::string> paragraphs;
  std::size_t width;
};

/// Cells side by side, two spaces apart.
void print_row(const std::vector<Cell>& cells) {
  std::vector<std::vector<std::string>> columns;
  std::size_t height = 0;
  for (const Cell& cell : cells) {
    std::vector<std::string> lines;
    for (const std::string& paragraph : cell.paragraphs) {
      for (std::string& line : wrapped(paragraph, cell.width)) lines.push_back(std::move(line));
    }
    height = std::max(height, lines.size());
    columns.push_back(std::move(lines));
  }
  for (std::size_t row = 0; row < height; ++row) {
    std::string line;
    for (std::size_t c = 0; c < cells.size(); ++c) {
      line += fmt::format("{:<{}}  ", row < columns[c].size() ? columns[c][row] : "", cells[c].width);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    std::printf("%s\n", line.c_str());
  }
}

void print_table() {
  using Texts = std::vector<std::string>;
  const auto row = [](const Texts& name, const Texts& pays, const Texts& needs_costs, const Texts& fails) {
    print_row({{name, 21}, {pays, 33}, {needs_costs, 19}, {fails, 21}});
  };
  row({"reward"}, {"pays; source"}, {"needs; costs"}, {"how it fails"});
  for (const Family& family : kFamilies) {
    std::printf("\n%s (%s)\n", family.name, family.meaning);
    for (const auto& [name, entry] : rewards::rewards()) {
      if (entry.family != family.name) continue;
      std::printf("\n");
      Texts costs{needs_text(entry)};
      if (entry.cost.forward_passes != "none") costs.push_back("+ " + entry.cost.forward_passes);
      if (entry.cost.extra_rollouts != "none") costs.push_back("+ " + entry.cost.extra_rollouts);
      row({name}, {entry.formula, "[" + entry.source + "]"}, costs, {entry.failure});
    }
  }
  std::printf(
      "\nCosts come on top of sampling the group once, which also gives the per-token values.\n"
      "'whet rewards NAME' shows one in full; weighted sums are written majority-vote + 0.5*format.\n");
}

void print_one(const std::string& name, const RewardEntry& entry) {
  const auto line = [](const char* label, const std::string& text) {
    print_row({{{label}, 14}, {{text}, kWidth - 16}});
  };
  std::printf("%s\n", name.c_str());
  line("family", entry.family + (entry.intrinsic() ? " (intrinsic)" : ""));
  line("pays", entry.formula);
  line("source", entry.source);
  line("needs", needs_text(entry));
  if (entry.needs.votes != Votes::kNone) line("who votes", voters_text(entry.needs.votes));
  line("costs", cost_text(entry));
  line("fails", entry.failure);
  line("values", entry.binary ? "0 or 1" : "real");
  if (entry.form) {
    line("unified form", "psi(sigma / |I| * sum of H(q, pi) over I) with " + rewards::describe(*entry.form));
  }
}

base::Json form_json(const RewardEntry& entry) {
  if (!entry.form) return nullptr;
  const rewards::FormWords words = rewards::words_of(*entry.form);
  return {{"anchor", words.anchor},
          {"sign", words.sign},
          {"index_set", words.index_set},
          {"transform", words.transform},
          {"inner", words.inner}};
}

base::Json to_json(const std::string& name, const RewardEntry& entry) {
  return {{"name", name},
          {"family", entry.family},
          {"intrinsic", entry.intrinsic()},
          {"formula", entry.formula},
          {"source", entry.source},
          {"needs", needs(entry)},
          {"votes", voters(entry.needs.votes)},
          {"forward_passes", entry.cost.forward_passes},
          {"extra_rollouts", entry.cost.extra_rollouts},
          {"failure", entry.failure},
          {"binary", entry.binary},
          {"unified_form", form_json(entry)}};
}

int run(const std::string& name, bool json) {
  const RewardEntry* one = name.empty() ? nullptr : &rewards::rewards().find(name);
  if (json) {
    base::Json list = base::Json::array();
    for (const auto& [other, entry] : rewards::rewards()) {
      if (!one || &entry == one) list.push_back(to_json(other, entry));
    }
    std::printf("%s\n", base::to_json_line(one ? list[0] : list).c_str());
  } else if (one) {
    print_one(name, *one);
  } else {
    print_table();
  }
  return 0;
}

const base::Registrar kRegistered(commands(), "rewards",
                                  Command{"list the rewards: what they pay, need, cost, and how they fail",
                                          "  whet rewards\n"
                                          "  whet rewards majority-vote\n"
                                          "  whet rewards --json",
                                          [](CLI::App& app) -> Run {
                                            auto name = std::make_shared<std::string>();
                                            auto json = std::make_shared<bool>(false);
                                            app.add_option("name", *name, "show this reward in full");
                                            app.add_flag("--json", *json, "one JSON value on standard output");
                                            return [name, json] { return run(*name, *json); };
                                          }});

}  // namespace
}  // namespace whet::app
