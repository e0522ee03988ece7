"""The commands as a user meets them: help, listings without an engine, JSON, problem files, configs, every reward."""
import json
import os
import re
import time
import tomllib
import unittest

from driver import SHORT, TINY, WhetTest, flags, read_metrics, repeatable, tree, whet


def sorting_rows(count):
    return [{"prompt": f"{i:05}?", "answer": "".join(sorted(f"{i:05}")), "id": f"row-{i}", "rephrased": [f"{i:05}?"[::-1][1:] + "?"]}
            for i in range(count)]


def as_lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


class Commands(WhetTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        listed = whet("--help").stdout
        cls.commands = re.findall(r"^  ([a-z]+) +\S", listed[listed.index("Subcommands:"):], re.MULTILINE)
        cls.rewards = [entry["name"] for entry in json.loads(whet("rewards", "--json").stdout)]
        cls.tasks = [line.split()[0] for line in whet("tasks").stdout.splitlines()]

    # ---- help and listings

    def test_the_listings_name_what_there_is(self):
        for name in ("train", "mcs", "eval", "generate", "pretrain", "report", "rewards", "tasks"):
            self.assertIn(name, self.commands)
        for name in ("majority-vote", "ground-truth", "self-certainty", "token-entropy", "trajectory-entropy", "probability"):
            self.assertIn(name, self.rewards)
        for name in ("sort", "arithmetic", "countdown", "file"):
            self.assertIn(name, self.tasks)

    def test_each_command_has_help_with_examples_and_defaults(self):
        for command in self.commands:
            with self.subTest(command=command):
                done = self.ok(command, "--help")
                self.assertEqual(done.stderr, "")
                self.assertRegex(done.stdout, rf"Examples:\n(?:.*\n)*? *(?:.*\| )?whet {command}")
        for command, default in (("train", "--steps INT=300"), ("train", "--reward TEXT=majority-vote"),
                                 ("mcs", "--threshold TEXT=1%"), ("eval", "--samples INT=8"),
                                 ("generate", "--count INT=4"), ("pretrain", "--hidden-size INT=64"),
                                 ("report", "--out TEXT=report.html")):
            with self.subTest(command=command, default=default):
                self.assertIn(default, re.sub(r"(INT|TEXT|FLOAT)[^=\n]*=", r"\1=", self.ok(command, "--help").stdout))

    def test_what_runs_no_model_needs_no_engine_and_starts_at_once(self):
        environment = dict(os.environ, WHET_ENGINE="/nonexistent")
        for arguments in (["--help"], ["--version"], ["rewards"], ["tasks"], *([command, "--help"] for command in self.commands)):
            with self.subTest(arguments=arguments):
                # The best of three: the machine may be busy with something else.
                seconds = []
                for _ in range(3):
                    start = time.monotonic()
                    self.ok(*arguments, env=environment)
                    seconds.append(time.monotonic() - start)
                self.assertLess(min(seconds), 0.5)
        self.ok("report", self.shared / "base", "--out", self.folder / "page.html", env=environment)

    # ---- eval

    def check_estimate(self, estimate):
        self.assertEqual(sorted(estimate), ["high", "low", "value"])
        self.assertLessEqual(0, estimate["low"])
        self.assertLessEqual(estimate["low"], estimate["value"])
        self.assertLessEqual(estimate["value"], estimate["high"])
        self.assertLessEqual(estimate["high"], 1)

    def evaluate(self, *arguments, **options):
        done = self.ok("eval", *flags(dict(model=self.model, samples=4, threads=1), **options), "--json", *arguments)
        self.assertEqual(done.stdout.count("\n"), 1)
        return json.loads(done.stdout)

    def test_eval_gives_one_object_with_intervals_and_the_same_one_again(self):
        result = self.evaluate("--pass-at", "1", "2", "4", task="sort", count=6)
        self.assertEqual(result["problems"], 6)
        self.assertEqual(result["samples"], 4)
        self.assertEqual(sorted(result["pass"]), ["1", "2", "4"])
        for estimate in (result["avg"], result["maj"], *result["pass"].values()):
            self.check_estimate(estimate)
        self.assertAlmostEqual(result["pass"]["1"]["value"], result["avg"]["value"])
        self.assertGreater(result["tokens"], 0)
        self.assertEqual(self.evaluate("--pass-at", "1", "2", "4", task="sort", count=6), result)
        self.assertNotEqual(self.evaluate("--pass-at", "1", "2", "4", task="sort", count=6, seed=1)["tokens"], result["tokens"])

    def test_eval_reads_json_lines_arrays_and_verl_rows_alike(self):
        rows = sorting_rows(60)
        verl = [{"data_source": "mine", "prompt": [{"role": "user", "content": row["prompt"]}],
                 "reward_model": {"style": "rule", "ground_truth": row["answer"]}, "extra_info": {"index": row["id"]}}
                for row in rows]
        results = []
        for name, text in (("lines.jsonl", as_lines(rows)), ("array.json", json.dumps(rows)), ("verl.jsonl", as_lines(verl))):
            path = self.write(name, text)
            results.append(self.evaluate(problems=path, max_new_tokens=12))
            self.assertEqual(results[-1].pop("task"), str(path))
        for result in results:
            self.assertGreater(result["problems"], 0)
            del result["model"]
        self.assertEqual(results[0], results[1])
        self.assertEqual(results[0], results[2])

    def test_eval_takes_each_problem_of_a_small_file_once(self):
        path = self.write("few.jsonl", as_lines(sorting_rows(60)))
        held_out = self.evaluate(problems=path, max_new_tokens=12, count=1000)["problems"]
        trained = self.evaluate(problems=path, max_new_tokens=12, count=1000, split="train")["problems"]
        self.assertEqual(held_out + trained, 60)

    # ---- mcs

    def mcs(self, **options):
        run = self.folder / f"mcs-{len(os.listdir(self.folder))}"
        done = self.ok("mcs", *flags(SHORT, dict(model=self.model, steps=6, seeds=1, out=run), **options), "--json")
        self.assertEqual(done.stdout.count("\n"), 1)
        result = json.loads(done.stdout)
        for field in ("mcs", "threshold", "peak_step", "peak_accuracy", "final_accuracy", "label_free_step", "steps", "seconds",
                      "tokens"):
            self.assertIn(field, result)
        return result, run, done.stderr

    def test_mcs_that_is_not_reached_is_null_and_says_so(self):
        # A vote of a model that never sorts pays wrong answers at most half of the time here.
        result, run, said = self.mcs(threshold="0.0001", steps=4)
        self.assertIsNone(result["mcs"])
        self.assertEqual(result["threshold"], "0.0001")
        self.assertEqual(result["steps"], 4)
        self.assertIn("no collapse", said)
        self.assertEqual(read_metrics(run)[-1]["step"], 4)

    def test_mcs_that_is_reached_ends_the_run(self):
        # Below 1 is any vote that pays a single wrong answer; three steps are needed for a mean of three.
        result, run, said = self.mcs(threshold="0.9999", steps=30, temperature=0.3)
        self.assertIsNotNone(result["mcs"])
        self.assertEqual(result["steps"], result["mcs"])
        self.assertLess(result["mcs"], 30)
        self.assertGreaterEqual(result["mcs"], 3)
        self.assertIn(f"Model Collapse Step: {result['mcs']}", said)
        self.assertEqual(read_metrics(run)[-1]["step"], result["mcs"])
        window = [line["reward_accuracy"] for line in read_metrics(run) if "reward_accuracy" in line]
        self.assertLess(sum(window[-3:]) / 3, 0.9999)
        self.assertTrue((run / "summary.json").exists())
        self.refused(["train", "--resume", run], "finished")

    # ---- generate

    def generate(self, *arguments, **options):
        done = self.ok("generate", "--model", self.model, "--threads", 1, "--json", *arguments, **options)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def test_generate_reads_prompts_from_standard_input(self):
        rows = self.generate("--prompt", "-", "--samples", 2, "--max-new-tokens", 5, input="123?\n54321?\n")
        self.assertEqual([row["prompt"] for row in rows], ["123?", "123?", "54321?", "54321?"])
        for row in rows:
            self.assertLessEqual(row["tokens"], 5)
            self.assertLess(row["logprob"], 0)
            self.assertEqual(row["truncated"], row["truncated"] and row["tokens"] == 5)
        alone = self.generate("--prompt", "54321?", "--samples", 2, "--max-new-tokens", 5)
        self.assertEqual([row["response"] for row in alone], [row["response"] for row in rows[2:]],
                         "what else is sampled must not matter")

    def test_generate_grades_the_problems_of_a_task(self):
        rows = self.generate("--task", "sort", "--count", 3, "--samples", 2)
        self.assertEqual(len(rows), 6)
        for row in rows:
            self.assertIn(row["correct"], (True, False))
            self.assertIn("answer", row)
        plain = self.ok("generate", "--model", self.model, "--task", "sort", "--count", 2, "--threads", 1).stdout
        self.assertRegex(plain, r"\A(?:.*   (?:right|wrong)\n){2}\Z")

    def test_a_benchmark_can_be_measured_without_a_file_to_train_on(self):
        rows = self.write("test.jsonl", as_lines(sorting_rows(6)))
        result = self.evaluate(held_out_problems=rows, count=100, max_new_tokens=12)
        self.assertEqual((result["problems"], result["task"]), (6, str(rows)))
        for files in (dict(held_out_problems=rows), dict(problems=rows, held_out_problems=rows)):
            short = {key: value for key, value in SHORT.items() if key != "task"}
            self.refused(["train", *flags(short, files, model=self.model, max_new_tokens=12), "--out", self.folder / "run"],
                         "[problems]", "train on")
            self.assertFalse((self.folder / "run").exists())

    def test_greedy_responses_are_all_the_same(self):
        rows = self.generate("--prompt", "123?", "--samples", 3, "--greedy")
        self.assertEqual(len({row["response"] for row in rows}), 1)

    # ---- train

    def test_each_reward_trains(self):
        rows = self.write("rows.jsonl", as_lines(sorting_rows(60)))
        options = {key: value for key, value in SHORT.items() if key != "task"}
        from_file = dict(problems=rows, max_new_tokens=12)
        needed = {"program": dict(task="sort"), "self-verification": dict(task="sort"),
                  "weighted-vote": dict(from_file, voters=self.model), "length": dict(from_file, length_min=3),
                  "challenger": dict(task="sort", model="sort-ask")}
        for reward in [*self.rewards, "majority-vote + 0.5*format"]:
            with self.subTest(reward=reward):
                run = self.folder / reward.replace(" ", "")
                self.ok("train", *flags(options, dict(model=self.model), needed.get(reward, from_file), reward=reward, out=run))
                lines = read_metrics(run)
                self.assertEqual([line["step"] for line in lines], [0, 1, 2])
                for line in lines[1:]:
                    self.assertIsInstance(line["reward"], float)
                    self.assertIsInstance(line["gradient_norm"], float)
                dumped = [json.loads(line) for line in (run / "rollouts" / "2.jsonl").read_text().splitlines()]
                groups = SHORT["prompts"] * (2 if reward == "co-reward" else 1)
                if reward == "challenger":
                    groups = round(SHORT["prompts"] * lines[2]["proposals_well_formed"])
                self.assertEqual(len(dumped), groups * SHORT["samples"])

    def test_what_a_reward_needs_and_the_run_has_not_is_said_before_anything_is_written(self):
        plain = self.write("plain.jsonl", as_lines([{"prompt": f"{i:05}?"} for i in range(60)]))
        cases = [(dict(reward="ground-truth", problems=plain), "[ground-truth] problem", "want labels"),
                 (dict(reward="co-reward", problems=plain), "[co-reward] no problem has a rephrasing", '"rephrased"'),
                 (dict(reward="program", problems=plain), "[program] task", "no checker", "countdown"),
                 (dict(reward="weighted-vote"), "[weighted-vote]", "--voters"),
                 (dict(reward="weighted-vote", voters="nowhere"), "[model] no folder nowhere"),
                 (dict(reward="self-certainty", votes=8), "[votes] 8", "majority-vote"),
                 (dict(reward="majority-vote", votes=2), "[votes] 2", "--samples 4"),
                 (dict(reward="majority-vote", voters=self.model), "[voters]", "weighted-vote"),
                 (dict(reward="majority-vote", teacher_decay=0.9), "[teacher-decay]", "teacher-vote"),
                 (dict(reward="majority-vote", proposer=self.model), "[proposer]", "challenger"),
                 (dict(reward="challenger", task="countdown", model="countdown"), "[challenger] task 'countdown'", "sort"),
                 (dict(reward="challenger + co-reward"), "[reward]", "no rephrasings"),
                 (dict(reward="challenger", agreement_low=0.9), "[agreement-high] 0.7", "0.9"),
                 (dict(reward="majority-vote", samples=1), "[samples] 1, want >= 2"),
                 (dict(reward="majority-vote +"), "[reward]", "the name of a reward"),
                 (dict(reward="majority-vote + 0.5*nothing"), "unknown reward 'nothing'")]
        for options, *wanted in cases:
            with self.subTest(options=options):
                short = {key: value for key, value in SHORT.items() if key != "task" or "problems" not in options}
                short["max_new_tokens"] = 12  # of a file's problems; the tiny model has no room for the default
                self.refused(["train", *flags(short, dict(model=self.model), options), "--out", self.folder / "run"], *wanted)
                self.assertFalse((self.folder / "run").exists())

    def test_a_proposer_that_writes_no_problem_ends_the_run_and_says_why(self):
        done = self.refused(["train", *flags(SHORT, model=self.model, reward="challenger", out=self.folder / "run")],
                            "[challenger]", "no well-formed problem in the 4 tries of step 1", code=1, after_progress=True)
        self.assertIn("--proposer", done)

    def test_a_voter_with_another_tokenizer_votes(self):
        # Its digits have other ids, and it knows characters that the policy does not.
        self.ok("pretrain", *flags(TINY, task="countdown", steps=2), "--out", self.folder / "countdown")
        voter = self.folder / "countdown" / "checkpoints" / "step-000002"
        rows = self.write("rows.jsonl", as_lines([dict(row, prompt=row["prompt"].replace("?", "=")) for row in sorting_rows(60)]))
        alphabet = dict(model=voter, voters=self.model)
        # The sorting model has no token for ":"; it has one for "=".
        self.ok("train", *flags({k: v for k, v in SHORT.items() if k != "task"}, alphabet, problems=rows, max_new_tokens=12,
                                reward="weighted-vote"), "--out", self.folder / "run")
        self.assertIn("policies_agreement", read_metrics(self.folder / "run")[-1])
        self.refused(["train", *flags(SHORT, alphabet, task="countdown", reward="weighted-vote"), "--out", self.folder / "no"],
                     self.model, "byte")

    def test_training_writes_a_folder_that_evaluates_and_trains_on(self):
        run = self.folder / "run"
        self.ok("train", *flags(SHORT, model=self.model, out=run))
        checkpoint = run / "checkpoints" / "step-000002"
        self.assertEqual(self.evaluate(model=checkpoint, task="sort", count=4)["problems"], 4)
        self.ok("train", *flags(SHORT, model=checkpoint, out=self.folder / "again"))
        self.assertTrue((run / "events.out.tfevents.whetstone").stat().st_size > 0)
        self.assertEqual(json.loads((run / "summary.json").read_text())["steps"], 2)

    def test_a_runs_config_repeats_it_and_other_options_override_it(self):
        first = self.folder / "first"
        self.ok("train", *flags(SHORT, model=self.model, out=first, reward="token-entropy", seed=7, temperature=0.9,
                                mini_batches=2, learning_rate=0.001))
        again = self.folder / "again"
        self.ok("train", "--config", first / "config.toml", "--out", again)
        self.assertEqual(repeatable(first), repeatable(again))
        other = self.folder / "other"
        self.ok("train", "--config", first / "config.toml", "--seed", 8, "--out", other)
        config = tomllib.loads((other / "config.toml").read_text())
        self.assertEqual(config, tomllib.loads((first / "config.toml").read_text()) | {"seed": 8})
        self.assertNotEqual(repeatable(first)["metrics.jsonl"], repeatable(other)["metrics.jsonl"])

    def test_a_default_on_the_command_line_overrides_a_config(self):
        first = self.folder / "first"
        self.ok("train", *flags(SHORT, model=self.model, out=first, seed=7))
        other = self.folder / "other"
        self.ok("train", "--config", first / "config.toml", "--seed", 0, "--out", other)
        self.assertEqual(tomllib.loads((other / "config.toml").read_text())["seed"], 0)

    def test_a_relative_model_folder_is_found_again_from_elsewhere(self):
        run = self.folder / "run"
        relative = os.path.relpath(self.model, self.shared)
        self.ok("train", *flags(SHORT, model=relative, out=run), cwd=self.shared)
        (run / "summary.json").unlink()
        self.ok("train", "--resume", run, cwd="/")

    def test_the_report_is_one_page_of_the_runs_named(self):
        runs = []
        for reward in ("majority-vote", "ground-truth"):
            runs.append(self.folder / reward)
            self.ok("train", *flags(SHORT, model=self.model, reward=reward, out=runs[-1]))
        before = tree(runs[0])
        page = self.folder / "page.html"
        self.ok("report", *runs, "--title", "Two rewards", "--out", page)
        text = page.read_text()
        for wanted in ("Two rewards", "majority-vote", "ground-truth"):
            self.assertIn(wanted, text)
        self.assertNotRegex(text, r"(?:src|href)=[\"']https?://")
        self.assertEqual(tree(runs[0]), before)


if __name__ == "__main__":
    unittest.main()
