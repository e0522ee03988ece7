#!/usr/bin/env python3
"""What ranks base models? Measured over more bases than `whet reproduce F6` has, wrong-minded ones among them (docs/findings/F6.md).

    scripts/judge_ranking.py make  [--runs DIR] [--half making|judging] [--jobs N]
    scripts/judge_ranking.py judge [--runs DIR] [--half making|judging] [--mark 0.6] [--json]
    scripts/judge_ranking.py zoo   [--runs DIR]
    scripts/judge_ranking.py order RUN... [--runs DIR] [--mark 0.6|half-peak] [--json]

`make` trains small bases (hidden size 16, 11 thousand parameters), which 60 steps on labels do not bring to the end of the task,
and runs on the vote and on labels from each. Setting and forecast were chosen on the making half; the judging half has other
pre-trainings and other seeds. `judge` holds against each other, over bases: the gain (ground-truth: mean held-out accuracy of the
last three measurements minus that of step 0; mean over seeds), the Model Collapse Step (majority-vote: first step whose 3-step mean
of reward accuracy lies below the mark; one that never does counts as later than all; median over seeds), and what the base's
rollouts alone say (`whet rank --no-training`, 200 held-out problems x 16). `order` does the same without the gain for
majority-vote runs that are there, such as those of judge_watch.py: runs from one model are its seeds. `zoo` only pre-trains bases:
those of judge_watch.py, of full width, a checkpoint every 100 steps.

Spearman's correlations, 95 % intervals by 2,000 bootstrap draws of bases. What one seed's step says of another's bounds every
forecast: a mean correlation r between seeds makes the median of k of them reliable to k r / (1 + (k - 1) r), and nothing that
knows the base alone is expected to correlate with it by more than the root of that.
"""
import argparse
import concurrent.futures
import itertools
import json
import pathlib
import random
import statistics
import subprocess
import tomllib

import judge_watch

ROOT = pathlib.Path(__file__).resolve().parent.parent
WHET = ROOT / "build/whet"
SHAPE = {"hidden-size": 16, "heads": 1, "key-value-heads": 1, "intermediate-size": 44}
RATE, VOTE_STEPS, LABEL_STEPS = "5e-4", 150, 60
FORECASTS = ("majority_right", "pass", "avg")

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
    return [row[key] for row in map(json.loads, (run / "metrics.jsonl").read_text().splitlines()) if key in row]


def collapse_step(run, mark):
    """The first step below the mark, one more than there are without; and the tokens until then: summed mean lengths, as every step
    has as many rollouts."""
    accuracy, lengths, peak = column(run, "reward_accuracy"), column(run, "length"), 0
    for i in range(2, len(accuracy)):
        mean = sum(accuracy[i - 2:i + 1]) / 3
        peak = max(peak, mean)
        if mean < (peak / 2 if mark == "half-peak" else float(mark)):
            return i + 1, sum(lengths[:i + 1])
    return len(accuracy) + 1, sum(lengths)


def profiles(runs, models):
    """What `whet rank --no-training` says of each model; asked once."""
    path = runs / "profiles.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    missing = [model for model in models if model not in known]
    if missing:
        # whet rank takes any number of models but one.
        line = [str(WHET), "rank", *(missing if len(missing) > 1 else models[:2]), "--task", "sort", "--no-training", "--json",
                "--threads", "1"]
        told = json.loads(subprocess.run(line, capture_output=True, text=True, check=True).stdout)
        known.update({row["model"]: row["profile"] for row in told["models"]})
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
    try:
        return statistics.correlation(ranks(x), ranks(y))
    except statistics.StatisticsError:
        return None


