"""whet ttt, and --probe: a model adapted to a file without labels, what is kept of it, and what is refused."""
import json
import random
import signal
import unittest
from pathlib import Path

from driver import SHORT, WhetTest, flags, read_metrics, repeatable, start_and_signal, tree

# A base that sorts about half of the time and whose majority is nearly always right.
BASE = "sort-strong"
RUN = {key: value for key, value in SHORT.items() if key != "eval_problems"} | dict(steps=4, eval_every=2, rollouts_every=0)


def digits(count, seed=3):
    """Different numbers of five digits."""
    return [f"{number:05}" for number in random.Random(seed).sample(range(100000), count)]


class TestTimeTraining(WhetTest):
    def problems(self, count, labelled=False, name="problems.jsonl", wrong=False):
        rows = [{"prompt": text + "?"} for text in digits(count)]
        for row in rows if labelled else []:
            row["answer"] = "".join(sorted(row["prompt"][:-1], reverse=wrong))
        return self.write(name, "".join(json.dumps(row) + "\n" for row in rows))

    def arguments(self, out="out", **more):
        return ["ttt", *flags(RUN, dict(model=BASE, out=self.folder / out), **more)]

    def run_json(self, *more, **options):
        return json.loads(self.ok(*self.arguments(**options), "--json", *more).stdout)

    # ---- whet ttt

    def test_writes_the_model_that_the_watch_keeps_and_says_what_changed(self):
        result = self.run_json(problems=self.problems(12), learning_rate=1e-3, average_kept=1)
        out = self.folder / "out"
        self.assertEqual(result["problems"], 12)
        self.assertTrue(result["safe_size"])
        lines = {line["step"]: line for line in read_metrics(out)}
        best = json.loads((out / "summary.json").read_text())["label_free_peak_step"]
        self.assertEqual(result["kept_step"], best)
        self.assertEqual(result["kept_steps"], [best])
        self.assertGreater(best, 0)
        kept = out / "checkpoints" / f"step-{best:06}"
        self.assertEqual((out / "model" / "model.safetensors").read_bytes(), (kept / "model.safetensors").read_bytes())
        for when, step in (("before", 0), ("after", best)):
            for key in ("heldout_majority_ratio", "base_agreement", "heldout_token_entropy", "heldout_kl_to_start",
                        "heldout_length"):
                self.assertEqual(result[when][key], lines[step][key])
            self.assertNotIn("heldout_accuracy", result[when])
        self.ok("eval", *flags(model=out / "model", task="sort", count=4, samples=2, threads=1))

    def test_an_average_is_measured_before_it_is_told_of(self):
        options = dict(problems=self.problems(24), steps=6, eval_every=1, eval_samples=8, learning_rate=3e-4)
        result = self.run_json(**options)
        out = self.folder / "out"
        about = json.loads((out / "kept" / "average.json").read_text())
        self.assertGreater(len(result["kept_steps"]), 1)
        self.assertEqual(result["kept_steps"], about["steps"])
        self.assertIn(result["kept_step"], about["steps"])
        self.assertEqual((out / "model" / "model.safetensors").read_bytes(), (out / "kept" / "model.safetensors").read_bytes())
        for key, value in result["after"].items():
            self.assertEqual(value, about[key])
        self.assertIn("heldout_majority_ratio", result["after"])
        done = self.ok(*self.arguments(out="again", **options))
        self.assertIn("kept the average of steps " + ", ".join(map(str, about["steps"])), done.stderr)
        self.assertRegex(done.stdout, r"before +average")

    def test_a_table_is_what_a_person_gets(self):
        done = self.ok(*self.arguments(problems=self.problems(12), eval_samples=40))
        self.assertRegex(done.stdout, r"(?m)^  majority ratio +\d\.\d{3} +\d\.\d{3}$")
        self.assertRegex(done.stdout, r"(?m)^  entropy, nats a token ")
        self.assertNotIn("accuracy", done.stdout)
        self.assertIn("all steps done at step 4", done.stderr)

    def test_labels_are_measured_with_where_all_problems_have_one(self):
        without = self.run_json(problems=self.problems(12), out="without")
        labelled = self.run_json(problems=self.problems(12, labelled=True, name="labelled.jsonl"), out="with", eval_samples=16)
        wrongly = self.run_json(problems=self.problems(12, labelled=True, wrong=True, name="wrongly.jsonl"), out="wrongly", eval_samples=16)
        self.assertNotIn("heldout_accuracy", without["after"])
        self.assertGreater(labelled["before"]["heldout_majority_accuracy"], 0.8)
        self.assertLess(wrongly["before"]["heldout_majority_accuracy"], 0.2)

    def test_the_model_is_the_same_whatever_the_labels_are(self):
        models = []
        for name, label in (("none", None), ("right", sorted), ("wrong", lambda text: sorted(text, reverse=True))):
            rows = [{"id": text, "prompt": text + "?"} | ({"answer": "".join(label(text))} if label else {})
                    for text in digits(12)]
            path = self.write(f"{name}.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
            self.ok(*self.arguments(problems=path, out=name))
            models.append(tree(self.folder / name / "model"))
        self.assertEqual(models[0], models[1])
        self.assertEqual(models[0], models[2])

    def test_the_guard_is_on_and_what_is_kept_stands_before_the_fall(self):
        result = self.run_json(problems=self.problems(16), steps=30, prompts=8, learning_rate=0.03)
        self.assertEqual(result["stopped_by"], "guard")
        self.assertLess(result["kept_step"], result["steps"])
        self.assertLess(result["steps"], 30)
        unguarded = self.run_json("--no-guard", problems=self.problems(16), out="free", steps=8, learning_rate=0.03)
        self.assertIsNone(unguarded["stopped_by"])
        self.assertEqual(unguarded["steps"], 8)

    def test_a_step_asks_no_problem_twice(self):
        self.ok(*self.arguments(problems=self.problems(6), prompts=64, steps=1, out="asked"))
        options = self.arguments(problems=self.problems(6), steps=1)
        place = options.index("--prompts")
        del options[place:place + 2]
        self.ok(*options)
        self.assertIn("eval-samples = 2\n", (self.folder / "out" / "config.toml").read_text())
        place = options.index("--eval-samples")
        del options[place:place + 2]
        options[options.index("--out") + 1] = self.folder / "enough"
        self.ok(*options)
        self.assertIn("eval-samples = 86\n", (self.folder / "enough" / "config.toml").read_text())
        self.assertIn("prompts = 6\n", (self.folder / "out" / "config.toml").read_text())
        self.assertIn("prompts = 64\n", (self.folder / "asked" / "config.toml").read_text())

    def test_a_set_that_is_large_enough_to_collapse_is_warned_of(self):
        for count, wanted in ((128, None), (129, "may be too many"), (512, "too many to be safe")):
            with self.subTest(count=count):
                done = self.ok(*self.arguments(problems=self.problems(count), steps=1, eval_problems=4, eval_samples=2,
                                               out=f"out{count}"))
                if wanted:
                    self.assertRegex(done.stderr, rf"(?m)^warning: {count} problems .*{wanted}")
                else:
                    self.assertNotIn("warning", done.stderr)

    def test_a_base_whose_answers_the_rules_do_not_find_is_warned_of(self):
        path = self.problems(6)
        # These responses have no box, and a model of 512 positions has no room for the default of --task file.
        done = self.ok(*self.arguments(problems=path, task="file", max_new_tokens=16, steps=2))
        self.assertIn("find no answer", done.stderr)
        self.assertNotIn("find no answer", self.ok(*self.arguments("other", problems=path, steps=2)).stderr)
        self.refused(self.arguments("third", problems=path, task="file"), "max-new-tokens", "512 positions", "at most 506")

    def test_adapters_are_merged_into_the_model(self):
        result = self.run_json(problems=self.problems(12), lora_rank=2, learning_rate=1e-2)
        self.assertGreater(result["kept_step"], 0)
        self.assertFalse((self.folder / "out" / "model" / "adapter_config.json").exists())
        self.ok("eval", *flags(model=self.folder / "out" / "model", task="sort", count=4, samples=2, threads=1))

    def test_an_interrupted_run_goes_on_to_the_same_model(self):
        path = self.problems(12)
        self.ok(*self.arguments(problems=path, out="whole", steps=8), "--no-guard")
        cut = self.folder / "cut"
        process = start_and_signal([*self.arguments(problems=path, out="cut", steps=8), "--no-guard"], cut, 3, signal.SIGINT)
        self.assertEqual(process.returncode, 130, process.err)
        self.assertIn(f"whet ttt --resume {cut}", process.err)
        self.assertEqual(json.loads(self.ok("ttt", "--resume", cut, "--json").stdout)["model"], str(Path(cut) / "model"))
        self.assertEqual(repeatable(cut), repeatable(self.folder / "whole"))

    def test_bad_input_is_named_and_leaves_nothing(self):
        good = self.problems(12)
        empty = self.write("empty.jsonl", "")
        self.write("broken.jsonl", '{"prompt": "12?"}\n{"promt": "3?"}\n')
        self.ok("train", *flags(SHORT, model=self.model, out=self.shared / f"plain-{self.folder.name}"))
        before = tree(self.folder)
        for arguments, *wanted in (
            (self.arguments(problems=empty), "empty.jsonl", "no problems"),
            (self.arguments(problems=self.folder / "broken.jsonl"), "broken.jsonl: line 2", "prompt"),
            (self.arguments(problems=self.folder / "none.jsonl"), "none.jsonl"),
            (self.arguments(), "problems", "--problems FILE"),
            (self.arguments(problems=good, model=self.folder / "nowhere"), "model", "nowhere", "sort-strong"),
            (self.arguments(problems=good, model=""), "model"),
            (self.arguments(problems=good, task="srot"), "'srot'", "sort", "file"),
            (self.arguments(problems=good, reward="ground-truth"), "ground-truth", "want labels"),
            (self.arguments(problems=good, held_out_problems=good), "--held-out-problems"),
            (["ttt", *flags(RUN, model=BASE, problems=good)], "--out"),
            (["ttt", "--resume", self.shared / f"plain-{self.folder.name}"], "finished"),
            (["ttt", "--resume", self.folder], str(self.folder)),
        ):
            with self.subTest(wanted=wanted):
                self.refused(arguments, *wanted)
                self.assertEqual(tree(self.folder), before)

    # ---- --probe

    def train(self, model, out="run", **more):
        return ["train", *flags(SHORT, model=model, out=self.folder / out, **more)]

    def test_a_base_whose_majority_is_wrong_is_refused_unless_it_is_insisted(self):
        probe = self.problems(40, labelled=True)
        before = tree(self.folder)
        line = self.refused(self.train(self.model, probe=probe), "probe", "misaligned", "95 % confidence", "--probe-only-warn", code=1)
        self.assertRegex(line, r"right on \d+ of \d+ probe problems")
        self.assertEqual(tree(self.folder), before)
        self.refused(self.arguments(problems=probe, model=self.model, probe=probe), "misaligned", code=1)
        done = self.ok(*self.train(self.model, probe=probe), "--probe-only-warn")
        self.assertIn("probe: the base is misaligned", done.stderr)
        self.assertEqual(json.loads((self.folder / "run" / "summary.json").read_text())["probe"], "misaligned")

    def test_a_base_whose_majority_is_right_is_trained_and_measured(self):
        for name, options in (("file", dict(probe=self.problems(20, labelled=True))), ("held-out", dict(probe_problems=20))):
            with self.subTest(name):
                done = self.ok(*self.train(BASE, out=name, **options))
                self.assertIn("probe: the base is aligned", done.stderr)
                for line in read_metrics(self.folder / name):
                    self.assertGreaterEqual(line["probe_majority_accuracy"], 0.7)
                summary = json.loads((self.folder / name / "summary.json").read_text())
                self.assertEqual(summary["probe"], "aligned")
                self.assertLess(summary["probe_asked"], 20)
                self.assertFalse(summary["stopped_by_probe"])

    def test_a_majority_that_becomes_worse_ends_the_run(self):
        options = dict(steps=30, prompts=16, samples=8, learning_rate=0.03, probe_problems=32)
        done = self.ok(*self.train(BASE, **options))
        summary = json.loads((self.folder / "run" / "summary.json").read_text())
        self.assertTrue(summary["stopped_by_probe"])
        self.assertLess(summary["steps"], 30)
        self.assertRegex(done.stderr, rf"stopped by the probe at step {summary['steps']}: the majority is right on \d+ of 32 ")
        self.ok(*self.train(BASE, out="insisted", **(options | dict(steps=summary["steps"] + 1))), "--probe-only-warn")
        self.assertEqual(json.loads((self.folder / "insisted" / "summary.json").read_text())["steps"], summary["steps"] + 1)

    def test_a_probed_run_repeats_itself_after_a_kill(self):
        arguments = self.train(BASE, out="cut", steps=6, probe_problems=16)
        start_and_signal(arguments, self.folder / "cut", 4)
        self.ok("train", "--resume", self.folder / "cut")
        self.ok(*self.train(BASE, out="whole", steps=6, probe_problems=16))
        self.assertEqual(repeatable(self.folder / "cut"), repeatable(self.folder / "whole"))

    def test_probes_that_could_tell_nothing_are_refused(self):
        few = self.problems(15, labelled=True, name="few.jsonl")
        many = self.problems(65, labelled=True, name="many.jsonl")
        bare = self.problems(20, name="bare.jsonl")
        good = self.problems(20, labelled=True, name="good.jsonl")
        before = tree(self.folder)
        for options, *wanted in (
            (dict(probe=few), "probe", "15 problems", "want 16 to 64"),
            (dict(probe=many), "probe", "65 problems", "want 16 to 64"),
            (dict(probe=bare), "bare.jsonl:1", "no answer"),
            (dict(probe=good, probe_problems=20), "probe-problems", "--probe"),
            (dict(probe_problems=4), "probe-problems", "want 16 to 64"),
            (dict(probe_problems=65), "probe-problems", "65"),
            (dict(probe=good, probe_confidence=0.3), "probe-confidence", "0.3"),
            (dict(probe=self.folder / "none.jsonl"), "none.jsonl"),
        ):
            with self.subTest(wanted=wanted):
                self.refused(self.train(BASE, **options), *wanted)
                self.assertEqual(tree(self.folder), before)


if __name__ == "__main__":
    unittest.main()
