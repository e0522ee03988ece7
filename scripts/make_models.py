#!/usr/bin/env python3
"""Makes the embedded base models of models/: pre-trains them, measures them, writes their cards.

    scripts/make_models.py [--runs DIR] [NAME...]

Each model is a checkpoint of one `whet pretrain` run, listed below with everything that it depends on. A run that is
already in DIR (default runs/models) is used, or gone on with, so that the long ones survive an interruption.
"""
import argparse
import json
import pathlib
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent
WHET = ROOT / "build/whet"

LARGE = ["--layers", "5", "--hidden-size", "128", "--heads", "4", "--key-value-heads", "4", "--head-dim", "32",
         "--intermediate-size", "352", "--warmup-steps", "100", "--checkpoint-every", "250", "--keep-checkpoints", "30"]
RUNS = {
    "sort": ["--task", "sort", "--mixture", "s", "--seed", "1", "--steps", "2500", "--checkpoint-every", "100",
             "--keep-checkpoints", "30", "--threads", "1"],
    "sort-ask": ["--task", "sort", "--mixture", "ask", "--seed", "1", "--steps", "2500", "--checkpoint-every", "100",
                 "--keep-checkpoints", "30", "--threads", "1"],
    "arithmetic": ["--task", "arithmetic", "--mixture", "s", "--seed", "1", "--steps", "1500", *LARGE, "--threads", "1"],
    "countdown": ["--task", "countdown", "--mixture", "s", "--seed", "1", "--steps", "2500", *LARGE, "--threads", "1"],
}
# name: (run, step, what it is for)
MODELS = {
    "sort-weak": ("sort", 200, "Sorts digits, badly: its majority is wrong on more than a third of the problems."),
    "sort-medium": ("sort", 400, "Sorts digits, with a majority that is wrong on a quarter of the problems."),
    "sort-strong": ("sort", 2500, "Sorts digits: half of its samples are right, and nearly every majority."),
    "sort-ask": ("sort-ask", 2500, "Sorts digits, and writes problems when it is asked for one: for the challenger."),
    "arithmetic": ("arithmetic", 1500, "Integer arithmetic in worked steps."),
    "countdown": ("countdown", 2500, "Reaches a target from three numbers; also reads proposed solutions and judges them."),
}


def pretrain(name, runs):
    """The finished run's folder and the command that makes it."""
    folder = runs / name
    command = ["whet", "pretrain", *RUNS[name], "--out", f"runs/models/{name}"]
    if (folder / "summary.json").exists():
        return folder, command
    arguments = ["--resume", folder] if (folder / "manifest.json").exists() else [*RUNS[name], "--out", folder]
    subprocess.run([WHET, "pretrain", *arguments], check=True)
    return folder, command


def evaluate(folder, task, *extra):
    command = [WHET, "eval", "--model", folder, "--task", task, "--count", "200", "--threads", "1", "--json", *extra]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def text(estimate):
    return f"{estimate['value']:.3f} [{estimate['low']:.3f}, {estimate['high']:.3f}]"


def card(name, task, purpose, command, step, manifest, tokens, sampled, greedy):
    return f"""# {name}

{purpose}

Made by step {step} of

    {' '.join(command)}

(seed 1; {tokens:,} completion tokens up to that step; whetstone {manifest['version']}, {manifest['engine']}).
The same command gives the same weights on the same machine and library; elsewhere they differ in their last digits.
`scripts/make_models.py {name}` makes and measures it again.

Measured on 200 held-out problems of `{task}`, 16 rollouts each at temperature 1 (95 % intervals over problems):

| avg@8 and avg@16 | pass@4 | pass@16 | maj@16 | greedy | answered |
|---|---|---|---|---|---|
| {text(sampled['avg'])} | {text(sampled['pass']['4'])} | {text(sampled['pass']['16'])} | {text(sampled['maj'])} \
| {text(greedy['avg'])} | {sampled['answered']:.3f} |

(avg@k does not depend on k but for noise.) Licence: Apache-2.0, as the text it was trained on, which the program generates.
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=pathlib.Path, default=ROOT / "runs/models")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(MODELS)}; default: all")
    options = parser.parse_args()
    for name in options.names or MODELS:
        run_name, step, purpose = MODELS[name]
        run, command = pretrain(run_name, options.runs)
        checkpoint = run / f"checkpoints/step-{step:06}"
        target = ROOT / "models" / name
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        for file in sorted(checkpoint.iterdir()):
            if file.name not in ("optimizer.safetensors", "trainer.json"):
                shutil.copy(file, target / file.name)
        task = RUNS[run_name][1]
        sampled = evaluate(target, task, "--samples", "16", "--pass-at", "4", "16")
        greedy = evaluate(target, task, "--samples", "1", "--greedy")
        manifest = json.loads((run / "manifest.json").read_text())
        tokens = json.loads((checkpoint / "trainer.json").read_text())["tokens"]
        (target / "README.md").write_text(card(name, task, purpose, command, step, manifest, tokens, sampled, greedy))
        print(f"{name}: avg@16 {text(sampled['avg'])}, maj@16 {text(sampled['maj'])}, greedy {text(greedy['avg'])}")


if __name__ == "__main__":
    main()
