"""whet align as a user meets it: every confidence with its intervals, a verdict that follows from them, and refusals."""
import json
import unittest

from driver import WhetTest, flags

CONFIDENCES = {"vote", "self-certainty", "token-entropy", "trajectory-entropy", "probability", "probability-disparity"}


class Align(WhetTest):
    def aligned(self, **options):
        return json.loads(self.ok("align", *flags(options, threads=1), "--json").stdout)

    def test_every_certainty_reward_and_the_vote_are_measured_with_intervals(self):
        told = self.aligned(model="sort-weak", task="sort", count=24, samples=4)
        self.assertEqual(set(told["confidence"]), CONFIDENCES)
        for name, row in told["confidence"].items():
            for measure, least in (("auroc", 0), ("auroc_within", 0), ("point_biserial", -1), ("point_biserial_within", -1)):
                estimate = row[measure]
                self.assertTrue(least <= estimate["low"] <= estimate["high"] <= 1, (name, measure, estimate))
            self.assertEqual(row["ece"] is not None, name in ("vote", "probability"), name)
        self.assertEqual(sum(row["rollouts"] for row in told["vote_reliability"]), 24 * 4)
        self.assertTrue(0 < told["mixed_problems"] <= 24)

    def test_the_calibration_error_of_the_vote_follows_from_its_curve(self):
        told = self.aligned(model="sort-strong", task="sort", count=24, samples=4)
        error = sum(row["rollouts"] * abs(row["accuracy"]["value"] - row["confidence"])
                    for row in told["vote_reliability"]) / (24 * 4)
        self.assertAlmostEqual(told["confidence"]["vote"]["ece"]["value"], error, places=9)

    def test_the_verdict_is_what_the_interval_says(self):
        for model in ("sort-strong", "sort-weak"):
            told = self.aligned(model=model, task="sort", count=24, samples=4)
            low, high = told["majority_right"]["low"], told["majority_right"]["high"]
            wanted = "worth sharpening" if low > 0.5 else "mostly wrong majority" if high < 0.5 else "cannot tell"
            self.assertEqual(told["verdict"], wanted)
            self.assertIn(wanted, told["because"])

    def test_a_model_that_is_never_right_has_no_correlations(self):
        told = self.aligned(model=self.model, held_out_problems=self.write(
            "never.jsonl", "".join(json.dumps({"prompt": f"{i}1?", "answer": "never said"}) + "\n" for i in range(8))),
            count=8, samples=2, max_new_tokens=20)
        self.assertEqual(told["majority_right"]["value"], 0)
        self.assertEqual({row["auroc"] for row in told["confidence"].values()}, {None})
        self.assertEqual({row["auroc_within"] for row in told["confidence"].values()}, {None})
        self.assertEqual(told["mixed_problems"], 0)

    def test_the_same_seed_gives_the_same_bytes(self):
        arguments = ["align", *flags(model="sort-weak", task="sort", count=6, samples=2, threads=1), "--json"]
        self.assertEqual(self.ok(*arguments).stdout, self.ok(*arguments).stdout)

    def test_what_cannot_be_judged_is_refused(self):
        unlabelled = self.write("unlabelled.jsonl", '{"prompt": "2 1"}\n{"prompt": "3 1"}\n')
        self.refused(["align", "--model", self.model, "--held-out-problems", unlabelled], "align", "answer")
        one = self.write("one.jsonl", '{"prompt": "2 1", "answer": "1 2"}\n')
        self.refused(["align", "--model", self.model, "--held-out-problems", one], "1 problem", "at least 2")
        self.refused(["align", *flags(model=self.model, task="sort", samples=1)], "samples", ">= 2")


if __name__ == "__main__":
    unittest.main()
