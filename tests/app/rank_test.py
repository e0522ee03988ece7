"""whet mcs over several seeds and whet rank as a user meets them: figures, going on, forecasts alone, bad input."""
import json
import shutil
import signal
import unittest

from driver import SHORT, WhetTest, flags, read_metrics, repeatable, start_and_signal

# The tiny base hardly sorts; bases that do are embedded.
RUN = dict(SHORT, steps=6, prompts=8, learning_rate=1e-3)
RANK = dict(RUN, seeds=1, base_problems=20, base_samples=8)


class Mcs(WhetTest):
    def measure(self, out, **options):
        done = self.ok("mcs", *flags(RUN, dict(model="sort-weak", out=out), **options), "--json")
        self.assertEqual(done.stdout.count("\n"), 1)
        return json.loads(done.stdout)

    def test_three_seeds_are_three_runs_with_a_median_and_a_range(self):
        out = self.folder / "mcs"
        result = self.measure(out, threshold="0.9999")
        steps = [seed["mcs"] for seed in result["seeds"]]
        reached = sorted(step for step in steps if step is not None)
        self.assertGreaterEqual(len(reached), 2)
        self.assertEqual(result["seeds_asked"], 3)
        for seed in result["seeds"]:
            self.assertEqual(read_metrics(out / f"seed-{seed['seed']}")[-1]["step"], seed["steps"])
        self.assertEqual(result["mcs"], result["labelled"]["median"])
        self.assertEqual(result["labelled"]["low"]["step"], reached[0])
        self.assertEqual(result["labelled"]["coverage"], 1 - 2 ** (1 - len(result["seeds"])))
        cost = result["cost"]
        self.assertAlmostEqual(cost["share_of_supervised"], cost["training_tokens"] / cost["supervised_training_tokens"])
        self.assertEqual(result["tokens"], sum(seed["tokens"] for seed in result["seeds"]))

    def test_what_is_not_reached_is_censored_and_settles_the_median(self):
        result = self.measure(self.folder / "mcs", threshold="0.0001", steps=4)
        self.assertIsNone(result["mcs"])
        self.assertEqual(result["labelled"]["at_least"], 4)
        # Two of three beyond the budget: the third cannot change the answer, and is not run.
        self.assertEqual([seed["ended"] for seed in result["seeds"]], ["budget", "budget"])
        page = self.ok("mcs", "--resume", self.folder / "mcs").stdout
        self.assertIn("median > 4", page)
        self.assertIn("1 of 3 seeds were not run", page)

    def test_a_seed_ends_where_the_median_can_no_longer_change(self):
        out = self.folder / "mcs"
        first = self.measure(out, threshold="0.9999", seeds=2)
        self.assertEqual([seed["ended"] for seed in first["seeds"]], ["threshold", "threshold"])
        self.assertEqual(first["mcs"], sum(seed["mcs"] for seed in first["seeds"]) / 2)

    def test_a_killed_measurement_goes_on_to_the_same_figures(self):
        options = flags(RUN, model="sort-weak", threshold="0.0001", seeds=2, steps=12, checkpoint_every=3)
        self.ok("mcs", *options, "--out", self.folder / "whole", "--json")
        out = self.folder / "cut"
        start_and_signal(["mcs", *options, "--out", out], out / "seed-0", 5, signal.SIGKILL)
        self.ok("mcs", "--resume", out, "--json")
        for seed in ("seed-0", "seed-1"):
            self.assertEqual(repeatable(out / seed), repeatable(self.folder / "whole" / seed))

    def test_an_interrupted_measurement_says_how_to_go_on(self):
        out = self.folder / "mcs"
        arguments = ["mcs", *flags(RUN, model="sort-weak", threshold="0.0001", steps=2000, seeds=1, out=out)]
        process = start_and_signal(arguments, out, 3, signal.SIGINT)
        self.assertEqual(process.returncode, 130)
        self.assertIn(f"whet mcs --resume {out}", process.err)

    def test_a_base_that_is_never_right_is_hopeless_and_is_not_trained(self):
        # 360 rollouts, none right.
        rows = [json.dumps({"prompt": f"{i:05}?", "answer": "never"}) + "\n" for i in range(180)]
        problems, held_out = self.write("never.jsonl", "".join(rows[90:])), self.write("held.jsonl", "".join(rows[:90]))
        result = self.measure(self.folder / "mcs", problems=problems, held_out_problems=held_out, eval_problems=90,
                              eval_samples=4, max_new_tokens=8, seeds=1)
        self.assertEqual(result["mcs"], 0)
        self.assertEqual(result["ended"], "hopeless")
        self.assertEqual(result["steps"], 0)
        self.assertIsNone(result["cost"]["share_of_supervised"])

    def test_bad_input_is_one_line(self):
        self.refused(["mcs", "--model", self.model, "--seeds", "0", "--out", self.folder / "x"], "seeds")
        self.refused(["mcs", "--resume", self.folder], "mcs.json")
        self.refused(["mcs", "--resume", self.folder, "--steps", "3"], "--steps", "--resume")
        self.refused(["mcs", "--model", self.model, "--guard", "--out", self.folder / "x"], "--guard")
        self.refused(["mcs", "--model", self.model, "--probe-problems", "16", "--out", self.folder / "x"], "--probe")
        self.assertFalse((self.folder / "x").exists())


