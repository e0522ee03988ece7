"""Writes run folders with made-up curves, so that the report can be looked at and tested without a model.

    python3 synthetic_run.py FOLDER      writes FOLDER/majority-vote, FOLDER/ground-truth, FOLDER/trajectory-entropy

The shapes are those of a small run (rise, fall, a supervised run that holds); the numbers are drawn, not measured.
"""
import json
import math
import random
import sys
from pathlib import Path


def curve(points, step):
    """Linear between the given (step, value) points, flat outside."""
    if step <= points[0][0]:
        return points[0][1]
    for (a, low), (b, high) in zip(points, points[1:]):
        if step <= b:
            return low + (high - low) * (step - a) / (b - a)
    return points[-1][1]


KINDS = {
    "majority-vote": {
        "accuracy": [(0, .51), (30, .90), (60, .84), (110, .44), (160, .30), (220, .12), (300, .01)],
        "reward": [(0, .51), (30, .90), (90, .93), (300, .96)],
        "logprob": [(0, -.42), (45, -.14), (60, -.20), (110, -.46), (300, -1.1)],
        "entropy": [(0, .39), (40, .08), (300, .02)],
        "length": [(0, 9.1), (60, 8.6), (300, 6.2)],
        "majority": [(0, .50), (60, .90), (300, .97)],
    },
    "ground-truth": {
        "accuracy": [(0, .50), (40, .93), (85, .985), (300, .99)],
        "reward": [(0, .50), (40, .93), (85, .985), (300, .99)],
        "logprob": [(0, -.42), (60, -.12), (300, -.13)],
        "entropy": [(0, .39), (60, .06), (300, .04)],
        "length": [(0, 9.1), (60, 8.5), (300, 8.5)],
        "majority": [(0, .50), (90, .97), (300, .99)],
    },
    "trajectory-entropy": {
        "accuracy": [(0, .49), (45, .877), (80, .80), (140, .54), (200, .15), (300, .03)],
        "reward": [(0, -.51), (60, -.10), (300, -.02)],
        "logprob": [(0, -.43), (40, -.15), (100, -.33), (200, -.9), (300, -1.5)],
        "entropy": [(0, .40), (40, .06), (300, .01)],
        "length": [(0, 9.0), (80, 9.4), (300, 13.5)],
        "majority": [(0, .49), (60, .84), (300, .92)],
    },
}

# What a model might write to break a page.
HOSTILE = ["</script><script>document.title='broken'</script>", "<img src=x onerror=\"document.title='broken'\">",
           "<!-- <script>", "\x00\x07\x1b[31m", "a\u202egnp.exe", "&lt;b&gt;", "line one\n\n\tline three",
           "\U0001f600 \u4e2d\u6587"]


