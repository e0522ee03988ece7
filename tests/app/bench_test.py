"""whet bench: the table and its numbers, and the phases that every run records."""
import json
import signal
import unittest

from driver import SHORT, TINY, WhetTest, flags, metrics_lines, read_metrics, repeatable, start_and_signal

PHASES = ["prefill", "decode", "sampling", "reward", "forward", "backward", "optimizer", "evaluation", "io", "other"]
QUICK = dict(steps=2, warm_up=1, problems=4, samples=4, threads=1)


class Bench(WhetTest):
    def measured(self, *arguments, **options):
        return json.loads(self.ok("bench", "--json", *flags(QUICK, options), *arguments).stdout)

    def test_the_phases_of_a_step_with_their_work_and_share(self):
        report = self.measured("--model", self.model)
        phases = report["phases"]
        self.assertEqual(list(phases), [p for p in PHASES if p not in ("evaluation", "io")])
        self.assertEqual({name: entry["seconds"] for name, entry in phases.items()}, report["phase_seconds"])
        for name in ("prefill", "decode", "forward", "backward", "sampling", "optimizer"):
            entry = phases[name]
            self.assertGreater(entry["flops"], 0)
            self.assertAlmostEqual(entry["flops_per_second"] * entry["seconds"], entry["flops"], delta=1e-6 * entry["flops"])
            ceiling = {"compute": entry["flops"] / report["gemm_peak_flops"],
                       "memory": entry["bytes"] / report["memory_bytes_per_second"]}[entry["bound"]]
            self.assertAlmostEqual(entry["share_of_ceiling"], ceiling / entry["seconds"], delta=1e-9)
            self.assertLess(entry["share_of_ceiling"], 1.0, name)
        self.assertAlmostEqual(phases["backward"]["flops"], 2 * phases["forward"]["flops"], delta=1)
        self.assertIn("shape_peak_flops", phases["forward"])
        self.assertNotIn("shape_peak_flops", phases["optimizer"])
        self.assertLess(sum(entry["seconds"] for entry in phases.values()), 2 * report["step_seconds"])

    def test_the_table_has_a_row_a_phase(self):
        lines = self.ok("bench", "--model", self.model, *flags(QUICK)).stdout.splitlines()
        rows = [line.split()[0] for line in lines if line.startswith("  ")]
        self.assertEqual(rows, ["phase"] + [p for p in PHASES if p not in ("evaluation", "io")] + ["rollout", "update", "step"])

    def test_weights_in_bfloat16_are_half_the_bytes(self):
        config = json.loads((self.model / "config.json").read_text())
        self.assertFalse(config["tie_word_embeddings"], "the embedding is only looked up")
        words = len(json.loads((self.model / "tokenizer.json").read_text())["model"]["vocab"])
        never_read = (config["vocab_size"] + config["vocab_size"] - words) * config["hidden_size"]
        options = dict(prompt_tokens=1, max_new_tokens=4)
        whole, half = (self.measured("--model", self.model, "--precision", precision, **options) for precision in ("float32", "bfloat16"))
        self.assertEqual([whole["precision"], half["precision"]], ["float32", "bfloat16"])
        saved = whole["phases"]["prefill"]["bytes"] - half["phases"]["prefill"]["bytes"]
        self.assertEqual(saved, 2 * (whole["parameters"] - never_read))
        added = half["phases"]["optimizer"]["bytes"] - whole["phases"]["optimizer"]["bytes"]
        self.assertEqual(added, 6 * whole["parameters"])
        self.refused(["bench", "--model", self.model, "--precision", "float16"], "precision", "float16")

    def test_random_prompts_for_a_model_that_cannot_sort(self):
        report = self.measured("--model", "arithmetic", prompt_tokens=20, mode="rollout")
        self.assertNotIn("update", report)
        short = self.measured("--model", "arithmetic", prompt_tokens=10, mode="rollout")
        self.assertGreater(report["phases"]["prefill"]["flops"], 1.9 * short["phases"]["prefill"]["flops"])

    def test_mistakes_are_named(self):
        self.refused(["bench", "--model", "nothing"], "nothing", "sort-strong")
        self.refused(["bench", "--model", self.model, "--run", "x"], "one of")
        self.refused(["bench", "--run", self.folder], "run", self.folder)
        self.refused(["bench", "--model", self.model, "--prompt-tokens", 5, "--mode", "pretrain"], "prompt-tokens", "5")
        self.refused(["bench", "--model", "arithmetic"], "--prompt-tokens", "'?'")


