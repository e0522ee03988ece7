#!/usr/bin/env python3
"""Holds what `whet plan` says against the largest resident set of real training steps on random models.

Usage: bench/plan_check.py [--whet build/whet] [--sizes 10m 100m] [--keep FOLDER]
Makes each model with `whet pretrain --steps 1`, trains it for two steps under each set of options, and prints planned and
measured peak and their ratio. Two, because the optimizer's moments are there from the end of the first on. The end token of the
models is a row of the embedding that no token of theirs has and that is never sampled: every response reaches the limit, which
is what a plan counts with.
"""
import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

SIZES = {
    "10m": dict(hidden_size=320, layers=8, heads=5, key_value_heads=5, head_dim=64, intermediate_size=864),
    "100m": dict(hidden_size=768, layers=12, heads=12, key_value_heads=4, head_dim=64, intermediate_size=2816),
}
CASES = {
    "short responses": {},
    "long responses": dict(prompts=4, samples=8, max_new_tokens=384, eval_problems=4),
    "long, small budget": dict(prompts=4, samples=8, max_new_tokens=384, eval_problems=4, token_budget=512),
    "long, layers computed again": dict(prompts=4, samples=8, max_new_tokens=384, eval_problems=4, checkpoint_activations=True),
    "long, adapters": dict(prompts=4, samples=8, max_new_tokens=384, eval_problems=4, lora_rank=8),
    "long, bfloat16": dict(prompts=4, samples=8, max_new_tokens=384, eval_problems=4, precision="bfloat16"),
    "long, adapters, bfloat16": dict(prompts=4, samples=8, max_new_tokens=384, eval_problems=4, lora_rank=8, precision="bfloat16"),
}
# What every case has in common: no label is needed, and every rollout has an advantage.
COMMON = dict(task="sort", reward="random", steps=2, eval_every=1, eval_problems=8, eval_samples=2, prompts=16, samples=8)


def flags(options):
    return [part for name, value in options.items()
            for part in (["--" + name.replace("_", "-")] + ([] if value is True else [str(value)]))]


def never_end(model):
    """Makes the last row of the embedding the end token."""
    tokens = len(json.loads((model / "tokenizer.json").read_text())["model"]["vocab"])
    for name in ("config.json", "generation_config.json"):
        config = json.loads((model / name).read_text())
        rows = json.loads((model / "config.json").read_text())["vocab_size"]
        if tokens >= rows:
            raise SystemExit(f"[plan_check] {model}: {tokens} tokens in {rows} rows, want a row that no token has")
        config["eos_token_id"] = rows - 1
        (model / name).write_text(json.dumps(config))


def peak_of(command):
    """Runs a command; the largest resident set of it in bytes."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(f"[plan_check] {' '.join(command)}: {errors.strip()}")
    return usage.ru_maxrss * 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--whet", default="build/whet")
    parser.add_argument("--sizes", nargs="+", default=list(SIZES), choices=list(SIZES))
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--keep", help="folder for the models, used again when they are there")
    options = parser.parse_args()
    folder = pathlib.Path(options.keep or tempfile.mkdtemp(prefix="whet-plan-"))
    worst = 1.0
    try:
        for size in options.sizes:
            model = folder / size / "checkpoints" / "step-000001"
            if not model.exists():
                subprocess.run([options.whet, "pretrain", *flags(SIZES[size]), "--task", "sort", "--steps", "1", "--batch", "2",
                                "--eval-problems", "1", "--eval-samples", "1", "--max-positions", "512", "--out", str(folder / size)],
                               check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                never_end(model)
            for case in options.cases:
                run = {**COMMON, **CASES[case]}
                plan = json.loads(subprocess.run([options.whet, "plan", str(model), *flags(run), "--json"], check=True,
                                                 capture_output=True, text=True).stdout)
                with tempfile.TemporaryDirectory() as out:
                    measured = peak_of([options.whet, "train", "--model", str(model), *flags(run), "--out", out + "/run"])
                ratio = plan["peak_bytes"] / measured
                worst = max(worst, ratio, 1 / ratio)
                print(f"{size:5s} {case:28s} {plan['parameters'] / 1e6:6.1f}M parameters: planned {plan['peak_bytes'] / 2**20:7.0f} MiB, "
                      f"measured {measured / 2**20:7.0f} MiB, ratio {ratio:.2f}", flush=True)
    finally:
        if not options.keep:
            shutil.rmtree(folder)
    print(f"largest ratio either way {worst:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
