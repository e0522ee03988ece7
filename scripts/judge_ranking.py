#!/usr/bin/env python3
"""Does the Model Collapse Step rank base models as the gain of supervised training does, and better than pass@k? (finding 6)

    scripts/judge_ranking.py make  [--runs DIR] [--half making|judging] [--jobs N]
    scripts/judge_ranking.py judge [--runs DIR] [--half making|judging] [--json]

Small bases (hidden size 16, 11 thousand parameters), which 60 steps on labels do not bring to the end of the task, so that the gain
is limited by what the base can do. Setting, statistic and criteria stand below and were chosen on the making half (one
pre-training); the judging half has other pre-trainings and other seeds, and was run afterwards.

Statistic, over bases: Spearman's correlation of the gain (ground-truth: mean held-out accuracy of the last three measurements minus
that of step 0; mean over seeds) with the Model Collapse Step (majority-vote: first step whose 3-step mean of reward accuracy lies
below 60 %; one that never does counts as later than all; median over seeds), and with pass@8 (200 held-out problems x 16
rollouts). Intervals: 95 %, 2,000 bootstrap draws of bases, the same for both.

Criteria, on the right-minded bases (mixture s):
  ranks     the interval of the MCS's correlation lies above 0
  better    the interval of its difference to pass@8's lies above 0
  cheaper   up to its mark a majority-vote run takes at most half of the training tokens of a run on labels (mean over bases)
All three: reproduced. `ranks` alone: in part. The bases that are confident in a wrong rule are judged together with the others, as a
second table: nothing is claimed of them.
"""
import argparse
import concurrent.futures
import json
import pathlib
import random
import statistics
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent
WHET = ROOT / "build/whet"
SHAPE = {"hidden-size": 16, "heads": 1, "key-value-heads": 1, "intermediate-size": 44}
RATE, THRESHOLD, VOTE_STEPS, LABEL_STEPS = "5e-4", 0.6, 150, 60

# name: mixture, seed of the pre-training
PRETRAININGS = {"s11": ("s", 11), "s12": ("s", 12), "s13": ("s", 13), "w11": ("wrong", 11), "w12": ("wrong", 12)}
STEPS = (250, 500, 750, 1000, 1500, 2000, 2500)
WRONG_STEPS = (500, 1000, 1500, 2500)
# half: right-minded pre-trainings, wrong-minded ones, seeds of majority-vote, seeds of ground-truth
HALVES = {"making": (("s11",), ("w11",), (0, 1, 2), (1,)), "judging": (("s12", "s13"), ("w12",), (3, 4, 5), (3, 4))}


def bases(half):
    right, wrong, _, _ = HALVES[half]
    return [f"{name}@{step}" for name in right for step in STEPS], [f"{name}@{step}" for name in wrong for step in WRONG_STEPS]


def command(verb, options):
    return [str(WHET), verb, *(str(part) for key, value in options.items() for part in (f"--{key}", value))]


def pretraining(runs, name):
    mixture, seed = PRETRAININGS[name]
    return command("pretrain", {"task": "sort", "mixture": mixture, "seed": seed, **SHAPE, "checkpoint-every": 250,
                                "keep-checkpoints": 10, "eval-problems": 20, "threads": 1, "out": runs / "bases" / name})


def checkpoint(runs, base):
    name, step = base.split("@")
    return runs / "bases" / name / f"checkpoints/step-{int(step):06}"


def run_folder(runs, base, reward, seed):
    return runs / f"{base.replace('@', '-')}_{reward}_{seed}"


def training(runs, base, reward, seed):
    steps = VOTE_STEPS if reward == "majority-vote" else LABEL_STEPS
    measured = {"eval-every": 50, "eval-problems": 20} if reward == "majority-vote" else {"eval-every": 5, "eval-problems": 200}
    return command("train", {"model": checkpoint(runs, base), "task": "sort", "reward": reward, "learning-rate": RATE, "seed": seed,
                             "steps": steps, **measured, "checkpoint-every": 1000, "keep-checkpoints": 1, "rollouts-every": 0,
                             "threads": 1, "out": run_folder(runs, base, reward, seed)})


def make(half, runs, jobs):
    right, wrong, vote_seeds, label_seeds = HALVES[half]
    first = [(pretraining(runs, name), runs / "bases" / name) for name in right + wrong]
    second = [(training(runs, base, reward, seed), run_folder(runs, base, reward, seed))
              for base in sum(bases(half), []) for reward, seeds in (("majority-vote", vote_seeds), ("ground-truth", label_seeds))
              for seed in seeds]
    for batch in (first, second):
        todo = [line for line, folder in batch if not (folder / "summary.json").exists()]
        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            for line, done in zip(todo, pool.map(lambda line: subprocess.run(line, capture_output=True, text=True), todo)):
                if done.returncode != 0:
                    raise SystemExit(f"{' '.join(line)}\n{done.stderr}")
                print(line[-1], flush=True)


def column(run, key):
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [row[key] for row in rows if key in row]


def collapse_step(run):
    """The first step below the threshold, VOTE_STEPS + 1 when there is none, and the tokens until then: summed mean lengths, as every
    step has as many rollouts."""
    accuracy, lengths = column(run, "reward_accuracy"), column(run, "length")
    for i in range(2, len(accuracy)):
        if sum(accuracy[i - 2:i + 1]) / 3 < THRESHOLD:
            return i + 1, sum(lengths[:i + 1])
    return VOTE_STEPS + 1, sum(lengths)


