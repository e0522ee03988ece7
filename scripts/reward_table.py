"""Trains an embedded base model on every reward and writes what happened into docs/rewards.md, between its two marks.

    python3 scripts/reward_table.py [--whet build/whet] [--out runs/rewards] [--steps 100] [--only NAME ...] [--table-only]

A run that is finished is not run again. Every figure of the table is read from the runs' metrics.jsonl.
"""
import argparse
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- runs: begin -->", "<!-- runs: end -->"

# High enough to see the collapse within a few hundred steps; ground-truth shows that labels train well at it.
SORT = ["--model", "sort-strong", "--task", "sort", "--learning-rate", "3.5e-4"]
# Countdown's responses are five times as long and a verifier reads each of them: fewer problems a step.
COUNTDOWN = ["--model", "countdown", "--task", "countdown", "--prompts", "16", "--eval-every", "20", "--eval-problems", "50"]

RUNS = {
    "self-certainty": SORT,
    "token-entropy": SORT,
    "trajectory-entropy": SORT,
    "probability": SORT,
    "probability-disparity": SORT,
    "majority-vote": SORT,
    "majority-vote, 32 votes": [*SORT, "--votes", "32"],
    "semantic-entropy": SORT,
    "semantic-entropy, window": [*SORT, "--entropy-low", "0.3", "--entropy-high", "1.7"],
    "pairwise-vote": SORT,
    "co-reward": SORT,
    "teacher-vote": SORT,
    "weighted-vote": [*SORT, "--voters", "sort-medium", "sort-weak"],
    # A model of its own: it has learned to write problems when it is asked with a question mark.
    "challenger": ["--model", "sort-ask", "--task", "sort", "--learning-rate", "3.5e-4"],
    "ground-truth": SORT,
    "program": SORT,
    "format": SORT,
    "length": [*SORT, "--length-max", "6"],
    "random": SORT,
    "majority-vote + 0.5*format": SORT,
    "self-verification (countdown)": COUNTDOWN,
    "program (countdown)": COUNTDOWN,
}


def reward_of(name):
    return name.split(",")[0].split(" (")[0]


def folder_of(out, name):
    return out / "".join(c if c.isalnum() or c in "-." else "_" for c in name)


def read_metrics(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def ends(lines, key):
    values = [line[key] for line in lines if isinstance(line.get(key), (int, float))]
    return (values[0], values[-1]) if values else None


def arrow(pair, digits=2):
    return "" if pair is None else f"{pair[0]:.{digits}f} → {pair[1]:.{digits}f}"


def looks(lines):
    """What changed with the fall, from the figures alone."""
    accuracy = ends(lines, "heldout_accuracy")
    peak = max(line["heldout_accuracy"] for line in lines if "heldout_accuracy" in line)
    if peak - accuracy[1] < 0.05:
        return "no fall"
    words = []
    length = ends(lines, "length")
    if length[1] < 0.75 * length[0]:
        words.append(f"shorter: {arrow(length, 1)} tokens")
    if length[1] > 1.25 * length[0]:
        words.append(f"longer: {arrow(length, 1)} tokens")
    repetition = ends(lines, "repetition")
    if repetition and repetition[1] > repetition[0] + 0.1:
        words.append(f"repeats itself: {arrow(repetition)} of 4-grams")
    answered = ends(lines, "answered")
    if answered[1] < answered[0] - 0.1:
        words.append(f"fewer answers: {arrow(answered)}")
    information = ends(lines, "mutual_information")
    if information[1] < 0.7 * information[0]:
        words.append(f"answers depend less on the problem: {arrow(information)} nats")
    majority, label = ends(lines, "majority_ratio"), ends(lines, "label_accuracy")
    if label and label[1] < label[0] - 0.05:
        words.append(f"votes agree ({arrow(majority)}) on wrong labels ({arrow(label)} right)")
    return "; ".join(words) or "accuracy alone"


def row(name, folder):
    lines = read_metrics(folder)
    points = [(line["step"], line["heldout_accuracy"]) for line in lines if "heldout_accuracy" in line]
    peak_step, peak = max(points, key=lambda point: point[1])
    return (f"| {name} | {points[0][1]:.2f} | {peak:.2f} at {peak_step} | {points[-1][1]:.2f} at {points[-1][0]} "
            f"| {arrow(ends(lines, 'reward'))} | {arrow(ends(lines, 'length'), 1)} | {arrow(ends(lines, 'token_entropy'))} "
            f"| {looks(lines)} |")


def train(whet, name, options, folder, steps):
    command = [whet, "train", *options, "--reward", reward_of(name), "--steps", str(steps), "--seed", "0",
               "--threads", "1", "--out", str(folder)]
    if (folder / "config.toml").exists():
        command = [whet, "train", "--resume", str(folder)]
    print("$", " ".join(f"'{part}'" if " " in part else part for part in command), flush=True)
    return subprocess.run(command, stdout=subprocess.DEVNULL).returncode == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--whet", default=str(ROOT / "build" / "whet"))
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "runs" / "rewards")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--only", nargs="+", choices=RUNS, default=list(RUNS))
    parser.add_argument("--table-only", action="store_true", help="write the table of the runs that are finished")
    arguments = parser.parse_args()
    failed = []
    if not arguments.table_only:
        for name in arguments.only:
            folder = folder_of(arguments.out, name)
            if not (folder / "summary.json").exists() and not train(arguments.whet, name, RUNS[name], folder, arguments.steps):
                failed.append(name)
    finished = {name: folder_of(arguments.out, name) for name in RUNS
                if (folder_of(arguments.out, name) / "summary.json").exists()}
    table = ["| reward | held-out accuracy of the base | peak, step | end, step | reward, first → last batch | length, tokens "
             "| token entropy, nats | what the fall looks like |", "|---|---|---|---|---|---|---|---|",
             *(row(name, folder) for name, folder in finished.items())]
    page = ROOT / "docs" / "rewards.md"
    text = page.read_text()
    head, rest = text.split(BEGIN)
    page.write_text(head + BEGIN + "\n\n" + "\n".join(table) + "\n\n" + END + rest.split(END)[1])
    print(f"{len(finished)} runs in {page}")
    for name in failed:
        print(f"failed: {name}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
