#!/usr/bin/env python3
"""Pre-trains the zoo of sorting bases that `whet rank` was measured on: three mixtures x two seeds, a checkpoint every 100 steps.

    scripts/make_zoo.py [--out runs/zoo] [--print]

Mixtures: s, the usual one; m, more careless; wrong, confident in a wrong rule for the half of the problems whose first digit is
even, so that its vote and its pass@k disagree. A run takes some minutes on one core; one that is there is used, or gone on with.
"""
import argparse
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent
WHET = ROOT / "build/whet"
ZOO = {f"{letter}{seed}": (mixture, seed) for letter, mixture in (("s", "s"), ("m", "m"), ("w", "wrong")) for seed in (11, 12)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("runs/zoo"))
    parser.add_argument("--print", action="store_true", help="only say the commands")
    options = parser.parse_args()
    for name, (mixture, seed) in ZOO.items():
        folder = options.out / name
        arguments = ["--task", "sort", "--mixture", mixture, "--seed", str(seed), "--threads", "1", "--checkpoint-every", "100",
                     "--keep-checkpoints", "30", "--eval-problems", "20", "--out", str(folder)]
        if (folder / "summary.json").exists():
            continue
        if (folder / "manifest.json").exists():
            arguments = ["--resume", str(folder)]
        command = [str(WHET), "pretrain", *arguments]
        print(" ".join(command), flush=True)
        if not options.print:
            subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
