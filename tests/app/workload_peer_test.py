"""`make peers` compares like with like: every program has the same model and samples the same number of tokens a step.

Needs trl, transformers and torch in this Python, or in the one that WHET_PEER_PYTHON names (.venv-peers/bin/python after
scripts/peers --install-only); skipped without.
"""
import json
import os
import sys
import unittest
from pathlib import Path

if os.environ.get("WHET_PEER_PYTHON", sys.executable) != sys.executable:
    os.execv(os.environ["WHET_PEER_PYTHON"], [os.environ["WHET_PEER_PYTHON"], *sys.argv])

from driver import WhetTest

try:
    import torch
    import transformers
    import trl
except ImportError as missing:
    raise unittest.SkipTest(f"needs {missing.name}") if __name__ != "__main__" else SystemExit(
        print(f"test_same_model ... skipped 'needs {missing.name}'", file=sys.stderr))

ROOT = Path(os.environ.get("WHET_SOURCE_DIR", Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(ROOT / "bench/peers"))
import compare
import qwen3

SHAPE = dict(hidden_size=32, layers=2, heads=4, key_value_heads=2, head_dim=16, intermediate_size=48)


class Workload(WhetTest):
    def work(self, **changes):
        model = {"shape": {**SHAPE, "vocabulary": 40, "tied": True, **changes.pop("shape", {})}}
        case = {"model": "m" + "".join(map(str, model["shape"].values())), "tokens": 6, "problems": 4, "micro_batch": 8, **changes}
        return compare.Work(self.folder, model, case, threads=1)

    def test_same_model(self):
        for tied in (True, False):
            work = self.work(shape={"tied": tied})
            theirs = transformers.AutoModelForCausalLM.from_pretrained(work.model, dtype=torch.float32).eval()
            plain = qwen3.open_model(work.model)
            prompts = [json.loads(line)["prompt"] for line in work.file.read_text().splitlines()]
            texts = [prompt + "#" + prompt[:-1] for prompt in prompts]
            done = self.ok("logprobs", "--model", work.model, input="".join(json.dumps({"text": text}) + "\n" for text in texts))
            rows = [json.loads(line) for line in done.stdout.splitlines()]
            tokenizer = transformers.AutoTokenizer.from_pretrained(work.model)
            self.assertEqual(len(rows), len(texts))
            for text, row in zip(texts, rows):
                tokens = torch.tensor([tokenizer(text)["input_ids"]])
                with torch.no_grad():
                    logits = theirs(tokens).logits[0]
                    torch.testing.assert_close(plain.logits(plain(tokens))[0], logits, rtol=0, atol=1e-4)
                    # The vocabulary of whet has the tokens that the tokenizer knows; here that is all of them.
                    wanted = logits.log_softmax(-1)[:-1].gather(1, tokens[0, 1:, None])[:, 0]
                    torch.testing.assert_close(torch.tensor(row["logprob"]), wanted, rtol=0, atol=1e-4)
                    self.assertLess(logits.softmax(-1)[:, 0].max().item(), 1e-9, "the end must never be drawn")

    def test_same_number_of_tokens(self):
        work = self.work()
        for name in ("whet", "trl", "generate", "plain"):
            self.assertEqual(set(getattr(compare, name)(work, 1, self.folder)["tokens"]), {4 * compare.SAMPLES * 6}, name)

    def test_a_program_that_samples_another_number_of_tokens_is_not_compared(self):
        with self.assertRaisesRegex(compare.Failed, "sampled .191, 192. tokens a step, want 192"):
            self.work().check([192, 191])


if __name__ == "__main__":
    unittest.main()
