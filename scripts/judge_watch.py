#!/usr/bin/env python3
"""Judges the label-free watch: makes runs on which it was chosen and others on which it is judged, and compares.

    scripts/judge_watch.py make  [--runs DIR] [--split making|judging|both|average-making|average-judging|average-confirming]
    scripts/judge_watch.py judge [--runs DIR] [--split ...] [--exact] [--json]
    scripts/judge_watch.py judge --findings DIR [--json]

The split stands below and was written before any run of the judging half was looked at: other base models (pre-trained
with another seed, and the embedded ones), other seeds, more settings. Every run goes on to its end; the watch is asked
afterwards, through `whet watch`, what it would have done. It sees 100 held-out problems; accuracy is measured on 200 others
(avg@4). `make` takes about 25 s a run on one core and may be run several times at once: a run that is begun is left alone.

`--findings DIR` judges instead the runs that `whet reproduce --out DIR` has made, on which nothing of the watch was chosen.

The peak is the highest of some forty noisy measurements, and so lies above the truth. Where a run has heldout.jsonl, what the
kept checkpoint is worth is therefore also told without that bias: the peak is looked for on one half of the held-out problems and
measured, like the kept checkpoint, on the other half, then the other way round ("of the fair peak"). Where a run has an average to
keep (its summary.json says so), that is what is judged.

The average-* splits are those of the average of weights (--average-kept): shorter runs that leave a checkpoint at every measurement.
With --exact all of these near the peak and the kept model are measured on 600 other problems x 8 responses, drawn twice: the peak is
looked for among one drawing and measured by the other.
"""
import argparse
import json
import pathlib
import subprocess
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent
WHET = ROOT / "build/whet"
STEPS = 200

# name: mixture, seed of the pre-training. BASE@STEP is a checkpoint of it.
BASES = {"s11": ("s", 11), "m11": ("m", 11), "w11": ("wrong", 11), "v11": ("verify", 11),
         "s12": ("s", 12), "m12": ("m", 12), "w12": ("wrong", 12), "v12": ("verify", 12),
         "s13": ("s", 13), "m13": ("m", 13)}


def making():
    for base in ("s11@2500", "m11@2000", "s11@1200"):
        for reward in ("majority-vote", "ground-truth", "trajectory-entropy", "probability", "semantic-entropy"):
            yield base, reward, "3.5e-4", 0, {}
    for base in ("s11@2500", "m11@2000"):
        yield base, "token-entropy", "5e-5", 0, {}
        yield base, "self-certainty", "5e-5", 0, {}
        yield base, "majority-vote", "5e-4", 0, {}
        yield base, "ground-truth", "2.5e-4", 1, {}
        yield base, "majority-vote", "2.5e-4", 1, {}
    yield "v11@2500", "self-verification", "3.5e-4", 0, {}
    yield "w11@2500", "majority-vote", "3.5e-4", 0, {}
    yield "w11@2500", "ground-truth", "3.5e-4", 0, {}


def judging():
    bases = ("s12@2500", "m12@2000", "sort-strong", "s12@1600", "sort-ask")
    for base in bases:
        for reward in ("majority-vote", "ground-truth"):
            for seed in (0, 1):
                yield base, reward, "3.5e-4", seed, {}
        for reward in ("trajectory-entropy", "probability", "semantic-entropy"):
            yield base, reward, "3.5e-4", 0, {}
        for reward in ("majority-vote", "trajectory-entropy", "ground-truth"):
            yield base, reward, "2.5e-4", 2, {}
        yield base, "majority-vote", "5e-4", 3, {}
    for base in bases[:3]:
        yield base, "token-entropy", "5e-5", 0, {}
        yield base, "self-certainty", "5e-5", 0, {}
    for base in bases[:2]:
        for extra in ({"samples": 16}, {"temperature": 0.8}, {"kl-coefficient": 0.005}):
            yield base, "majority-vote", "3.5e-4", 4, extra
    for seed in (0, 1):
        yield "v12@2500", "self-verification", "3.5e-4", seed, {}
        yield "v12@2500", "self-verification", "3.5e-4", seed, {"verifier": "base"}
    for reward in ("majority-vote", "trajectory-entropy", "ground-truth"):
        yield "w12@2500", reward, "3.5e-4", 0, {}
    for reward in ("majority-vote", "ground-truth"):
        yield "sort-weak", reward, "3.5e-4", 0, {}


