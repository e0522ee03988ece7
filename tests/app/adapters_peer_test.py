"""Adapters beside PEFT, live: what whet trains loads there with equal logits, and what PEFT saves is read here.

Needs peft, transformers and torch in this Python, or in the one that WHET_PEER_PYTHON names; skipped without.
"""
import json
import os
import sys
import unittest

if os.environ.get("WHET_PEER_PYTHON", sys.executable) != sys.executable:
    os.execv(os.environ["WHET_PEER_PYTHON"], [os.environ["WHET_PEER_PYTHON"], *sys.argv])

from driver import SHORT, WhetTest, flags

try:
    import peft
    import torch
    import transformers
except ImportError as missing:
    raise unittest.SkipTest(f"needs {missing.name}") if __name__ != "__main__" else SystemExit(
        print(f"test_adapters ... skipped 'needs {missing.name}'", file=sys.stderr))

TEXT = "40317?01347"


class AdaptersPeer(WhetTest):
    def ours(self, model):
        row = json.loads(self.ok("logprobs", "--model", model, "--threads", 1, input=json.dumps({"text": TEXT}) + "\n").stdout)
        return row["tokens"], torch.tensor(row["logprob"], dtype=torch.float64)

    def theirs(self, model, ids):
        # whet's distribution is over the tokens that exist; rows of the embedding beyond them are padding.
        definition = json.loads((self.model / "tokenizer.json").read_text())
        vocabulary = len(set(definition["model"]["vocab"].values()) | {token["id"] for token in definition["added_tokens"]})
        with torch.no_grad():
            log_p = torch.log_softmax(model(torch.tensor([ids])).logits[0, :-1, :vocabulary].double(), -1)
        return log_p.gather(1, torch.tensor(ids[1:])[:, None])[:, 0]

    def assert_equal(self, a, b, what):
        difference = (a - b).abs().max().item()
        print(f"{what}: largest difference {difference:.1e}", file=sys.stderr)
        self.assertLess(difference, 1e-4)

    def base(self):
        return transformers.AutoModelForCausalLM.from_pretrained(self.model, dtype=torch.float32)

    def test_what_whet_trains_loads_in_peft(self):
        run = self.folder / "run"
        self.ok("train", *flags(SHORT, dict(model=self.model, reward="random", lora_rank=3, learning_rate=0.02)), "--out", run)
        checkpoint = run / "checkpoints" / "step-000002"
        ids, ours = self.ours(checkpoint)
        theirs = self.theirs(peft.PeftModel.from_pretrained(self.base(), checkpoint), ids)
        self.assertGreater((theirs - self.theirs(self.base(), ids)).abs().max().item(), 1e-3)  # it corrects something
        self.assert_equal(ours, theirs, "trained by whet, loaded by peft")
        self.ok("export", run, "--out", self.folder / "merged")
        merged = transformers.AutoModelForCausalLM.from_pretrained(self.folder / "merged", dtype=torch.float32)
        self.assert_equal(ours, self.theirs(merged, ids), "merged by whet, loaded by transformers")

    def test_what_peft_saves_is_read_by_whet(self):
        torch.manual_seed(5)
        model = peft.get_peft_model(self.base(), peft.LoraConfig(r=4, lora_alpha=6, target_modules=["q_proj", "o_proj", "down_proj"],
                                                                 task_type="CAUSAL_LM"))
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if "lora_" in name:
                    parameter.copy_(0.2 * torch.randn_like(parameter))
        folder = self.folder / "adapter"
        model.eval().save_pretrained(folder)
        (folder / "tokenizer.json").write_bytes((self.model / "tokenizer.json").read_bytes())
        ids, ours = self.ours(folder)
        self.assert_equal(ours, self.theirs(model, ids), "saved by peft, read by whet")


if __name__ == "__main__":
    unittest.main()