def rollouts(step, truth, rng):
    rows = []
    for problem in range(8):
        prompt = "".join(rng.choice("0123456789") for _ in range(rng.randint(4, 9))) + "?"
        label = "".join(sorted(prompt[:-1]))
        wrong = "2" + label[len(label) // 2:]
        answers = [label if rng.random() < truth else wrong for _ in range(8)]
        if problem == 3:
            answers[7] = None
        majority = max(answers, key=answers.count)
        for sample, answer in enumerate(answers):
            output = HOSTILE[problem] if sample == 0 and step == 0 else f"#{answer or '1' * 24}"
            rows.append({"input": prompt, "output": output, "gts": label, "score": float(answer == majority),
                         "step": step, "answer": answer, "true_score": float(answer == label), "logprob": -.1, "entropy": .2,
                         "self_certainty": 3.1, "truncated": answer is None, "tokens": [1, 2, 3]})
    return rows


def held_out_lines(shape, steps, evaluate_every, rng, problems=60):
    """What became of each problem: those whose first majority is right come and go with accuracy, the others fall."""
    right_first = [rng.random() < .66 for _ in range(problems)]
    votes = [rng.randint(8, 15) if right else rng.randint(5, 9) for right in right_first]
    for step in range(0, steps + 1, evaluate_every):
        truth, first = curve(shape["accuracy"], step), shape["accuracy"][0][1]
        share = lambda value: round(4 * min(1, max(0, value + rng.gauss(0, .1)))) / 4
        right = [share(truth * 1.1 if good else .25 * truth / first * math.exp(-step / 60)) for good in right_first]
        same = curve(shape["majority"], step) * truth
        line = {"step": step, "right": right, "on_vote": [share(same) for _ in right], "same": [rng.random() < same for _ in right]}
        if step == 0:
            line |= {"samples": 4, "base": [{"answers": [n, 16 - n] if 2 * n >= 16 else [n, n - 1, 17 - 2 * n], "absent": 0,
                                             "right": [good, not good] if 2 * n >= 16 else [good, not good, False]}
                                            for good, n in zip(right_first, votes)]}
        yield line


def write_run(folder, kind, seed=0, steps=300, evaluate_every=5, dump_every=10):
    rng = random.Random(f"{kind} {seed}")
    shape = KINDS[kind]
    noisy = lambda value, spread: value + rng.gauss(0, spread)
    chance = lambda value, spread: min(1, max(0, noisy(value, spread)))
    (folder / "rollouts").mkdir(parents=True)
    (folder / "checkpoints").mkdir()
    (folder / "config.toml").write_text(
        f'task = "sort-digits"\nmodel = "models/sort-s2500"\nreward = "{kind}"\nseed = {seed}\nlearning_rate = 5e-4\n')
    (folder / "manifest.json").write_text(json.dumps(
        {"program": "whetstone", "version": "0", "command_line": ["whet", "train", "--reward", kind], "seed": seed}))
    with open(folder / "heldout.jsonl", "w") as held_out:
        for line in held_out_lines(shape, steps, evaluate_every, random.Random(f"held out {kind} {seed}")):
            held_out.write(json.dumps(line) + "\n")
    with open(folder / "metrics.jsonl", "w") as metrics:
        for step in range(steps + 1):
            line = {"step": step}
            truth = curve(shape["accuracy"], step)
            if step > 0:
                reward = curve(shape["reward"], step)
                line |= {
                    "reward": chance(reward, .02) if reward >= 0 else noisy(reward, .02),
                    "true_reward": chance(truth, .025),
                    "reward_accuracy": 1.0 if kind == "ground-truth" else chance(truth, .03),
                    "label_accuracy": chance(min(1, truth * 1.1), .03),
                    "majority_ratio": chance(curve(shape["majority"], step), .012),
                    "token_entropy": abs(noisy(curve(shape["entropy"], step), .008)),
                    "answer_entropy": abs(noisy(1.1 * math.exp(-step / 40), .03)),
                    "mutual_information": abs(noisy(2.2 + 1.5 * truth, .05)),
                    "answered": chance(.96, .01), "truncated": chance(.03, .01),
                    "length": noisy(curve(shape["length"], step), .1),
                    "repetition": chance(.02, .005), "pass_at_n": chance(truth * 1.2, .02),
                    "kl_to_start": None if step % 97 == 0 else abs(noisy(step / 300, .02)),
                    "gradient_norm": abs(noisy(.6, .1)), "clip_share": 0.0, "learning_rate": 5e-4,
                }
            if step % evaluate_every == 0:
                line |= {"heldout_accuracy": chance(truth, .012),
                         "heldout_majority_accuracy": chance(truth * 1.05, .02),
                         "heldout_pass_at_k": chance(truth * 1.15, .02),
                         "base_logprob": noisy(curve(shape["logprob"], step), .006),
                         "base_agreement": chance(truth, .02)}
            metrics.write(json.dumps(line) + "\n")
            if step % dump_every == 0:
                with open(folder / "rollouts" / f"{step}.jsonl", "w") as dump:
                    for row in rollouts(step, truth, rng):
                        dump.write(json.dumps(row) + "\n")
    (folder / "summary.json").write_text(json.dumps({"steps": steps}))


if __name__ == "__main__":
    for name in KINDS:
        write_run(Path(sys.argv[1]) / name, name)
