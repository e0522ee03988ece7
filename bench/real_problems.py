#!/usr/bin/env python3
"""Real files of problems through `whet eval` and `whet train`, with a model of 100M parameters whose answers are known in law.

Usage: bench/real_problems.py --data FOLDER --tokenizer FOLDER [--whet build/whet] [--files aime24 ...] [--model FOLDER]
FOLDER of --data has aime24.jsonl, amc.jsonl, gpqa_diamond.jsonl and math500.jsonl: {prompt, answer}, a line each. FOLDER of
--tokenizer has the tokenizer.json and tokenizer_config.json of Qwen2.5 or Qwen3. The model (answering_model.py) answers in a
box, in words and behind ####, with numbers and letters, and sometimes not at all, or runs on to the limit. Of each file all
problems are measured, and trained on for some steps, on the vote and on labels.

Held against that: answered, cut, right and elected rollouts against their exact law, whatever the program says of each trained
rollout (text, answer, cut or not, right or not, reward) against a reading of its tokens that shares no code with it, its
metrics against those rollouts, and its peak of memory against `whet plan`. What is off by more than chance (two tails of 1e-4
each), a path that gives nothing, or 20 % more memory than planned: a line each at the end, and exit code 1.
"""
import argparse
import collections
import functools
import json
import math
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile

import answering_model

# Rollouts of each problem: so many that some 7 of AIME's answers, which are the hardest to meet, come out right.
SAMPLES = {"aime24": 64, "amc": 8, "gpqa_diamond": 4, "math500": 4}
SHAPE = dict(hidden_size=256, layers=22, heads=4, key_value_heads=2, head_dim=64, intermediate_size=1024, vocabulary=151936)
TRAIN = dict(steps=2, prompts=4, samples=8, eval_every=1, eval_problems=4, eval_samples=2, rollouts_every=1)
REWARDS = ("majority-vote", "ground-truth")
LIMIT = 32
TAIL = 1e-4
MEMORY = 1.2


def flags(options):
    return [part for name, value in options.items() for part in ("--" + name.replace("_", "-"), str(value))]


def read_lines(path):
    """The rows of JSON Lines. A problem may hold signs that splitlines() takes for line ends."""
    return [json.loads(line) for line in path.read_text().split("\n") if line]


def form_of(label):
    """The number or letter that a label is equal to, as the model writes it; None where that is neither."""
    if letter := re.fullmatch(r"(?:\\text\{\()?([A-E])(?:\)\})?", label):
        return letter[1]
    number = re.fullmatch(r"(?:[a-z]=)?(?:\\\$)?(\d{1,3}(?:,(?:\\!)?\d{3})+|\d+)(?:\.0+)?"
                          r"(?:\^\\circ|\\%)?(?:\s*\\(?:text|mbox)\{[^}]*\}(?:\^2)?)?", label)
    return str(int(re.sub(r"\D", "", number[1]))) if number else None


def law_of_count(chances):
    """{count: probability} of how many of independent draws succeed; `chances` is {chance: draws}."""
    law = {0: 1.0}
    for chance, draws in chances.items():
        if chance <= 0:
            continue
        one = {}
        for n in range(draws + 1):
            log = (math.lgamma(draws + 1) - math.lgamma(n + 1) - math.lgamma(draws - n + 1) + n * math.log(chance) +
                   ((draws - n) * math.log1p(-chance) if chance < 1 else 0 if n == draws else -math.inf))
            if log > -40:
                one[n] = math.exp(log)
        both = collections.Counter()
        for a, p in law.items():
            for b, q in one.items():
                both[a + b] += p * q
        law = {n: p for n, p in both.items() if p > 1e-16}
    return law


def bounds(law):
    """Smallest and largest count that leave no more than TAIL beyond them."""
    counts = sorted(law)
    below = above = 0.0
    low, high = counts[0], counts[-1]
    for low in counts:
        below += law[low]
        if below > TAIL:
            break
    for high in reversed(counts):
        above += law[high]
        if above > TAIL:
            break
    return low, high


class Checks:
    """What was found to be wrong, and the counts that are held against a law."""

    def __init__(self):
        self.faults = []

    def require(self, holds, fault):
        if not holds:
            self.faults.append(fault)

    def count(self, what, seen, chances, may_be_none=False):
        """Holds a count against its law, and says both. None at all is a fault even where it may be chance, unless it may be."""
        law = law_of_count(chances)
        low, high = bounds(law)
        expected = sum(chance * draws for chance, draws in chances.items())
        self.require(low <= seen <= high, f"{what}: {seen}, want {low} to {high}")
        self.require(seen > 0 or may_be_none, f"{what}: none, where {expected:.1f} are expected")
        return f"{seen} ({expected:.1f}; {low} to {high})"