# Of the average of weights: steps in which most runs of this reward have had their peak and fallen, of the making and the judging half.
LENGTHS = {"majority-vote": (125, 110), "trajectory-entropy": (150, 125), "probability": (125, 110), "semantic-entropy": (125, 110),
           "token-entropy": (70, 65), "self-certainty": (45, 45), "self-verification": (60, 60)}


def average_making():
    for base in ("s11@2500", "m11@2000"):
        for reward in ("majority-vote", "trajectory-entropy", "probability", "semantic-entropy"):
            yield base, reward, "3.5e-4", 5, {}
    for reward in ("majority-vote", "trajectory-entropy"):
        yield "s11@1200", reward, "3.5e-4", 5, {}
    yield "m11@2000", "token-entropy", "5e-5", 5, {}
    yield "s11@2500", "self-certainty", "5e-5", 5, {}
    yield "m11@2000", "majority-vote", "2.5e-4", 6, {}
    yield "s11@2500", "majority-vote", "3.5e-4", 9, {"temperature": 0.6}


def average_others(bases, seeds):
    """What the average is judged on; `seeds`: of the runs at the usual rate, at a slow one, and at lower temperatures."""
    usual, slow, cool = seeds
    for base in bases:
        for reward in ("majority-vote", "trajectory-entropy", "probability", "semantic-entropy"):
            yield base, reward, "3.5e-4", usual, {}
    for base in bases[:3]:
        for reward in ("token-entropy", "self-certainty"):
            yield base, reward, "5e-5", usual, {}
    for base in bases[:4]:
        yield base, "majority-vote", "2.5e-4", slow, {}
    for base in bases[:2]:
        for temperature in (0.6, 0.8):
            yield base, "majority-vote", "3.5e-4", cool, {"temperature": temperature}


def average_judging():
    yield from average_others(("s12@2500", "m12@2000", "sort-strong", "s12@1600", "sort-ask"), (7, 8, 10))


def average_confirming():
    """More runs, on bases of a third pre-training, listed when those of average_judging had been judged."""
    yield from average_others(("s13@2500", "m13@2000", "sort-medium", "s13@1600"), (11, 12, 13))
    yield "v12@2500", "self-verification", "3.5e-4", 11, {}
    yield "v12@2500", "self-verification", "3.5e-4", 11, {"verifier": "base"}


SPLITS = {"making": making, "judging": judging, "average-making": average_making, "average-judging": average_judging,
          "average-confirming": average_confirming}
# Their majority is mostly wrong, or nearly so: no label-free signal can help there, and the goal leaves them out.
MISALIGNED = ("w11@2500", "w12@2500", "sort-weak")


def name_of(base, reward, rate, seed, extra):
    return "_".join([base.replace("@", "-"), reward, rate, str(seed), *(f"{key}{value}" for key, value in extra.items())])


def folder_of(base, runs):
    if "@" not in base:
        return base
    name, step = base.split("@")
    mixture, seed = BASES[name]
    run = runs / "bases" / name
    if not (run / "summary.json").exists():
        begun = (run / "manifest.json").exists()
        start = ["--resume", run] if begun else ["--task", "sort", "--mixture", mixture, "--seed", seed, "--threads", 1,
                                                 "--checkpoint-every", 100, "--keep-checkpoints", 30, "--out", run]
        subprocess.run([WHET, "pretrain", *map(str, start)], check=True)
    return run / f"checkpoints/step-{int(step):06}"


def make(split, runs):
    (runs / split).mkdir(parents=True, exist_ok=True)
    for base, reward, rate, seed, extra in SPLITS[split]():
        out = runs / split / name_of(base, reward, rate, seed, extra)
        if out.exists():
            continue
        options = {"model": folder_of(base, runs), "task": "sort", "reward": reward, "learning-rate": rate, "seed": seed,
                   "steps": STEPS, "eval-problems": 200, "watch-problems": 100, "checkpoint-every": 1000,
                   "keep-checkpoints": 1, "rollouts-every": 0, "threads": 1, "out": out, **extra}
        if split.startswith("average"):
            slow, hasty = rate == "2.5e-4", "temperature" in extra
            options |= {"checkpoint-every": 5, "keep-checkpoints": 100,
                        "steps": 150 if slow else 50 if hasty else LENGTHS[reward][split != "average-making"]}
        subprocess.run([WHET, "train", *(str(part) for key, value in options.items() for part in (f"--{key}", value))],
                       check=True)


