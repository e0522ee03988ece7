"""whet theory as a user meets it: the closed path, the small world, the forecast and its comparison with a run."""
import json
import math
import os
import unittest

from driver import SHORT, WhetTest, flags


class Theory(WhetTest):
    def objects(self, *arguments, **options):
        return json.loads(self.ok("theory", *arguments, "--json", **options).stdout)

    def test_the_path_is_a_straight_line_of_logits(self):
        rows = self.objects("path", "--mass", "0.3", "--beta", "4", "--steps", "20")["path"]
        for row in rows:
            self.assertAlmostEqual(row["logit"], math.log(0.3 / 0.7) + row["step"] / 4, places=9)
        self.refused(["theory", "path", "--mass", "1"], "mass", "between 0 and 1")

    def test_the_small_world_rises_and_falls_where_a_degenerate_answer_is_liked(self):
        def accuracies(**options):
            return [step["accuracy"] for step in self.objects("simulate", *flags(options))["steps"]]

        liked = accuracies(degenerate_mean=2, steps=200)
        self.assertGreater(max(liked), 1.2 * liked[0])
        self.assertLess(liked[-1], 0.3 * max(liked))
        unliked = accuracies(degenerate_mean=-2, steps=200)
        self.assertGreater(unliked[-1], 0.95 * max(unliked))
        self.refused(["theory", "simulate", "--reward", "length"], "length", "majority-vote")
        self.refused(["theory", "simulate", "--samples", "1"], "samples", "at least 2")

    def test_what_needs_no_model_needs_no_engine(self):
        environment = dict(os.environ, WHET_ENGINE="/nonexistent")
        self.ok("theory", "path", env=environment)
        self.ok("theory", "simulate", "--steps", "3", env=environment)

    def test_a_forecast_counts_every_problem_once_and_its_curve_ends_at_the_limit(self):
        told = self.objects("forecast", *flags(model=self.model, task="sort", count=12, samples=4, threads=1))
        self.assertEqual(sum(row["problems"] for row in told["fates"]), 12)
        self.assertAlmostEqual(told["curve"][0]["accuracy"], told["accuracy"])
        self.assertLessEqual(told["limit"]["low"], told["limit"]["value"])

    def test_a_comparison_holds_the_run_against_its_forecast(self):
        run = self.folder / "run"
        self.ok("train", *flags(SHORT, model="sort-weak", out=run, reward="majority-vote"))
        compared = self.objects("compare", run, "--samples", "4", "--threads", "1")
        self.assertEqual([row["step"] for row in compared["curve"]], [0, 1, 2])
        for row in compared["curve"]:
            self.assertAlmostEqual(row["error"], row["measured"] - row["predicted"])
        self.assertEqual(sum(row["problems"] for row in compared["checkpoints"][-1]["fates"]), 8)

    def test_a_comparison_is_of_the_measured_problems_also_where_the_watch_has_its_own(self):
        run = self.folder / "run"
        self.ok("train", *flags(SHORT, model="sort-weak", out=run, reward="majority-vote", watch_problems=3))
        compared = self.objects("compare", run, "--samples", "4", "--threads", "1")
        lines = [json.loads(line) for line in (run / "heldout.jsonl").read_text().splitlines()]
        self.assertEqual(len(compared["curve"]), len(lines))
        for row, line in zip(compared["curve"], lines):
            masses = [mass for mass in line["on_vote"] if mass is not None]
            self.assertAlmostEqual(row["base_vote_share"], sum(masses) / len(masses))
            self.assertAlmostEqual(row["measured"], sum(line["right"]) / len(line["right"]))
        rollouts = [(sum(base["answers"]) + base["absent"], sum(n for n, right in zip(base["answers"], base["right"]) if right))
                    for base in lines[0]["base"]]
        self.assertAlmostEqual(compared["accuracy"], sum(right / n for n, right in rollouts) / len(rollouts))

    def test_a_folder_that_is_no_run_is_refused(self):
        self.refused(["theory", "compare", self.folder], str(self.folder))
        self.refused(["theory", "compare"], "run")


if __name__ == "__main__":
    unittest.main()
