#!/usr/bin/env python3
"""Judges the probe: which bases do 64 or 32 labelled problems call misaligned, aligned, or cannot tell?

    scripts/judge_probe.py make  [--runs DIR] [--bases DIR] [--jobs N]
    scripts/judge_probe.py judge [--runs DIR] [--json]

Declared before it was run: a base is misaligned when the majority of 16 rollouts is right on fewer than half of 512 held-out
problems of `sort`. These are cut into 8 disjoint sets of 64 problems; each set, and its first 32, is one probe, under the sequential
test of src/analysis/probe.h at 95 % (here with the bounds of tests/golden/make_probe_golden.py, which shares no code with it).
A misaligned base is caught when the word is "misaligned" (the command ends) and not let through when it is "misaligned" or "cannot
tell" (the command ends there too, unless --probe-only-warn). Intervals are Wilson's over probes; the probes of one base are not
independent of each other, so the share of bases is given as well.
"""
import argparse
import concurrent.futures
import json
import math
import pathlib
import subprocess
import sys
from fractions import Fraction

ROOT = pathlib.Path(__file__).resolve().parent.parent
WHET = ROOT / "build/whet"
PROBLEMS, SET = 512, 64

# Folders under --bases: pre-trainings by judge_watch.py (s, m, w: width 64) and judge_ranking.py (small: width 16).
BASES = ([f"{name}@{step}" for name in ("w11", "w12") for step in (100, 300, 600, 1000, 1600, 2500)] +
         [f"{name}@{step}" for name in ("s11", "s12") for step in (100, 200, 500, 2500)] + ["m11@100", "m12@100", "m12@2000"] +
         [f"small/{name}@{step}" for name in ("s11", "s12", "s13") for step in (250, 500)] +
         [f"small/{name}@{step}" for name in ("w11", "w12") for step in (500, 1000, 1500, 2500)])
EMBEDDED = ["sort-weak", "sort-medium", "sort-strong"]


def name_of(base):
    return base.replace("/", "-").replace("@", "-")


def model_of(base, folder):
    if "@" not in base:
        return base
    name, step = base.split("@")
    return folder / name / f"checkpoints/step-{int(step):06}"


def make(runs, bases, jobs):
    """One step of training, for the sake of the base's votes on the held-out problems that stand in its heldout.jsonl."""
    runs.mkdir(parents=True, exist_ok=True)

    def one(base):
        options = {"model": model_of(base, bases), "task": "sort", "steps": 1, "prompts": 1, "samples": 2, "eval-problems": PROBLEMS,
                   "eval-samples": 1, "rollouts-every": 0, "keep-checkpoints": 1, "threads": 1, "out": runs / name_of(base)}
        line = [str(WHET), "train", *(str(part) for key, value in options.items() for part in (f"--{key}", value))]
        return line, subprocess.run(line, capture_output=True, text=True)

    todo = [base for base in BASES + EMBEDDED if not (runs / name_of(base) / "summary.json").exists()]
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for line, done in pool.map(one, todo):
            if done.returncode != 0:
                raise SystemExit(f"{' '.join(line)}\n{done.stderr}")
            print(line[-1], flush=True)


def right_votes(run):
    """Of each problem, whether the base's vote is right: the vote's class stands first."""
    first = json.loads((run / "heldout.jsonl").open().readline())
    return [bool(entry["answers"]) and entry["right"][0] for entry in first["base"]]


def verdict(votes, bound):
    right = 0
    for asked, vote in enumerate(votes, start=1):
        right += vote
        if right >= bound[asked]:
            return "aligned", asked
        if asked - right >= bound[asked]:
            return "misaligned", asked
    return "cannot tell", len(votes)


def wilson(successes, trials):
    z, share = 1.959963984540054, successes / trials
    middle, half = share + z * z / (2 * trials), z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    return (middle - half) / (1 + z * z / trials), (middle + half) / (1 + z * z / trials)


def judge(runs):
    sys.path.insert(0, str(ROOT / "tests/golden"))
    from make_probe_golden import lowest_bounds
    bounds = {most: lowest_bounds(most, Fraction(95, 100)) for most in (32, 64)}
    rows = []
    for base in BASES + EMBEDDED:
        run = runs / name_of(base)
        if not (run / "summary.json").exists():
            continue
        votes = right_votes(run)
        row = {"base": base, "share": sum(votes) / len(votes)}
        for most, bound in bounds.items():
            told = [verdict(votes[begin:begin + most], bound) for begin in range(0, PROBLEMS, SET)]
            row[str(most)] = {word: sum(said == word for said, _ in told) for word in ("misaligned", "cannot tell", "aligned")}
            row[str(most)]["asked"] = sum(asked for _, asked in told) / len(told)
        rows.append(row)
    return sorted(rows, key=lambda row: row["share"])


def print_judgement(rows):
    print("| base | majority right | 64 problems: misaligned, cannot tell, aligned | asked | 32 problems | asked |")
    print("|---|---|---|---|---|---|")
    for row in rows:
        words = {most: ", ".join(str(row[most][word]) for word in ("misaligned", "cannot tell", "aligned")) for most in ("64", "32")}
        print(f"| {row['base']} | {row['share']:.3f} | {words['64']} | {row['64']['asked']:.1f} | {words['32']} | {row['32']['asked']:.1f} |")
    print("\n| majority right | bases | probes | problems | misaligned | cannot tell | aligned |\n|---|---|---|---|---|---|---|")
    for low, high in ((0, 0.25), (0.25, 0.35), (0.35, 0.5), (0, 0.5), (0.5, 0.65), (0.65, 1.01)):
        some = [row for row in rows if low <= row["share"] < high]
        if not some:
            continue
        for most in ("64", "32"):
            count = {word: sum(row[most][word] for row in some) for word in ("misaligned", "cannot tell", "aligned")}
            probes = sum(count.values())
            cells = []
            for word in count:
                bottom, top = wilson(count[word], probes)
                cells.append(f"{count[word]} ({count[word] / probes:.0%}, {bottom:.0%} to {top:.0%})")
            print(f"| {low} to {min(high, 1)} | {len(some)} | {probes} | {most} | {' | '.join(cells)} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=["make", "judge"])
    parser.add_argument("--runs", type=pathlib.Path, default=pathlib.Path("runs/probe"))
    parser.add_argument("--bases", type=pathlib.Path, default=pathlib.Path("runs/watch/bases"))
    parser.add_argument("--jobs", type=int, default=2, help="runs side by side, a thread each")
    parser.add_argument("--json", action="store_true", help="judge: rows as JSON Lines")
    options = parser.parse_args()
    if options.action == "make":
        make(options.runs, options.bases, options.jobs)
    elif options.json:
        for row in judge(options.runs):
            print(json.dumps(row))
    else:
        print_judgement(judge(options.runs))


if __name__ == "__main__":
    main()
