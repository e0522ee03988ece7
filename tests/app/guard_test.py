"""whet train --guard: a run that leaves what its base believed is stopped, and a model is named to keep."""
import json
import unittest
from pathlib import Path

from driver import SHORT, WhetTest, flags, read_metrics


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

    def test_only_stops_where_it_is_asked_to(self):
        out = self.folder / "unguarded"
        self.ok("train", *flags(self.WRECKED, steps=12, out=out))
        summary = json.loads((out / "summary.json").read_text())
        self.assertEqual(summary["steps"], 12)
        self.assertFalse(summary["stopped_by_guard"])

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
