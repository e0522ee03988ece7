"""whet logprobs beside transformers, live: random checkpoints and texts, every value within 1e-4.

Needs transformers, tokenizers and torch in this Python, or in the one that WHET_PEER_PYTHON names; skipped without.
"""
import json
import os
import random
import sys
import unittest

if os.environ.get("WHET_PEER_PYTHON", sys.executable) != sys.executable:
    os.execv(os.environ["WHET_PEER_PYTHON"], [os.environ["WHET_PEER_PYTHON"], *sys.argv])

from driver import WhetTest

try:
    import tokenizers
    import torch
    import transformers
except ImportError as missing:
    raise unittest.SkipTest(f"needs {missing.name}") if __name__ != "__main__" else SystemExit(
        print(f"test_every_value ... skipped 'needs {missing.name}'", file=sys.stderr))

CORPUS = ["Let x = 3. Then 2x + 1 = 7, so the answer is \\boxed{7}.", "def f(n):\n    return n * f(n - 1) if n else 1\n",
          "Größe, naïve, 東京, 🙂‍↔️ and e\u0301 and \u0000 and \t tabs", "aaaaaaaa     bbbb\r\n\r\nccc"]


class LogprobsPeer(WhetTest):
    def checkpoint(self, name, dtype=torch.float32, is_begun=False, **changes):
        tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
        tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = tokenizers.decoders.ByteLevel()
        tokenizer.train_from_iterator(CORPUS, tokenizers.trainers.BpeTrainer(
            vocab_size=340, special_tokens=["<|endoftext|>"], initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False))
        if is_begun:
            tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
                single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", 0)])
        used = tokenizer.get_vocab_size()
        folder = self.folder / name
        torch.manual_seed(len(name))
        config = transformers.Qwen3Config(**{**dict(
            vocab_size=used + 30, hidden_size=64, intermediate_size=96, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
            head_dim=24, max_position_embeddings=512, initializer_range=0.2, eos_token_id=0), **changes})
        model = transformers.Qwen3ForCausalLM(config).to(dtype)
        model.save_pretrained(folder)
        tokenizer.save(str(folder / "tokenizer.json"))
        # The engine computes in float32 with whatever weights the file has.
        return folder, transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32), tokenizer, used

    def test_every_value(self):
        source = random.Random(7)
        texts = CORPUS + ["".join(source.choice("".join(CORPUS)) for _ in range(source.randrange(200))) for _ in range(30)]
        for name, changes in (("untied", dict(tie_word_embeddings=False)), ("tied", dict(tie_word_embeddings=True)),
                              ("bfloat16", dict(dtype=torch.bfloat16)), ("begun", dict(is_begun=True))):
            folder, model, tokenizer, used = self.checkpoint(name, **changes)
            worst = 0
            for temperature in (1.0, 0.6):
                done = self.ok("logprobs", "--model", folder, "--temperature", temperature,
                               input="".join(json.dumps({"text": text}) + "\n" for text in texts))
                rows = [json.loads(line) for line in done.stdout.splitlines()]
                self.assertEqual(len(rows), len(texts))
                for row, text in zip(rows, texts):
                    ids = tokenizer.encode(text).ids
                    self.assertEqual(row["tokens"], ids)
                    if len(ids) < 2:
                        continue
                    with torch.no_grad():
                        logits = model(torch.tensor([ids])).logits[0, :-1, :used].double() / temperature
                    log_p = torch.log_softmax(logits, -1)
                    top = log_p.exp().topk(2, -1).values
                    wanted = dict(logprob=log_p.gather(1, torch.tensor(ids[1:])[:, None])[:, 0], entropy=-(log_p.exp() * log_p).sum(-1),
                                  self_certainty=-log_p.mean(-1) - torch.tensor(float(used)).log(), gap=top[:, 0] - top[:, 1])
                    for statistic, values in wanted.items():
                        got = torch.tensor(row[statistic], dtype=torch.float64)
                        self.assertEqual(got.shape, values.shape)
                        worst = max(worst, ((got - values).abs() / values.abs().clamp_min(1)).max().item())
            print(f"{name}: largest difference {worst:.1e}", file=sys.stderr)
            self.assertLess(worst, 1e-4)


if __name__ == "__main__":
    unittest.main()