def accuracies(run):
    points = {}
    for line in (run / "metrics.jsonl").read_text().splitlines():
        row = json.loads(line)
        if "heldout_accuracy" in row:
            points[row["step"]] = row["heldout_accuracy"]
    return points


def verdict(run):
    """What the watch would have done: whet watch's exit code is 3 on collapse."""
    done = subprocess.run([WHET, "watch", run, "--json"], capture_output=True, text=True)
    if done.returncode not in (0, 3):
        raise SystemExit(f"{run}: {done.stderr}")
    return json.loads(done.stdout)


def fair_share(run, kept):
    """Kept over peak accuracy, the peak looked for on other problems than those that it is measured on; None without heldout.jsonl."""
    path = run / "heldout.jsonl"
    if not path.exists():
        return None
    right = {row["step"]: row["right"] for row in map(json.loads, path.read_text().splitlines())}
    mean = lambda step, half: sum(right[step][half::2]) / len(right[step][half::2])
    peaks = [max(right, key=lambda step: mean(step, half)) for half in (0, 1)]
    peak = mean(peaks[0], 1) + mean(peaks[1], 0)
    return 2 * kept / peak if peak > 0 else None


def evaluate(model, temperature):
    """avg@8 on 600 problems, in two drawings."""
    values = []
    for seed in (100, 101):
        done = subprocess.run([WHET, "eval", "--model", model, "--task", "sort", "--count", "600", "--samples", "8", "--seed", str(seed),
                               "--temperature", str(temperature), "--threads", "1", "--json"],
                              capture_output=True, text=True, check=True)
        values.append(json.loads(done.stdout)["avg"]["value"])
    return values


def exact_shares(run, accuracy, peak_step, kept):
    """The fair peak by --exact, and what the best step alone and the kept model have of it. `kept`: a folder."""
    config = tomllib.loads((run / "config.toml").read_text())
    folder_of_step = lambda step: run / f"checkpoints/step-{step:06}" if step > 0 else pathlib.Path(config["model"])
    near = [step for step in accuracy if accuracy[step] >= 0.965 * max(accuracy.values())]
    values = {step: evaluate(folder_of_step(step), config["temperature"]) for step in {*near, peak_step}}
    best = [max(near, key=lambda step: values[step][drawing]) for drawing in (0, 1)]
    peak = values[best[0]][1] + values[best[1]][0]
    return {"exact_peak": peak / 2, "exact_single": sum(values[peak_step]) / peak,
            "exact_share": sum(evaluate(kept, config["temperature"])) / peak}


def of_split(split, runs):
    """Folder, base, reward and whether the base's majority is mostly right, of each finished run of a split."""
    for base, reward, rate, seed, extra in SPLITS[split]():
        yield runs / split / name_of(base, reward, rate, seed, extra), base, reward, base not in MISALIGNED


def of_findings(folder):
    """The same of the runs of whet reproduce that measure often enough; aligned: the base's majority is right on most problems."""
    for run in sorted((folder / "runs").iterdir()):
        config = tomllib.loads((run / "config.toml").read_text())
        if "reward" not in config or not (run / "metrics.jsonl").exists() or config["steps"] < 20 * config["eval-every"]:
            continue
        first = json.loads((run / "metrics.jsonl").read_text().splitlines()[0])
        yield run, pathlib.Path(config["model"]).name, config["reward"], first["heldout_majority_accuracy"] > 0.5


