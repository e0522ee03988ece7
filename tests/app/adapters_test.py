"""Training with adapters, exporting, planning: as a user meets them."""
import json
import signal
import unittest
from pathlib import Path

from driver import SHORT, WhetTest, flags, read_safetensors, repeatable, start_and_signal

LORA = dict(lora_rank=2, learning_rate=0.01)


def newest(run):
    return sorted((Path(run) / "checkpoints").iterdir())[-1]


class Adapters(WhetTest):
    def train(self, name, *more, **options):
        run = self.folder / name
        self.ok("train", *flags(SHORT, dict(model=self.model, reward="random"), options), *more, "--out", run)
        return run

    def logprobs(self, model):
        done = self.ok("logprobs", "--model", model, "--threads", 1, input='{"text": "40317?01347"}\n')
        return json.loads(done.stdout)["logprob"]

    def assert_close(self, a, b, delta):
        self.assertEqual(len(a), len(b))
        for x, y in zip(a, b):
            self.assertAlmostEqual(x, y, delta=delta)

    def test_a_checkpoint_is_an_adapter_that_the_commands_take_for_a_model(self):
        checkpoint = newest(self.train("run", **LORA))
        self.assertFalse((checkpoint / "model.safetensors").exists())
        config = json.loads((checkpoint / "adapter_config.json").read_text())
        self.assertEqual((config["r"], config["lora_alpha"], config["base_model_name_or_path"]), (2, 4, str(self.model)))
        adapted = self.logprobs(checkpoint)
        self.assertNotEqual(adapted, self.logprobs(self.model))
        self.ok("eval", "--model", checkpoint, "--task", "sort", "--count", 2, "--samples", 2, "--threads", 1)
        for dtype, size, delta in (("float32", 4, 1e-5), ("bfloat16", 2, 0.3), ("float16", 2, 0.05)):
            out = self.folder / dtype
            self.ok("export", checkpoint, "--out", out, "--dtype", dtype)
            self.assert_close(self.logprobs(out), adapted, delta)
            header, data = read_safetensors(out / "model.safetensors")
            count = sum(end - begin for begin, end in (v["data_offsets"] for k, v in header.items() if k != "__metadata__")) // size
            base, _ = read_safetensors(self.model / "model.safetensors")
            self.assertEqual(count * 4, sum(end - begin for begin, end in (v["data_offsets"] for k, v in base.items() if k != "__metadata__")))
        # The run by name is its newest checkpoint.
        self.ok("export", self.folder / "run", "--out", self.folder / "again")
        self.assertEqual((self.folder / "again" / "model.safetensors").read_bytes(), (self.folder / "float32" / "model.safetensors").read_bytes())

    def test_a_run_with_adapters_goes_on_to_the_same_bytes(self):
        options = dict(LORA, steps=4, checkpoint_every=1)
        whole = self.train("whole", **options)
        cut = self.folder / "cut"
        start_and_signal(["train", *flags(SHORT, dict(model=self.model, reward="random"), options), "--out", cut], cut, 2, signal.SIGKILL)
        self.ok("train", "--resume", cut)
        self.assertEqual(repeatable(cut), repeatable(whole))

    def test_computing_layers_again_changes_no_byte_of_a_run(self):
        kept, again = repeatable(self.train("kept")), repeatable(self.train("again", "--checkpoint-activations"))
        del kept["config.toml"], again["config.toml"]
        self.assertEqual(kept, again)

    def test_mistakes_are_one_line(self):
        run = ["train", *flags(SHORT, dict(model=self.model)), "--out", self.folder / "none"]
        self.refused([*run, "--lora-rank", 2, "--lora-targets", "c_attn"], "lora-targets", "c_attn", "q_proj")
        self.refused([*run, "--lora-alpha", 2], "lora-rank")
        self.refused(["export", self.model], "--out")
        self.refused(["export", self.model, "--out", self.model], str(self.model))
        self.refused(["export", self.model, "--out", self.folder / "x", "--step", 3], "step")
        self.refused(["export", self.model, "--out", self.folder / "x", "--dtype", "int8"], "int8", "bfloat16")
        self.assertFalse((self.folder / "none").exists() or (self.folder / "x").exists())

    # ---- plan

    def plan(self, *arguments, **options):
        return json.loads(self.ok("plan", *arguments, *flags(options), "--json", env={"WHET_ENGINE": "/nonexistent"}).stdout)

    def test_a_plan_needs_config_json_alone(self):
        config = self.write("config.json", json.dumps({
            "architectures": ["Qwen3ForCausalLM"], "vocab_size": 151936, "hidden_size": 1024, "intermediate_size": 3072,
            "num_hidden_layers": 28, "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 128,
            "max_position_embeddings": 40960, "tie_word_embeddings": True, "eos_token_id": 0}))
        self.refused(["plan", config, "--max-new-tokens", 64], "--prompt-tokens")
        plan = self.plan(config, prompt_tokens=200, max_new_tokens=2048)
        self.assertEqual(plan["parameters"], 596049920)
        self.assertEqual(plan["always"]["optimizer"], 8 * plan["parameters"])
        self.assertEqual(plan["peak_bytes"], sum(sum(plan[part].values()) for part in ("always", "rollout", "update")))
        lora = self.plan(config, prompt_tokens=200, max_new_tokens=2048, lora_rank=8)
        self.assertLess(lora["peak_bytes"], plan["peak_bytes"] - 12 * plan["parameters"])
        again = self.plan(config, "--checkpoint-activations", prompt_tokens=200, max_new_tokens=2048)
        self.assertLess(again["update"]["activations"], plan["update"]["activations"] / 10)

    def test_a_plan_that_does_not_fit_names_the_flags_that_make_it(self):
        options = dict(prompt_tokens=200, max_new_tokens=400, prompts=4, token_budget=10**9, samples=10**6)
        plan = self.plan(self.model, **options)
        self.assertFalse(plan["fits"])
        self.assertTrue(plan["fits_with_changes"])
        self.assertEqual(plan["changes"][0]["flags"], "--token-budget 600")
        mended = self.plan(self.model, *plan["changes"][0]["flags"].split(), **{k: v for k, v in options.items() if k != "token_budget"})
        self.assertEqual(mended["peak_bytes"], plan["changes"][0]["peak_bytes"])
        text = self.ok("plan", self.model, *flags(options)).stdout
        self.assertIn("It does not fit", text)
        self.assertIn("--token-budget 600", text)
        self.assertIn("It fits", self.ok("plan", self.model).stdout)


if __name__ == "__main__":
    unittest.main()