def profiles(runs, names):
    """pass@8 and the share of right majorities, by base; measured once."""
    path = runs / "profiles.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    missing = [name for name in names if name not in known]
    # whet rank names models apart by their paths, and takes any number but one.
    if missing:
        line = [str(WHET), "rank", *(str(checkpoint(runs, name)) for name in missing), "--task", "sort", "--no-training", "--json",
                "--threads", "1"]
        told = json.loads(subprocess.run(line, capture_output=True, text=True, check=True).stdout)
        for row in told["models"]:
            name = next(name for name in missing if str(checkpoint(runs, name)) == row["model"])
            known[name] = row["profile"]
        path.write_text(json.dumps(known))
    return known


def ranks(values):
    order = sorted(range(len(values)), key=values.__getitem__)
    result, begin = [0.0] * len(values), 0
    while begin < len(order):
        end = begin
        while end < len(order) and values[order[end]] == values[order[begin]]:
            end += 1
        for i in range(begin, end):
            result[order[i]] = (begin + 1 + end) / 2
        begin = end
    return result


def spearman(x, y):
    a, b = ranks(x), ranks(y)
    try:
        return statistics.correlation(a, b)
    except statistics.StatisticsError:
        return None


def correlations(rows, predictors):
    """Each predictor's correlation with the gain, and its difference to pass@8's, with intervals."""
    random_source, draws = random.Random(0), []
    for _ in range(2000):
        drawn = [random_source.choice(rows) for _ in rows]
        gain = [row["gain"] for row in drawn]
        draws.append({key: spearman([row[key] for row in drawn], gain) for key in predictors})

    def interval(values):
        values = sorted(value for value in values if value is not None)
        return [values[len(values) // 40], values[-1 - len(values) // 40]]

    gain, result = [row["gain"] for row in rows], {}
    for key in predictors:
        result[key] = {"rho": spearman([row[key] for row in rows], gain), "interval": interval(draw[key] for draw in draws)}
    for key in predictors:
        both = [draw[key] - draw["pass"] for draw in draws if draw[key] is not None and draw["pass"] is not None]
        result[key]["minus_pass"] = result[key]["rho"] - result["pass"]["rho"]
        result[key]["minus_pass_interval"] = interval(both)
    return result


def judge(half, runs):
    right, wrong = bases(half)
    _, _, vote_seeds, label_seeds = HALVES[half]
    known = profiles(runs, right + wrong)
    rows = []
    for base in right + wrong:
        gains, tokens = [], []
        for seed in label_seeds:
            run = run_folder(runs, base, "ground-truth", seed)
            accuracy = column(run, "heldout_accuracy")
            gains.append(statistics.mean(accuracy[-3:]) - accuracy[0])
            tokens.append(sum(column(run, "length")))
        votes = [collapse_step(run_folder(runs, base, "majority-vote", seed)) for seed in vote_seeds]
        rows.append({"base": base, "right_minded": base in right, "avg": known[base]["avg"]["value"],
                     "pass": known[base]["pass"]["value"], "majority_right": known[base]["majority_right"]["value"],
                     "steps": sorted(step for step, _ in votes), "mcs": statistics.median(step for step, _ in votes),
                     "gain": statistics.mean(gains), "gains": gains,
                     "cost": statistics.mean(spent for _, spent in votes) / statistics.mean(tokens)})
    predictors = ("mcs", "pass", "majority_right", "avg")
    minded = [row for row in rows if row["right_minded"]]
    strength = correlations(minded, predictors)
    cost = statistics.mean(row["cost"] for row in minded)
    verdicts = {"ranks": strength["mcs"]["interval"][0] > 0, "better": strength["mcs"]["minus_pass_interval"][0] > 0,
                "cheaper": cost <= 0.5}
    return {"rows": rows, "right_minded": strength, "all": correlations(rows, predictors), "cost": cost, "criteria": verdicts}


def print_judgement(told):
    print("| base | avg | pass@8 | majority right | MCS, three seeds | gain with labels | tokens of an MCS run / of a run on labels |")
    print("|---|---|---|---|---|---|---|")
    for row in sorted(told["rows"], key=lambda row: (not row["right_minded"], row["mcs"], row["majority_right"])):
        steps = ", ".join(f"> {VOTE_STEPS}" if step > VOTE_STEPS else str(step) for step in row["steps"])
        print(f"| {row['base']} | {row['avg']:.3f} | {row['pass']:.3f} | {row['majority_right']:.3f} | {steps} | {row['gain']:+.3f} "
              f"| {row['cost']:.2f} |")
    for name, title in (("right_minded", "right-minded bases"), ("all", "all bases")):
        print(f"\n| {title}: with the gain | Spearman | minus that of pass@8 |\n|---|---|---|")
        for key, row in told[name].items():
            low, high = row["interval"]
            print(f"| {key} | {row['rho']:.2f} [{low:.2f}, {high:.2f}] | {row['minus_pass']:+.2f} "
                  f"[{row['minus_pass_interval'][0]:+.2f}, {row['minus_pass_interval'][1]:+.2f}] |")
    print(f"\ncost: {told['cost']:.2f} of a run on labels; " +
          ", ".join(f"{name}: {'yes' if holds else 'no'}" for name, holds in told["criteria"].items()))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=["make", "judge"])
    parser.add_argument("--runs", type=pathlib.Path, default=pathlib.Path("runs/ranking"))
    parser.add_argument("--half", choices=[*HALVES], default="judging")
    parser.add_argument("--jobs", type=int, default=2, help="runs side by side, a thread each")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.action == "make":
        options.runs.mkdir(parents=True, exist_ok=True)
        make(options.half, options.runs, options.jobs)
        return
    told = judge(options.half, options.runs)
    if options.json:
        print(json.dumps(told))
    else:
        print_judgement(told)


if __name__ == "__main__":
    main()