def judge(runs, exact):
    rows = []
    for run, base, reward, aligned in runs:
        if not (run / "summary.json").exists():
            continue
        accuracy = accuracies(run)
        peak_step = max(accuracy, key=accuracy.get)
        peak, end = accuracy[peak_step], accuracy[max(accuracy)]
        after = {step: value for step, value in accuracy.items() if step >= peak_step}
        fall = next((step for step, value in after.items() if value < 0.75 * peak), None)
        watch = verdict(run)
        alarm = watch["collapse_step"]
        summary = json.loads((run / "summary.json").read_text())
        is_average = "kept" in summary
        kept = watch["peak_step"] if alarm is not None or is_average else max(accuracy)
        kept_accuracy = summary["kept"]["heldout_accuracy"] if is_average else accuracy[kept]
        rows.append({"run": run.name, "base": base, "reward": reward, "start": accuracy[0], "peak": peak, "peak_step": peak_step,
                     "end": end, "fall_step": fall, "warning": watch["warning_step"], "alarm": alarm, "kept_step": kept,
                     "kept": kept_accuracy, "kept_share": kept_accuracy / peak, "fair_share": fair_share(run, kept_accuracy),
                     "averaged": summary.get("kept_steps", [kept]), "aligned": aligned})
        if exact:
            rows[-1] |= exact_shares(run, accuracy, kept, pathlib.Path(watch["kept_model"]))
    return rows


def print_table(rows):
    print("| run | base | peak @ step | end | below 3/4 of the peak | warning | alarm | kept @ step | kept / peak |")
    print("|---|---|---|---|---|---|---|---|---|")
    for row in rows:
        cell = lambda key: "-" if row[key] is None else row[key]
        print(f"| {row['run']} | {row['start']:.3f} | {row['peak']:.3f} @ {row['peak_step']} | {row['end']:.3f} "
              f"| {cell('fall_step')} | {cell('warning')} | {cell('alarm')} | {row['kept']:.3f} @ {row['kept_step']} "
              f"| {row['kept_share']:.3f} |")
    labelled = [row for row in rows if row["reward"] == "ground-truth"]
    fallen = [row for row in rows if row["fall_step"] is not None]
    standing = [row for row in rows if row["fall_step"] is None and row["reward"] != "ground-truth"]
    aligned = [row for row in rows if row["aligned"] and row["reward"] != "ground-truth"]
    leads = sorted(row["fall_step"] - row["alarm"] for row in fallen if row["alarm"] is not None)
    print(f"\nruns: {len(rows)}")
    print(f"fell below 3/4 of the peak: {len(fallen)}; alarm in {sum(row['alarm'] is not None for row in fallen)}, before the "
          f"fall in {sum(lead >= 0 for lead in leads)}; lead (steps): median {leads[len(leads) // 2] if leads else '-'}, "
          f"worst {leads[0] if leads else '-'}")
    print(f"on labels: {len(labelled)}; alarm in {sum(row['alarm'] is not None for row in labelled)}")
    print(f"others that did not fall: {len(standing)}; alarm in {sum(row['alarm'] is not None for row in standing)}")
    for key, name in (("kept_share", "the peak"), ("fair_share", "the fair peak"), ("exact_share", "the exact peak"),
                      ("exact_single", "the exact peak by the best step alone")):
        shares = sorted(row[key] for row in aligned if row.get(key) is not None)
        if not shares:
            continue
        for bound in (0.98, 0.95, 0.9):
            print(f"kept at least {bound:.0%} of {name}: {sum(share >= bound for share in shares)} of {len(shares)} runs without "
                  f"labels from aligned bases")
        print(f"kept / {name}: mean {sum(shares) / len(shares):.3f}, lowest {shares[0]:.3f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=["make", "judge"])
    parser.add_argument("--runs", type=pathlib.Path, default=ROOT / "runs/watch")
    parser.add_argument("--split", choices=[*SPLITS, "both"], default="judging")
    parser.add_argument("--findings", type=pathlib.Path, help="judge: the folder of whet reproduce")
    parser.add_argument("--exact", action="store_true", help="judge: measure again what lies near the peak, and the kept model")
    parser.add_argument("--json", action="store_true", help="judge: rows as JSON Lines")
    options = parser.parse_args()
    splits = ["making", "judging"] if options.split == "both" else [options.split]
    if options.action == "make":
        for split in splits:
            make(split, options.runs)
        return
    runs = of_findings(options.findings) if options.findings else (run for split in splits for run in of_split(split, options.runs))
    rows = judge(runs, options.exact)
    if options.json:
        for row in rows:
            print(json.dumps(row))
    else:
        print_table(rows)


if __name__ == "__main__":
    main()
