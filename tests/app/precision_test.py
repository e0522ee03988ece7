"""--precision bfloat16 where a model is asked, trained and exported."""
import json
import os
import unittest
from unittest import mock

from driver import SHORT, WhetTest, flags, read_metrics, read_safetensors


def dtypes(folder):
    return {entry["dtype"] for key, entry in read_safetensors(folder / "model.safetensors")[0].items() if key != "__metadata__"}


class Precision(WhetTest):
    def asked(self, model, precision):
        """What every command that asks a model prints of it."""
        common = ["--model", model, "--precision", precision, "--threads", 1]
        return [self.ok("logprobs", *common, input=json.dumps({"text": "4031?0134#"}) + "\n").stdout,
                self.ok("generate", *common, "--prompt", "4031?", "--samples", 4, "--json").stdout,
                self.ok("generate", *common, "--task", "sort", "--count", 3, "--json").stdout,
                self.ok("eval", *common, "--task", "sort", "--count", 12, "--json").stdout.replace(str(model), "MODEL")]

    @mock.patch.dict(os.environ, WHET_WIDENED_PRODUCTS="1")
    def test_a_model_that_is_asked_in_bfloat16_is_the_one_whose_weights_were_rounded(self):
        rounded = self.folder / "rounded"
        self.ok("export", self.model, "--out", rounded, "--dtype", "bfloat16")
        self.assertEqual(dtypes(rounded), {"BF16"})
        wanted = self.asked(rounded, "float32")
        self.assertEqual(self.asked(rounded, "bfloat16"), wanted)
        self.assertEqual(self.asked(self.model, "bfloat16"), wanted)
        self.assertNotEqual(self.asked(self.model, "float32")[0], wanted[0])

    def test_what_products_of_bfloat16_are_computed_in_is_said_and_can_be_chosen(self):
        def said(**environment):
            with mock.patch.dict(os.environ, environment):
                out = self.ok("bench", "--steps", 1, "--warm-up", 0, "--problems", 1, "--threads", 1, "--precision", "bfloat16", "--json")
            return json.loads(out.stdout)["versions"]
        with open("/proc/cpuinfo") as cpuinfo:
            flags_of_processor = next((line.split() for line in cpuinfo if line.startswith("flags")), [])
        self.assertIn("products of bfloat16 in " + ("bfloat16" if "avx512_bf16" in flags_of_processor else "float32"), said())
        self.assertIn("products of bfloat16 in float32", said(WHET_WIDENED_PRODUCTS="1"))

    @mock.patch.dict(os.environ, WHET_WIDENED_PRODUCTS="1")  # in bfloat16 the two also differ by which way a number was rounded
    def test_a_run_in_bfloat16_starts_at_its_own_base_and_leaves_a_folder_of_that_type(self):
        run = self.folder / "run"
        self.ok("train", *flags(SHORT, model=self.model, reward="majority-vote", precision="bfloat16", learning_rate=1e-3), "--out", run)
        metrics = read_metrics(run)
        self.assertLess(abs(metrics[1]["kl_to_start"]), 1e-6)  # both are rounded
        self.assertGreater(abs(metrics[2]["kl_to_start"]), 0)
        checkpoint = run / "checkpoints" / "step-000002"
        self.assertEqual(dtypes(checkpoint), {"BF16"})
        self.assertEqual(json.loads((checkpoint / "config.json").read_text())["torch_dtype"], "bfloat16")

    def test_adapters_are_trained_over_weights_in_bfloat16(self):
        run = self.folder / "run"
        self.ok("train", *flags(SHORT, model=self.model, reward="majority-vote", precision="bfloat16", lora_rank=4), "--out", run)
        adapter, _ = read_safetensors(run / "checkpoints" / "step-000002" / "adapter_model.safetensors")
        self.assertEqual({entry["dtype"] for key, entry in adapter.items() if key != "__metadata__"}, {"F32"})

    def test_test_time_training_writes_its_model_in_the_precision_of_the_run(self):
        problems = self.write("problems.jsonl", "".join(json.dumps({"prompt": f"{n}?", "answer": "".join(sorted(str(n)))}) + "\n"
                                                        for n in range(4031, 4039)))
        for more, wanted in (({}, "BF16"), ({"lora_rank": 2}, "F32")):
            out = self.folder / f"ttt-{wanted}"
            self.ok("ttt", *flags(dict(model=self.model, problems=problems, task="sort", steps=2, samples=4, eval_every=1, threads=1,
                                       precision="bfloat16"), more), "--out", out)
            self.assertEqual(dtypes(out / "model"), {wanted})

    def test_an_unknown_precision_is_refused(self):
        for command in ("train", "pretrain", "generate", "eval", "logprobs", "mcs", "ttt", "plan"):
            with self.subTest(command=command):
                self.refused([command, *flags(precision="float16")], "precision", "float16", "float32", "bfloat16")


if __name__ == "__main__":
    unittest.main()