class Rank(WhetTest):
    def rank(self, *arguments, **options):
        done = self.ok("rank", *arguments, *flags(RANK, **options), "--json")
        self.assertEqual(done.stdout.count("\n"), 1)
        return json.loads(done.stdout)

    def test_the_forecast_alone_trains_nothing_and_orders_by_right_majorities(self):
        done = self.ok("rank", "sort-weak", "sort-strong", "sort-medium", "--no-training", "--threads", "1",
                       "--base-problems", "100", "--json")
        models = json.loads(done.stdout)["models"]
        self.assertEqual([model["name"] for model in models], ["sort-strong", "sort-medium", "sort-weak"])
        for model in models:
            profile = model["profile"]
            self.assertNotIn("mcs", model)
            self.assertAlmostEqual(profile["sharpening_gain"]["value"],
                                   profile["majority_right"]["value"] - profile["avg"]["value"])
            self.assertLessEqual(profile["sharpening_gain"]["low"], profile["sharpening_gain"]["high"])
            self.assertGreaterEqual(profile["pass"]["value"], profile["avg"]["value"])

    def test_a_table_with_measured_gain_and_correlations_that_is_gone_on_with(self):
        out = self.folder / "rank"
        models = ["sort-weak", "sort-medium", "sort-strong"]
        result = self.rank(*models, "--measure-gain", out=out)
        self.assertEqual(sorted(model["name"] for model in result["models"]), sorted(models))
        for model in result["models"]:
            gain = model["gain"]
            self.assertAlmostEqual(gain["value"], gain["end"] - gain["base"])
            self.assertEqual(model["cost"]["supervised_source"], "measured")
        self.assertEqual(set(result["correlations"]), {"with_mcs", "with_gain", "with_share_of_missing", "mcs_minus_pass"})
        for found in result["correlations"]["with_gain"].values():
            if found:
                self.assertLessEqual(-1, found["low"])
                self.assertLessEqual(found["low"], found["high"])
        # Again: the same figures from the same folder; a lost run is made again, the others are read.
        self.assertEqual(self.rank(*models, "--measure-gain", out=out), result)
        lost = out / "02-sort-medium" / "seed-0"
        before = repeatable(lost)
        shutil.rmtree(lost)
        self.rank(*models, "--measure-gain", out=out)
        self.assertEqual(repeatable(lost), before)
        self.refused(["rank", *models, *flags(RANK, out=out, steps=7)], "--steps", "new folder")
        self.refused(["rank", *models[:2], *flags(RANK, out=out)], "other models")
        page = self.ok("rank", *models, *flags(RANK, out=out), "--measure-gain").stdout
        for text in ("pass@8", "gain with labels", "majority right", "sort-strong"):
            self.assertIn(text, page)

    def test_bad_input_is_one_line(self):
        self.refused(["rank", "sort-weak", "--no-training"], "at least two")
        self.refused(["rank", "sort-weak", "sort-strong"], "--out")
        self.refused(["rank", "sort-weak", "sort-strong", "--no-training", "--measure-gain"], "--measure-gain")
        self.refused(["rank", "sort-weak", "nobody", "--no-training"], "nobody")
        self.refused(["rank", "sort-weak", "sort-strong", "--no-training", "--pass-k", "99"], "pass-k")
        out = self.folder / "none"
        self.refused(["rank", "sort-weak", "sort-strong", "--threshold", "much", "--out", out], "much")
        unlabelled = self.write("p.jsonl", "".join(json.dumps({"prompt": f"{i}?"}) + "\n" for i in range(60)))
        self.refused(["rank", "sort-weak", "sort-strong", "--problems", unlabelled, "--out", out], "no answer")
        self.assertFalse(out.exists())


if __name__ == "__main__":
    unittest.main()
