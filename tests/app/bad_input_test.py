"""What a person can get wrong, and what the program says: one line that names place, value and what was wanted, exit code
2, and nothing written or overwritten."""
import hashlib
import json
import os
import re
import shutil
import unittest
from pathlib import Path

from driver import SHORT, WhetTest, flags, read_safetensors, tree, write_safetensors

LABELLED = "".join(json.dumps({"prompt": f"{i:05}?", "answer": "".join(sorted(f"{i:05}"))}) + "\n" for i in range(40))
UNLABELLED = "".join(json.dumps({"prompt": f"{i:05}?"}) + "\n" for i in range(40))


class BadInput(WhetTest):
    def refused_without_a_trace(self, arguments, *wanted, **options):
        """Refused, and the test's folder is as it was."""
        before = tree(self.folder)
        line = self.refused(arguments, *wanted, **options)
        self.assertEqual(tree(self.folder), before)
        return line

    def train(self, model, **more):
        """Arguments of a short run on `model` that would stand in the test's folder."""
        return ["train", *flags(SHORT, model=model, out=self.folder / "run", **more)]

    def on_file(self, path, **more):
        options = {key: value for key, value in SHORT.items() if key != "task"} | {"max_new_tokens": 16}
        return ["train", *flags(options, model=self.model, problems=path, out=self.folder / "run", **more)]

    # ---- the command line

    def test_unknown_names_are_answered_with_the_known_ones(self):
        for arguments, *wanted in (
            (["trian"], "trian", "train", "mcs", "eval", "generate", "pretrain", "report", "rewards", "tasks"),
            ([], "train", "mcs", "eval"),
            (self.train(self.model, reward="majority"), "reward", "'majority'", "majority-vote", "ground-truth",
             "self-certainty"),
            (self.train(self.model, task="srot"), "task", "'srot'", "sort", "countdown", "arithmetic", "file"),
            (["pretrain", *flags(task="srot", out=self.folder / "run")], "task", "'srot'", "sort"),
            (["pretrain", *flags(task="sort", mixture="nonesuch", out=self.folder / "run")], "nonesuch"),
            (["eval", *flags(model=self.model, task="srot")], "task", "'srot'", "sort"),
            (["generate", *flags(model=self.model, task="srot")], "task", "'srot'", "sort"),
            (self.train(self.model, advantage="gpro"), "advantage", "gpro", "grpo"),
            (self.train(self.model, kl_estimator="k9"), "kl-estimator", "k9", "k1, k2, k3"),
            (["train", "--stepz", "3"], "--stepz", "--steps"),
            (["eval", "--modle", "x"], "--modle", "--model"),
        ):
            with self.subTest(arguments=arguments[:3]):
                self.refused_without_a_trace(arguments, *wanted)

    def test_numbers_out_of_range_are_named(self):
        for options, *wanted in (
            (dict(steps=-3), "steps", "-3", "want >= 1"),
            (dict(steps=0), "steps", "0", "want >= 1"),
            (dict(steps="ten"), "steps", "ten"),
            (dict(steps=1.5), "steps", "1.5"),
            (dict(steps=10**30), "steps", "want at most"),
            (dict(temperature=0), "temperature", "0", "want > 0"),
            (dict(temperature="nan"), "temperature", "nan", "want > 0"),
            (dict(temperature="inf"), "temperature", "inf"),
            (dict(learning_rate="inf"), "learning-rate", "inf"),
            (dict(weight_decay="inf"), "weight-decay", "inf"),
            (dict(gradient_clip="inf"), "gradient-clip", "inf"),
            (dict(top_p=1.5), "top-p", "1.5"),
            (dict(top_k=-1), "top-k", "-1"),
            (dict(learning_rate=-1), "learning-rate", "-1"),
            (dict(learning_rate="nan"), "learning-rate", "nan"),
            (dict(seed=-1), "seed", "-1", "want >= 0"),
            (dict(prompts=0), "prompts", "0"),
            (dict(samples=1), "samples", "1", "want >= 2", "grpo"),
            (dict(mini_batches=5), "mini-batches", "5", "at most --prompts 4"),
            (dict(threads=-1), "threads", "-1"),
            (dict(beta1=1), "beta1", "1"),
            (dict(beta2=1), "beta2", "1"),
        ):
            with self.subTest(options=options):
                self.refused_without_a_trace(self.train(self.model, **options), *wanted)

    def test_what_does_not_fit_together_is_named(self):
        out = self.folder / "run"
        for arguments, *wanted in (
            (["train", *flags(SHORT, model=self.model)], "--out", "--resume"),
            (["train", *flags(SHORT, out=out)], "no model given", "--model"),
            (["train", *flags(out=out, resume=out)], "--out", "--resume"),
            (["pretrain"], "--out", "--resume"),
            (["pretrain", *flags(heads=4, key_value_heads=3, out=out)], "key-value-heads", "3", "divisor"),
            (["pretrain", *flags(head_dim=7, out=out)], "head-dim", "7", "even"),
            (["pretrain", *flags(task="file", out=out)], "file"),
            (["mcs", *flags(SHORT, model=self.model)], "--out"),
            (["mcs", *flags(SHORT, model=self.model, out=out, threshold="much")], "much", "half-peak"),
            (["generate", *flags(model=self.model)], "--prompt", "--task"),
            (["generate", *flags(model=self.model, prompt="1?", task="sort")], "--prompt", "--task"),
            (["eval", *flags(model=self.model, samples=4, pass_at=8)], "pass-at", "8", "--samples 4"),
            (["eval", *flags(model=self.model, samples=4, pass_at="x")], "pass-at", "x"),
            (["report"], "runs"),
        ):
            with self.subTest(arguments=arguments):
                self.refused_without_a_trace(arguments, *wanted)

    def test_options_beside_resume_are_refused_instead_of_ignored(self):
        run = self.folder / "half"
        self.ok("train", *flags(SHORT, model=self.model, out=run))
        (run / "summary.json").unlink()
        for more in (dict(steps=5), dict(seed=0), dict(model=self.model)):
            with self.subTest(more=more):
                name = "--" + next(iter(more))
                self.refused_without_a_trace(["train", *flags(resume=run, **more)], name, "--resume")
        pretrained = self.folder / "pretrained"
        self.ok("pretrain", *flags(task="sort", steps=1, batch=4, hidden_size=16, layers=1, heads=1, key_value_heads=1,
                                   eval_problems=1, eval_samples=1, out=pretrained))
        (pretrained / "summary.json").unlink()
        self.refused_without_a_trace(["pretrain", *flags(resume=pretrained, steps=5)], "--steps", "--resume")

    def test_a_folder_without_a_run_is_not_resumed(self):
        empty = self.folder / "empty"
        empty.mkdir()
        for command in ("train", "pretrain"):
            for folder in (empty, self.folder / "missing", self.model):
                with self.subTest(command=command, folder=folder):
                    self.refused_without_a_trace([command, "--resume", folder], folder)

    def test_a_run_of_the_other_command_is_not_resumed(self):
        run = self.folder / "run"
        self.ok("train", *flags(SHORT, model=self.model, out=run))
        (run / "summary.json").unlink()
        self.refused_without_a_trace(["pretrain", "--resume", run], run)
        shutil.copytree(self.shared / "base", self.folder / "base")
        (self.folder / "base" / "summary.json").unlink()
        self.refused_without_a_trace(["train", "--resume", self.folder / "base"], self.folder / "base")

    def test_a_bad_config_file_is_named(self):
        for text, *wanted in (
            ("stepz = 3\n", "stepz", "steps"),
            ("steps = -3\n", "steps", "-3", "want >= 1"),
            ('steps = "3"\n', "steps", '"3"'),
            ("steps = = 3\n", "config.toml"),
        ):
            with self.subTest(text=text):
                path = self.write("config.toml", text)
                self.refused_without_a_trace(
                    ["train", *flags(config=path, model=self.model, out=self.folder / "run")], *wanted)
        self.refused_without_a_trace(["train", *flags(config=self.folder / "none.toml", out=self.folder / "run")], "none.toml")

    # ---- folders

    def test_a_folder_that_holds_something_is_not_written_to(self):
        out = self.folder / "run"
        out.mkdir()
        (out / "diary.txt").write_text("years of work")
        (out / "metrics.jsonl").write_text("{}\n")
        for arguments in (self.train(self.model), ["pretrain", *flags(task="sort", steps=1, out=out)],
                          ["mcs", *flags(SHORT, model=self.model, out=out)]):
            with self.subTest(command=arguments[0]):
                self.refused_without_a_trace(arguments, out, "already exists", "want a new folder")
        a_file = self.write("file", "text")
        self.refused_without_a_trace(["train", *flags(SHORT, model=self.model, out=a_file)], a_file, "already exists")

    def test_a_report_of_no_run_is_not_written(self):
        for folder in (self.folder / "missing", self.model, self.write("file", "text")):
            with self.subTest(folder=folder):
                self.refused_without_a_trace(["report", folder, "--out", self.folder / "page.html"], folder)
        diary = self.write("diary.html", "years of work")
        self.refused_without_a_trace(["report", self.shared / "base", "--out", diary], diary, "is no report")

    # ---- models

    def each_command(self, model):
        return (self.train(model), ["mcs", *flags(SHORT, model=model, out=self.folder / "run")],
                ["eval", *flags(model=model, task="sort", count=2, samples=2, threads=1)],
                ["generate", *flags(model=model, prompt="12345?", threads=1)])

    def test_a_missing_model_is_named_by_each_command(self):
        for model in (self.folder / "none", "no-such-embedded-model"):
            for arguments in self.each_command(model):
                with self.subTest(command=arguments[0]):
                    self.refused_without_a_trace(arguments, model, "want a Hugging Face folder")
        empty = self.folder / "empty"
        empty.mkdir()
        for arguments in self.each_command(empty):
            with self.subTest(command=arguments[0]):
                self.refused_without_a_trace(arguments, empty, "config.json")

    def damaged(self, change, *wanted, name="model"):
        """`change(folder)` makes a model wrong; every command then refuses it."""
        model = self.copy_of_model(name)
        change(model)
        for arguments in self.each_command(model):
            self.refused_without_a_trace(arguments, *wanted)
        shutil.rmtree(model)

    def test_a_damaged_config_is_named(self):
        def field(name, value):
            def change(model):
                config = json.loads((model / "config.json").read_text())
                if value is None:
                    del config[name]
                else:
                    config[name] = value
                (model / "config.json").write_text(json.dumps(config))
            return change

        for change, *wanted in (
            (lambda model: (model / "config.json").write_text('{"architectures": ['), "config.json", "not JSON"),
            (lambda model: (model / "config.json").write_text(""), "config.json", "not JSON"),
            (lambda model: (model / "config.json").write_text("[]"), "config.json", "object"),
            (field("architectures", ["LlamaForNobody"]), "LlamaForNobody", "Qwen3ForCausalLM"),
            (field("architectures", None), "architectures", "Qwen3ForCausalLM"),
            (field("hidden_size", None), "hidden_size"),
            (field("hidden_size", "32"), "hidden_size", '"32"'),
            (field("hidden_size", 48), "48"),
            (field("num_hidden_layers", 3), "model.layers.2"),
            (field("num_hidden_layers", 0), "num_hidden_layers", "0"),
            (field("vocab_size", 5), "vocab"),
        ):
            with self.subTest(wanted=wanted):
                self.damaged(change, *wanted)

    def test_damaged_weights_are_named(self):
        def cut(size):
            return lambda model: os.truncate(model / "model.safetensors", size)

        def lie(change):
            def apply(model):
                header, data = read_safetensors(model / "model.safetensors")
                change(header)
                write_safetensors(model / "model.safetensors", header, data)
            return apply

        def entry(name, key, value):
            return lie(lambda header: header[name].__setitem__(key, value))

        norm = "model.norm.weight"
        for change, *wanted in (
            (lambda model: (model / "model.safetensors").unlink(), "model.safetensors"),
            (cut(0), "model.safetensors", "0 bytes"),
            (cut(5), "model.safetensors", "5 bytes"),
            (cut(100), "model.safetensors", "cut short"),
            (cut(20000), "model.safetensors", "cut short"),
            (lambda model: (model / "model.safetensors").write_bytes(b"\xff" * 64), "model.safetensors", "header"),
            (lambda model: (model / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\n"),
             "model.safetensors", "header"),
            (entry(norm, "shape", [64]), norm, "[64]"),
            (entry(norm, "shape", [-1]), norm, "[-1]"),
            (entry(norm, "dtype", "F99"), norm, "F99", "F32"),
            (entry(norm, "data_offsets", [0, 2**40]), norm, "reach past"),
            (lie(lambda header: header.__setitem__("model.nrom.weight", header.pop(norm))), norm),
        ):
            with self.subTest(wanted=wanted):
                self.damaged(change, *wanted)

    def test_a_tokenizer_that_does_not_fit_is_named(self):
        def bigger(model):
            tokenizer = json.loads((model / "tokenizer.json").read_text())
            vocabulary = tokenizer["model"]["vocab"]
            rows = json.loads((model / "config.json").read_text())["vocab_size"]
            for letter in "abcdefghijklmnopqrstuvwxyz":
                if letter not in vocabulary and len(vocabulary) <= rows:
                    vocabulary[letter] = len(vocabulary)
            (model / "tokenizer.json").write_text(json.dumps(tokenizer))

        self.damaged(bigger, "the tokenizer has 33 tokens", "vocab_size 32")
        self.damaged(lambda model: (model / "tokenizer.json").unlink(), "tokenizer.json")
        self.damaged(lambda model: (model / "tokenizer.json").write_text("{"), "tokenizer.json", "not JSON")
        self.damaged(lambda model: (model / "tokenizer.json").write_text("{}"), "tokenizer.json")

    def test_a_prompt_that_the_tokenizer_cannot_spell_is_named(self):
        line = self.refused_without_a_trace(["generate", *flags(model=self.model, prompt="12z45?", threads=1)], "tokenizer")
        self.assertRegex(line, r"0x7[aA]|'z'|z")
        self.refused_without_a_trace(["generate", *flags(model=self.model, prompt="", threads=1)], "prompt")
        path = self.write("words.jsonl", LABELLED.replace('00007?', '0000z?'))
        self.refused_without_a_trace(self.on_file(path, steps=10), "words.jsonl:8", "tokenizer", "'z'")

    def test_a_prompt_that_is_too_long_for_the_model_is_found_before_the_run_starts(self):
        path = self.write("long.jsonl", LABELLED.replace("00007?", "7" * 500 + "?"))
        self.refused_without_a_trace(self.on_file(path, steps=10), "long.jsonl:8", "501 tokens", "max-new-tokens", "512")

    def test_a_model_without_an_end_token_is_refused(self):
        def endless(model):
            for name in ("config.json", "generation_config.json"):
                content = json.loads((model / name).read_text())
                content.pop("eos_token_id", None)
                (model / name).write_text(json.dumps(content))
        self.damaged(endless, "eos_token_id")

    # ---- problems

    def test_a_bad_line_of_a_problem_file_is_named_with_its_number(self):
        for text, *wanted in (
            (LABELLED + '{"prompt": "1?", "answer": \n', ":41", "not JSON"),
            (LABELLED + '{"answer": "1"}\n', "line 41", "prompt"),
            (LABELLED + '{"prompt": 5}\n', "line 41", "prompt"),
            (LABELLED + '["prompt"]\n', "line 41", "object"),
            (LABELLED + '{"prompt": "1?", "answer": [1]}\n', "line 41", "answer"),
            ("", "problems.jsonl"),
            ("\n\n  \n", "problems.jsonl"),
            ("[]", "problems.jsonl"),
        ):
            with self.subTest(wanted=wanted):
                path = self.write("problems.jsonl", text)
                self.refused_without_a_trace(self.on_file(path), path, *wanted)
                self.refused_without_a_trace(
                    ["eval", *flags(model=self.model, problems=path, samples=2, max_new_tokens=16, threads=1)], path, *wanted)
        self.refused_without_a_trace(self.on_file(self.folder / "none.jsonl"), "none.jsonl")
        self.refused_without_a_trace(self.on_file(self.folder), self.folder)

    def test_what_needs_labels_says_so_before_it_starts(self):
        path = self.write("unlabelled.jsonl", UNLABELLED)
        self.refused_without_a_trace(self.on_file(path, reward="ground-truth"), "ground-truth", "no answer", "want labels")
        self.refused_without_a_trace(["eval", *flags(model=self.model, problems=path, samples=2, threads=1)], "answer",
                                     "labels")
        arguments = ["mcs", *self.on_file(path)[1:]]
        self.refused_without_a_trace(arguments, "mcs", "no answer")

    def test_a_label_that_is_missing_further_down_is_found_before_the_run_starts(self):
        rows = LABELLED.splitlines()
        rows[30] = json.dumps({"prompt": "99999?"})
        path = self.write("gap.jsonl", "\n".join(rows) + "\n")
        self.refused_without_a_trace(self.on_file(path, reward="ground-truth"), "gap.jsonl:31", "want labels")

    def test_problems_beside_another_task_are_refused(self):
        path = self.write("problems.jsonl", LABELLED)
        self.refused_without_a_trace(self.on_file(path, task="countdown"), "countdown", "--task file")
        self.refused_without_a_trace(self.train(self.model, task="file"), "file", "--problems")

    # ---- the engine

    def test_an_engine_that_is_not_there_is_named(self):
        for engine in ("/nonexistent/engine.so", self.write("engine.so", "not a library"), ""):
            environment = dict(os.environ, WHET_ENGINE=str(engine))
            for arguments in (*self.each_command(self.model), ["pretrain", *flags(task="sort", out=self.folder / "run")]):
                with self.subTest(engine=engine, command=arguments[0]):
                    self.refused_without_a_trace(arguments, "engine", engine, env=environment)

    def test_an_engine_of_another_build_is_refused_rather_than_called(self):
        built = Path(os.environ["WHET_BINARY_DIR"]) / "libwhet_engine.so"
        if not built.exists():
            self.skipTest("built without the engine")
        headers = Path(os.environ["WHET_SOURCE_DIR"], "src", "engine")
        listed = re.search(r"foreach\(header (.*)\)", Path(os.environ["WHET_SOURCE_DIR"], "CMakeLists.txt").read_text()).group(1)
        digests = [hashlib.sha256((headers / name).read_bytes()).hexdigest() for name in listed.split()]
        fingerprint = hashlib.sha256("".join(digests).encode()).hexdigest().encode()
        self.assertIn(fingerprint, built.read_bytes())
        other = self.folder / "other.so"
        other.write_bytes(built.read_bytes().replace(fingerprint, fingerprint[::-1]))
        self.refused_without_a_trace(["eval", *flags(model=self.model, task="sort")], "other.so", "another build",
                                     env=dict(os.environ, WHET_ENGINE=str(other)))


if __name__ == "__main__":
    unittest.main()