@functools.cache
def elected(samples, draws=20000):
    """{answer: chance} that the vote of so many rollouts elects it: ties to the likelier rollouts, then to the smaller text."""
    paths = answering_model.paths()
    weights, source = [path[0] for path in paths], random.Random(0)
    winners = collections.Counter()
    for _ in range(draws):
        classes = collections.defaultdict(list)
        for probability, _, answer, _ in source.choices(paths, weights, k=samples):
            if answer is not None:
                classes[answer].append(math.log(probability))
        if classes:
            winners[min(classes, key=lambda answer: (-len(classes[answer]), -sum(classes[answer]), answer))] += 1
    return {answer: count / draws for answer, count in winners.items()}


def run(command, nice):
    """Runs a command; its output and the largest resident set of it in bytes."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(command, stdout=out, stderr=errors, stdin=subprocess.DEVNULL, text=True,
                                   preexec_fn=lambda: os.nice(nice))
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        errors.seek(0)
        if process.returncode != 0:
            raise SystemExit(f"[real_problems] {' '.join(map(str, command))}: {errors.read().strip()}")
        return out.read(), usage.ru_maxrss * 1024


def evaluate(name, labels, base, checks, nice):
    """`whet eval` on all problems of a file: its row of the table."""
    samples = SAMPLES[name]
    text, peak = run([*base[:1], "eval", *base[1:], *flags(dict(count=len(labels), samples=samples)), "--json"], nice)
    found = json.loads(text)
    rollouts = len(labels) * samples
    checks.require(found["problems"] == len(labels), f"{name}: {found['problems']} problems measured, want {len(labels)}")
    paths, forms = answering_model.paths(), collections.Counter(map(form_of, labels))
    right, elects = collections.Counter(), collections.Counter()
    for form, problems in forms.items():
        right[sum(path[0] for path in paths if form is not None and path[2] == form)] += problems * samples
        elects[elected(samples).get(form, 0.0)] += problems
    cells = [checks.count(f"{name}: rollouts {what}", round(found[key] * rollouts),
                          {sum(path[0] for path in paths if holds(path)): rollouts})
             for what, key, holds in (("with an answer", "answered", lambda path: path[2] is not None),
                                      ("cut at the limit", "truncated", lambda path: path[3]))]
    cells.append(checks.count(f"{name}: right rollouts", round(found["avg"]["value"] * rollouts), right))
    cells.append(checks.count(f"{name}: right votes", round(found["maj"]["value"] * len(labels)), elects, may_be_none=True))
    return [name, f"{len(labels)} x {samples}", *cells, f"{peak / 2**20:.0f} MiB"]


def read_rollouts(folder, name, label_of, checks, text_of):
    """{(step, prompt): rows} of a run's dumps, each held against its tokens; rows get `kind`, `read` and `right`."""
    groups = collections.defaultdict(list)
    for path in sorted((folder / "rollouts").glob("*.jsonl")):
        for row in read_lines(path):
            where = f"{name}: step {row['step']}: {row['output']!r}"
            is_cut = text_of.get(row["tokens"][-1]) != answering_model.END
            text = "".join(text_of.get(token, "\N{REPLACEMENT CHARACTER}") for token in row["tokens"][:None if is_cut else -1])
            row["kind"], row["read"] = answering_model.read_response(text, is_cut)
            form = form_of(label_of[row["input"]])
            row["right"] = row["read"] is not None and row["read"] == form
            checks.require(row["output"] == text, f"{where}, want the tokens' text {text!r}")
            checks.require(row["truncated"] == is_cut, f"{where}: truncated is {row['truncated']}, want {is_cut}")
            checks.require(len(row["tokens"]) <= LIMIT and (not is_cut or len(row["tokens"]) == LIMIT),
                           f"{where}: {len(row['tokens'])} tokens, want {LIMIT} or an end before")
            checks.require(row["answer"] == row["read"], f"{where}: answer {row['answer']!r}, want {row['read']!r}")
            checks.require(row["true_score"] == row["right"],
                           f"{where}: true score {row['true_score']} on the label {row['gts']!r}, want {row['right']:d}")
            groups[row["step"], row["input"]].append(row)
    return groups


def vote_of(rows):
    """(elected answer or None, its votes)."""
    classes = collections.defaultdict(list)
    for row in rows:
        if row["read"] is not None:
            classes[row["read"]].append(row["logprob"] * len(row["tokens"]))
    if not classes:
        return None, 0
    best = min(classes, key=lambda answer: (-len(classes[answer]), -sum(classes[answer]), answer))
    return best, len(classes[best])


