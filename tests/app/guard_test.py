"""whet train --guard: a run that leaves what its base believed is stopped, and a model is kept: an average of its best steps."""
import array
import json
import unittest
from pathlib import Path

from driver import SHORT, WhetTest, flags, read_metrics, read_safetensors, repeatable, start_and_signal


def weights(path, dtype="F32"):
    """Name -> numbers of a file of float32 tensors."""
    header, data = read_safetensors(path)
    tensors = {name: entry for name, entry in header.items() if name != "__metadata__"}
    assert {entry["dtype"] for entry in tensors.values()} == {dtype}
    return {name: array.array("f", bytes(data[slice(*entry["data_offsets"])])) for name, entry in tensors.items()}


def best_steps(run, count, margin=0.02):
    """What docs/watching.md says is averaged: the likeliest steps to the base, the base itself aside."""
    values = {line["step"]: line["base_logprob"] for line in read_metrics(run) if "base_logprob" in line}
    best = sorted(values, key=lambda step: (-values[step], step))
    return sorted(step for step in best[:count] if values[step] > values[best[0]] - margin and step > 0)


class Guard(WhetTest):
    # A rate at which the policy is torn away from its base within a few updates.
    WRECKED = dict(SHORT, model="sort-strong", steps=30, learning_rate=0.01, prompts=8, eval_problems=16, reward="random")

    def test_stops_at_the_alarm_and_names_a_model_that_opens(self):
        out = self.folder / "guarded"
        done = self.ok("train", *flags(self.WRECKED, out=out), "--guard")
        summary = json.loads((out / "summary.json").read_text())
        self.assertTrue(summary["stopped_by_guard"])
        self.assertLess(summary["steps"], 30)
        self.assertEqual(read_metrics(out)[-1]["step"], summary["steps"])
        self.assertEqual(summary["label_free_step"], summary["steps"])
        self.assertIn(f"stopped by --guard at step {summary['steps']}", done.stderr)
        kept = done.stderr.split("judged best without labels: ")[1].splitlines()[0]
        self.assertTrue((Path(kept) / "model.safetensors").exists(), kept)
        self.assertTrue(all(step < summary["steps"] - 1 for step in summary["kept_steps"]), summary)

    def test_only_stops_where_it_is_asked_to(self):
        out = self.folder / "unguarded"
        self.ok("train", *flags(self.WRECKED, steps=12, out=out))
        summary = json.loads((out / "summary.json").read_text())
        self.assertEqual(summary["steps"], 12)
        self.assertFalse(summary["stopped_by_guard"])

    # A run that gets better, with several measurements close to the best.
    RISING = dict(SHORT, model="sort-strong", steps=6, learning_rate=6e-5, prompts=16, samples=8, eval_problems=128, eval_samples=8,
                  checkpoint_every=1, keep_checkpoints=20, rollouts_every=0, average_kept=4)

    def test_keeps_the_average_of_the_weights_of_the_best_steps(self):
        out = self.folder / "rising"
        done = self.ok("train", *flags(self.RISING, out=out))
        summary = json.loads((out / "summary.json").read_text())
        steps = summary["kept_steps"]
        self.assertGreater(len(steps), 1)
        self.assertEqual(steps, best_steps(out, 4))
        self.assertIn(f"judged best without labels: {out}/kept\n", done.stderr)
        self.assertIn(f"it is the average of the weights of steps {', '.join(map(str, steps))}", done.stderr)
        kept = weights(out / "kept" / "model.safetensors")
        members = [weights(out / "checkpoints" / f"step-{step:06}" / "model.safetensors") for step in steps]
        furthest = 0
        for name, numbers in kept.items():
            for number, *parts in zip(numbers, *(member[name] for member in members), strict=True):
                furthest = max(furthest, max(abs(number - part) for part in parts))
                self.assertAlmostEqual(number, sum(parts) / len(parts), delta=1e-6)
        self.assertGreater(furthest, 1e-5)  # the members differ by more than the tolerance
        about = json.loads((out / "kept" / "average.json").read_text())
        self.assertEqual(about, {"steps": steps} | summary["kept"])
        self.assertIn("heldout_accuracy", about)
        self.ok("eval", *flags(model=out / "kept", task="sort", count=4, samples=2, threads=1))
        self.assertEqual(json.loads(self.ok("watch", out, "--json").stdout)["kept_model"], str(out / "kept"))

    def test_the_best_step_alone_can_be_kept_and_training_is_the_same(self):
        alone, several = self.folder / "alone", self.folder / "several"
        done = self.ok("train", *flags(self.RISING | dict(average_kept=1, steps=4), out=alone))
        self.ok("train", *flags(self.RISING | dict(steps=4), out=several))
        summary = json.loads((alone / "summary.json").read_text())
        self.assertEqual(summary["kept_steps"], [summary["label_free_peak_step"]])
        self.assertNotIn("kept", summary)
        self.assertFalse((alone / "kept").exists())
        self.assertNotIn("average", done.stderr)
        self.assertTrue((several / "kept").exists())
        self.assertEqual((alone / "metrics.jsonl").read_bytes(), (several / "metrics.jsonl").read_bytes())
        self.refused(["train", *flags(self.RISING | dict(average_kept=0), out=self.folder / "none")], "average-kept", "0")

    def test_a_killed_run_keeps_the_same_average(self):
        for name, more in (("whole", {}), ("adapters", dict(lora_rank=2, learning_rate=1e-3)), ("half", dict(precision="bfloat16"))):
            with self.subTest(name):
                # Checkpoints are only those that the watch asks for, and the last.
                options = self.RISING | dict(steps=6, checkpoint_every=100, keep_checkpoints=1) | more
                whole, cut = self.folder / name, self.folder / f"{name}-cut"
                self.ok("train", *flags(options, out=whole))
                start_and_signal(["train", *flags(options, out=cut)], cut, 5)
                self.ok("train", "--resume", cut)
                self.assertEqual(repeatable(cut), repeatable(whole))
                file = "adapter_model.safetensors" if name == "adapters" else "model.safetensors"
                self.assertIn(f"kept/{file}", repeatable(whole))
                self.ok("eval", *flags(model=whole / "kept", task="sort", count=4, samples=2, threads=1))

    def test_other_problems_can_be_watched_than_those_that_measure_accuracy(self):
        same, other = self.folder / "same", self.folder / "other"
        self.ok("train", *flags(SHORT, model=self.model, out=same))
        self.ok("train", *flags(SHORT, model=self.model, watch_problems=8, out=other))
        for one, two in zip(read_metrics(same), read_metrics(other), strict=True):
            self.assertEqual(one["heldout_accuracy"], two["heldout_accuracy"])
            self.assertNotEqual(one["base_logprob"], two["base_logprob"])

    def test_problems_to_watch_that_are_not_there_are_refused(self):
        files = {}
        for name, first in (("train", 0), ("held", 40)):
            files[name] = self.folder / f"{name}.jsonl"
            files[name].write_text("".join(json.dumps({"prompt": f"{i:05}?", "answer": "".join(sorted(f"{i:05}"))}) + "\n"
                                           for i in range(first, first + 40)))
        options = dict(SHORT, task="file", problems=files["train"],
                       held_out_problems=files["held"], eval_problems=40, watch_problems=5,
                       max_new_tokens=24)
        self.refused(["train", *flags(options, model=self.model, out=self.folder / "refused")], "watch-problems", "40")


if __name__ == "__main__":
    unittest.main()