class Phases(WhetTest):
    def test_a_training_run_records_every_phase_and_bench_reads_them(self):
        run = self.folder / "run"
        self.ok("train", "--model", self.model, *flags(SHORT), "--out", run)
        lines = [json.loads(line) for line in (run / "timings.jsonl").read_text().splitlines()]
        self.assertEqual([line["step"] for line in lines], [1, 2])
        for line in lines:
            self.assertEqual(list(line["phases"]), PHASES)
            self.assertAlmostEqual(sum(phase["seconds"] for phase in line["phases"].values()), line["seconds"],
                                   delta=0.1 * line["seconds"] + 0.005)
            # Of an evaluation the rollouts are counted as its own.
            for phase in ("prefill", "decode", "forward", "backward", "evaluation"):
                self.assertGreater(line["phases"][phase]["flops"], 0, phase)
        report = json.loads(self.ok("bench", "--json", "--run", run).stdout)
        self.assertEqual(report["lines"], 2)
        mean = sum(line["phases"]["decode"]["seconds"] for line in lines) / 2
        self.assertAlmostEqual(report["phases"]["decode"]["seconds"], mean, places=12)

    def test_pretraining_records_its_phases(self):
        lines = [json.loads(line) for line in (self.shared / "base" / "timings.jsonl").read_text().splitlines()]
        for line in lines:
            self.assertTrue({"forward", "backward", "optimizer", "io"} <= set(line["phases"]), line)
        self.assertIn("evaluation", lines[-1]["phases"])


class Trace(WhetTest):
    def events(self, path):
        """The complete events of a trace, in the order of their ends, each checked to lie within the next one that is open."""
        events = [event for event in json.loads(path.read_text()) if event["ph"] != "M"]
        for event in events:
            self.assertEqual(event["ph"], "X")
            self.assertGreaterEqual(event["dur"], 0)
        ends = [event["ts"] + event["dur"] for event in events]
        self.assertEqual(ends, sorted(ends))
        open_events = []
        for event in sorted(events, key=lambda event: (event["ts"], -event["dur"])):
            while open_events and event["ts"] >= open_events[-1]["ts"] + open_events[-1]["dur"] - 1e-6:
                open_events.pop()
            if open_events:
                outer = open_events[-1]
                self.assertLessEqual(event["ts"] + event["dur"], outer["ts"] + outer["dur"] + 1e-3, (event, outer))
            open_events.append(event)
        return events

    def test_a_trace_is_json_of_nested_events_and_changes_no_byte_of_the_run(self):
        training = ["train", "--model", self.model, *flags(SHORT)]
        self.ok(*training, "--out", self.folder / "plain")
        self.ok(*training, "--out", self.folder / "run", "--trace", self.folder / "trace.json")
        self.assertEqual(repeatable(self.folder / "run"), repeatable(self.folder / "plain"))
        names = [event["name"] for event in self.events(self.folder / "trace.json")]
        self.assertEqual([name for name in names if name.startswith("step ")], ["step 1", "step 2"])
        for name in ("opening", "prefill", "decode", "sampling", "reward", "forward", "backward", "optimizer", "evaluation",
                     "metrics", "rollout dump", "checkpoint", "log-probs"):
            self.assertIn(name, names)

    def test_a_trace_is_whole_after_an_interrupt_and_after_resuming(self):
        run, trace = self.folder / "run", self.folder / "trace.json"
        process = start_and_signal(["train", "--model", self.model, *flags(SHORT, steps=500), "--out", run, "--trace", trace], run,
                                   3, signal.SIGINT)
        self.assertEqual(process.returncode, 130, process.err)
        done = read_metrics(run)[-1]["step"]
        names = [event["name"] for event in self.events(trace)]
        self.assertEqual([name for name in names if name.startswith("step ")], [f"step {i + 1}" for i in range(done)])
        process = start_and_signal(["train", "--resume", run, "--trace", trace], run, metrics_lines(run) + 2, signal.SIGINT)
        self.assertEqual(process.returncode, 130, process.err)
        self.assertIn(f"step {done + 1}", [event["name"] for event in self.events(trace)])

    def test_a_trace_that_cannot_be_written_is_named_before_there_is_a_run(self):
        run = self.folder / "run"
        self.refused(["train", "--model", self.model, *flags(SHORT), "--out", run, "--trace", self.folder / "none" / "t.json"],
                     "trace", self.folder / "none")
        self.assertFalse(run.exists())


class Threads(WhetTest):
    def test_a_training_run_is_the_same_for_any_number_of_threads(self):
        def run(threads):
            out = self.folder / str(threads)
            self.ok("train", "--model", self.model, *flags(SHORT, reward="self-certainty", steps=4, learning_rate=0.01,
                                                           threads=threads), "--out", out)
            # The configuration says how many threads there were.
            return {name: digest for name, digest in repeatable(out).items() if name != "config.toml"}
        one = run(1)
        self.assertIn("checkpoints/step-000004/optimizer.safetensors", one)
        self.assertEqual(run(2), one)
        self.assertEqual(run(3), one)

    def test_a_pretraining_run_is_the_same_for_any_number_of_threads(self):
        def run(threads):
            out = self.folder / str(threads)
            self.ok("pretrain", *flags(TINY, steps=20, threads=threads), "--out", out)
            return {name: digest for name, digest in repeatable(out).items() if name != "config.toml"}
        self.assertEqual(run(2), run(1))


if __name__ == "__main__":
    unittest.main()