def train(name, reward, label_of, base, checks, text_of, nice, kinds_seen, work=TRAIN):
    """`whet train` on a file: its row of the table."""
    options = flags({**work, "reward": reward, "seed": REWARDS.index(reward)})
    planned = json.loads(run([base[0], "plan", *base[1:], *options, "--json"], nice)[0])["peak_bytes"]
    with tempfile.TemporaryDirectory(prefix="whet-real-") as out:
        folder = pathlib.Path(out) / "run"
        _, peak = run([base[0], "train", *base[1:], *options, "--out", folder], nice)
        what = f"{name}, {reward}"
        groups = read_rollouts(folder, what, label_of, checks, text_of)
        metrics = {row["step"]: row for row in read_lines(folder / "metrics.jsonl")}
    rows = [row for group in groups.values() for row in group]
    wanted = work["steps"] * work["prompts"] * work["samples"]
    checks.require(len(rows) == wanted, f"{what}: {len(rows)} rollouts, want {wanted}")
    checks.require(peak <= MEMORY * planned, f"{what}: peak {peak / 2**20:.0f} MiB, planned {planned / 2**20:.0f} MiB")
    votes = {key: vote_of(group) for key, group in groups.items()}
    for key, group in groups.items():
        for row in group:
            pay = row["right"] if reward == "ground-truth" else row["read"] is not None and row["read"] == votes[key][0]
            checks.require(row["score"] == pay,
                           f"{what}: step {row['step']}: {row['output']!r} is paid {row['score']}, want {pay:d}")
    for step in range(1, work["steps"] + 1):
        chosen = {key: group for key, group in groups.items() if key[0] == step}
        of_step = [row for group in chosen.values() for row in group]
        for metric, value in (
                ("answered", sum(row["read"] is not None for row in of_step) / len(of_step)),
                ("truncated", sum(row["truncated"] for row in of_step) / len(of_step)),
                ("true_reward", sum(row["right"] for row in of_step) / len(of_step)),
                ("majority_ratio", sum(votes[key][1] / len(group) for key, group in chosen.items()) / len(chosen)),
                ("label_accuracy", sum(votes[key][0] is not None and votes[key][0] == form_of(label_of[key[1]])
                                       for key in chosen) / len(chosen))):
            checks.require(abs(metrics[step][metric] - value) < 1e-9,
                           f"{what}: step {step}: {metric} {metrics[step][metric]}, want {value}")
    kinds_seen.update(row["kind"] for row in rows)
    answers = {row["read"] for row in rows} - {None}
    return [name, reward, len(rows), sum(row["read"] is not None for row in rows), sum(row["truncated"] for row in rows),
            f"{len({row['kind'] for row in rows})} / {len(answers)}", sum(row["right"] for row in rows),
            " ".join(f"{answer}:{count}" for answer, count in votes.values()),
            f"{planned / 2**20:.0f} MiB", f"{peak / 2**20:.0f} MiB", f"{planned / peak:.2f}"]


def print_table(titles, rows):
    for row in (titles, ["---"] * len(titles), *rows):
        print("| " + " | ".join(map(str, row)) + " |")
    print(flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=pathlib.Path)
    parser.add_argument("--tokenizer", required=True, type=pathlib.Path)
    parser.add_argument("--whet", default="build/whet")
    parser.add_argument("--files", nargs="+", default=list(SAMPLES), choices=list(SAMPLES))
    parser.add_argument("--model", type=pathlib.Path, help="folder for the model, kept; without, one that is removed at the end")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--nice", type=int, default=0, help="run the program at this niceness")
    options = parser.parse_args()
    checks, kinds_seen = Checks(), set()
    measured, trained = [], []
    model = options.model or pathlib.Path(tempfile.mkdtemp(prefix="whet-real-model-"))
    try:
        parameters = answering_model.write_model(model, options.tokenizer, **SHAPE)
        text_of = answering_model.texts_of(options.tokenizer)
        print(f"{parameters / 1e6:.1f}M parameters, responses of at most {LIMIT} tokens; counts (expected; bounds)\n", flush=True)
        for name in options.files:
            path = options.data / f"{name}.jsonl"
            problems = read_lines(path)
            label_of = {problem["prompt"]: problem["answer"] for problem in problems}
            common = flags(dict(model=model, task="file", chat_template="all", max_new_tokens=LIMIT, threads=options.threads))
            measured.append(evaluate(name, [problem["answer"] for problem in problems],
                                     [options.whet, *common, "--held-out-problems", path], checks, options.nice))
            print("measured", *measured[-1], sep="  ", file=sys.stderr)
            for reward in REWARDS:
                trained.append(train(name, reward, label_of, [options.whet, *common, "--problems", path], checks, text_of,
                                     options.nice, kinds_seen))
                print("trained", *trained[-1], sep="  ", file=sys.stderr)
    finally:
        if not options.model:
            shutil.rmtree(model)
    print_table(["measured", "problems x rollouts", "answered", "cut at the limit", "right", "right votes", "peak"], measured)
    print_table(["trained", "reward", "rollouts", "answered", "cut", "ways / answers", "right", "votes", "planned", "peak",
                 "planned / peak"], trained)
    for kind in answering_model.KINDS:
        checks.require(kind in kinds_seen, f"no trained rollout is '{kind}'")
    for fault in checks.faults:
        print(f"WRONG {fault}")
    print(f"{len(checks.faults)} faults; ways of answering seen in training: {len(kinds_seen)} of {len(answering_model.KINDS)}")
    return 1 if checks.faults else 0


if __name__ == "__main__":
    sys.exit(main())
