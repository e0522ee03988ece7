#!/usr/bin/env python3
"""Rows a second of `whet score`, from dump to scored rows, on one core.

    python3 bench/score_bench.py [--rows 400000] [--whet build/whet]

Each dump is made here and scored three times; the best counts. Processor time is given beside wall time: on a busy
machine only the former means something. Python's json alone, on the same file and core, reading each row and writing it
back, is the yardstick.
"""
import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

GROUP, PROBLEMS_A_STEP = 16, 64


def answers(rng):
    """A problem's right answer and what its rollouts say: mostly that, else one of a few others, or nothing."""
    right = rng.choice([rng.randint(1, 9999), f"\\frac{{{rng.randint(1, 9)}}}{{{rng.randint(2, 9)}}}"])
    wrong = [rng.randint(1, 9999) for _ in range(5)]
    said = [right if rng.random() < 0.6 else rng.choice(wrong) if rng.random() < 0.9 else None for _ in range(GROUP)]
    return str(right), said


def rows_of(kind, count, rng):
    filler = "We first note that the expression can be rewritten, and then look at each of the two cases. " * 50
    for problem in range(count // GROUP):
        step = 1 + problem // PROBLEMS_A_STEP
        right, said = answers(rng)
        prompt = f"user\nWhat is the value of expression {problem}? Put the answer in a box.\nassistant\n"
        for answer in said:
            end = "I cannot tell." if answer is None else f"The answer is \\boxed{{{answer}}}."
            row = {"input": prompt, "output": end, "gts": right, "score": 1.0, "step": step, "acc": True}
            if kind == "reasoning":
                row["output"] = filler[: rng.randint(1000, 4000)] + end
            if kind == "token lists":
                n = rng.randint(50, 150)
                row["logprobs"] = [-rng.random() for _ in range(n)]
                row["entropy"] = [rng.random() for _ in range(n)]
            yield row


def best_of(command, pin):
    best = None
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        start = time.monotonic()
        subprocess.run([*pin, *command], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wall = time.monotonic() - start
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        best = min(best, (cpu, wall)) if best else (cpu, wall)
    return best


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=400_000)
    parser.add_argument("--whet", default="build/whet")
    arguments = parser.parse_args()
    pin = ["taskset", "-c", str(min(os.sched_getaffinity(0)))]
    python = ("import sys, json\n"
              "for line in open(sys.argv[1]): sys.stdout.write(json.dumps(json.loads(line)) + '\\n')")
    print(f"{'dump':34}{'rows':>9}{'MB':>7}{'cpu s':>8}{'wall s':>8}{'rows/s':>10}{'MB/s':>7}   "
          "rows/s of Python's json alone")
    with tempfile.TemporaryDirectory() as folder:
        for kind, share, reward in (("short answers", 1, "majority-vote"), ("reasoning", 8, "majority-vote"),
                                    ("token lists", 16, "token-entropy")):
            path = Path(folder) / "dump.jsonl"
            count = arguments.rows // share // GROUP * GROUP
            with open(path, "w") as file:
                for row in rows_of(kind, count, random.Random(1)):
                    file.write(json.dumps(row) + "\n")
            size = path.stat().st_size / 1e6
            cpu, wall = best_of([arguments.whet, "score", str(path), "--reward", reward], pin)
            peer, _ = best_of([sys.executable, "-c", python, str(path)], pin)
            print(f"{kind + ', ' + reward:34}{count:9}{size:7.0f}{cpu:8.2f}{wall:8.2f}{count / cpu:10.0f}"
                  f"{size / cpu:7.0f}   {count / peer:.0f}")


if __name__ == "__main__":
    main()