def correlation(rows, x, y):
    """Value, low and high; nothing where one side does not vary."""
    value, source, draws = spearman([row[x] for row in rows], [row[y] for row in rows]), random.Random(0), []
    for _ in range(2000):
        drawn = [source.choice(rows) for _ in rows]
        draws.append(spearman([row[x] for row in drawn], [row[y] for row in drawn]))
    draws = sorted(draw for draw in draws if draw is not None)
    return None if value is None else [value, draws[len(draws) // 40], draws[-1 - len(draws) // 40]]


def reliability(rows):
    """Mean correlation of one seed's step with another's, over bases that have both; and of how many bases."""
    many = [row["steps"] for row in rows if len(row["steps"]) > 1]
    seeds = min(map(len, many), default=0)
    pairs = [spearman([steps[a] for steps in many], [steps[b] for steps in many])
             for a, b in itertools.combinations(range(seeds), 2)] if len(many) > 2 else []
    pairs = [pair for pair in pairs if pair is not None]
    return {"between_seeds": statistics.mean(pairs) if pairs else None, "bases": len(many), "seeds": seeds}


def row_of(base, wrong_minded, profile, votes, labels, mark):
    steps = [collapse_step(run, mark) for run in votes]
    row = {"base": base, "wrong_minded": wrong_minded, "steps": [step for step, _ in steps], "last": len(column(votes[0], "length")),
           "mcs": statistics.median(step for step, _ in steps), **{key: profile[key]["value"] for key in FORECASTS}}
    if labels:
        accuracy = [column(run, "heldout_accuracy") for run in labels]
        row["gain"] = statistics.mean(statistics.mean(series[-3:]) - series[0] for series in accuracy)
        tokens = statistics.mean(sum(column(run, "length")) for run in labels)
        row["cost"] = statistics.mean(spent for _, spent in steps) / tokens
    return row


def judged_half(half, runs, mark):
    right, wrong = bases(half)
    _, _, vote_seeds, label_seeds = HALVES[half]
    models = {base: str(checkpoint(runs, base)) for base in right + wrong}
    known = profiles(runs, [*models.values()])
    return [row_of(base, base in wrong, known[model], [run_folder(runs, base, "majority-vote", seed) for seed in vote_seeds],
                   [run_folder(runs, base, "ground-truth", seed) for seed in label_seeds], mark) for base, model in models.items()]


def judged_runs(folders, runs, mark):
    by_model = {}
    for folder in sorted(folders):
        by_model.setdefault(tomllib.loads((folder / "config.toml").read_text())["model"], []).append(folder)
    runs.mkdir(parents=True, exist_ok=True)
    known = profiles(runs, [*by_model])
    # A name such as w11 says the mixture: `wrong`.
    wrong = {model: any(part[0] == "w" and part[1:].isdigit() for part in pathlib.Path(model).parts) for model in by_model}
    return [row_of(model, wrong[model], known[model], votes, [], mark) for model, votes in by_model.items()]


def judgement(rows):
    groups = {"all bases": rows, "right-minded bases": [row for row in rows if not row["wrong_minded"]]}
    outcomes = [key for key in ("mcs", "gain") if key in rows[0]]
    return {"rows": rows, "groups": {name: {
        "bases": len(group), "reliability": reliability(group),
        **{outcome: {key: correlation(group, key, outcome) for key in ("mcs", *FORECASTS) if key != outcome} for outcome in outcomes}}
        for name, group in groups.items()}}


def print_judgement(told):
    print("| base | avg | pass@8 | majority right | MCS of each seed | gain with labels | cost, of a run on labels |")
    print("|---|---|---|---|---|---|---|")
    for row in sorted(told["rows"], key=lambda row: (row["wrong_minded"], row["mcs"], row["majority_right"])):
        steps = ", ".join(f"> {row['last']}" if step > row["last"] else str(step) for step in sorted(row["steps"]))
        gained = f"{row['gain']:+.3f} | {row['cost']:.2f}" if "gain" in row else "- | -"
        print(f"| {row['base']} | {row['avg']:.3f} | {row['pass']:.3f} | {row['majority_right']:.3f} "
              f"| {steps} | {gained} |")
    text = lambda found: "undefined" if found is None else "{:+.2f} [{:+.2f}, {:+.2f}]".format(*found)
    for name, group in told["groups"].items():
        found = group["reliability"]
        between = found["between_seeds"]
        print(f"\n{group['bases']} {name}; between seeds' steps {'-' if between is None else format(between, '+.2f')} "
              f"({found['seeds']} seeds of {found['bases']} bases)\n\n| | with the MCS | with the gain |\n|---|---|---|")
        for key in ("mcs", *FORECASTS):
            print(f"| {key} | {text(group['mcs'].get(key)) if key != 'mcs' else ''} "
                  f"| {text(group['gain'][key]) if 'gain' in group else '-'} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=["make", "judge", "zoo", "order"])
    parser.add_argument("folders", nargs="*", type=pathlib.Path, metavar="RUN", help="of order: majority-vote runs")
    parser.add_argument("--runs", type=pathlib.Path, default=pathlib.Path("runs/ranking"))
    parser.add_argument("--half", choices=[*HALVES], default="judging")
    parser.add_argument("--mark", default="0.6", help="collapsed is: reward accuracy below this, or half-peak")
    parser.add_argument("--jobs", type=int, default=2, help="runs side by side, a thread each")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if bool(options.folders) != (options.action == "order"):
        parser.error("order takes runs, the others take none")
    if options.action == "make":
        options.runs.mkdir(parents=True, exist_ok=True)
        make(options.half, options.runs, options.jobs)
        return
    if options.action == "zoo":
        for base, (mixture, _) in judge_watch.BASES.items():
            if mixture != "verify":
                judge_watch.folder_of(f"{base}@2500", options.runs)
        return
    rows = (judged_runs(options.folders, options.runs, options.mark) if options.folders
            else judged_half(options.half, options.runs, options.mark))
    told = judgement(rows)
    if options.json:
        print(json.dumps(told))
    else:
        print_judgement(told)


if __name__ == "__main__":
    main()
