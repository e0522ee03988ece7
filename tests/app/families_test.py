"""A checkpoint of each family as transformers writes it, with a tokenizer: trained, written, and sampled from again."""
import json
import shutil
import unittest
from pathlib import Path

from driver import SHORT, WhetTest, flags, read_metrics

SOURCE = Path(__file__).resolve().parents[2]
# One of each architecture, those with the most variants: windows, scaled positions, biases, shards, half precision.
CHECKPOINTS = ("qwen2_window", "qwen3_window", "llama_llama3", "llama_biases", "mistral_window", "olmo2_tied")


class Families(WhetTest):
    def test_each_family_is_trained_written_and_read_again(self):
        for name in CHECKPOINTS:
            with self.subTest(name):
                model = self.folder / name
                shutil.copytree(SOURCE / "tests/golden/families" / name, model,
                                ignore=shutil.ignore_patterns("expected.safetensors"))
                # 17 tokens of 29 rows: the rest is padding.
                shutil.copy(SOURCE / "models/sort-weak/tokenizer.json", model)
                run = self.folder / f"{name}-run"
                self.ok("train", "--model", model, "--out", run, *flags(SHORT, reward="token-entropy", max_new_tokens=24))
                rows = read_metrics(run)
                self.assertEqual([row["step"] for row in rows], [0, 1, 2])
                self.assertTrue(all(row["gradient_norm"] > 0 for row in rows[1:]), rows)
                written = run / "checkpoints/step-000002"
                before, after = (json.loads((folder / "config.json").read_text()) for folder in (model, written))
                for field in ("architectures", "model_type", "vocab_size", "head_dim", "sliding_window"):
                    if field in before:
                        self.assertEqual(after[field], before[field], field)
                sampled = json.loads(self.ok("generate", "--model", written, "--prompt", "314?", "--max-new-tokens", 24, "--json",
                                             "--threads", 1).stdout)
                self.assertGreater(sampled["tokens"], 0)


if __name__ == "__main__":
    unittest.main()
