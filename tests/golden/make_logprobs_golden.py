"""Writes a tiny byte-pair tokenizer and what transformers says of texts with it and the weights of qwen3_untied.

    pip install torch==2.13.0 transformers==5.24.0 tokenizers==0.23.3
    python tests/golden/make_logprobs_golden.py

tests/golden/logprobs/tokenizer.json has fewer tokens than the model has rows: rows beyond are padding and must not count.
expected.json: for each temperature and text, the ids and, for each after the first, log-probability, entropy, self-certainty
(KL of the uniform distribution to the model's) and the gap between the two largest probabilities. Logits are transformers'
in float32, what follows from them is computed in float64.
"""

import json
import pathlib

import tokenizers
import torch
import transformers

HERE = pathlib.Path(__file__).parent
TEXTS = ["40317?01347", "7", "", "sorted 0123 sorted", "ab ba abba", "?" * 30 + "9"]
TEMPERATURES = [1.0, 0.6]


def make_tokenizer():
    characters = sorted(set("0123456789?abdeorst") | {"Ġ"})
    merges = [("s", "o"), ("so", "r"), ("t", "e"), ("te", "d"), ("0", "1"), ("Ġ", "0"), ("a", "b")]
    vocabulary = {token: i for i, token in enumerate(["<|endoftext|>", *characters, *("".join(m) for m in merges)])}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|endoftext|>"])
    return tokenizer


def main():
    folder = HERE / "logprobs"
    folder.mkdir(exist_ok=True)
    tokenizer = make_tokenizer()
    tokenizer.save(str(folder / "tokenizer.json"))
    used = tokenizer.get_vocab_size()
    model = transformers.AutoModelForCausalLM.from_pretrained(HERE / "qwen3_untied", dtype=torch.float32)
    assert used < model.config.vocab_size
    cases = []
    for temperature in TEMPERATURES:
        for text in TEXTS:
            ids = tokenizer.encode(text).ids
            case = {"temperature": temperature, "text": text, "tokens": ids, "logprob": [], "entropy": [], "self_certainty": [], "gap": []}
            cases.append(case)
            if len(ids) < 2:
                continue
            with torch.no_grad():
                logits = model(torch.tensor([ids])).logits[0, :-1, :used].double() / temperature
            log_p = torch.log_softmax(logits, -1)
            p = log_p.exp()
            top = p.topk(2, -1).values
            case["logprob"] = log_p.gather(1, torch.tensor(ids[1:])[:, None])[:, 0].tolist()
            case["entropy"] = (-(p * log_p).sum(-1)).tolist()
            case["self_certainty"] = (-log_p.mean(-1) - torch.tensor(float(used)).log()).tolist()
            case["gap"] = (top[:, 0] - top[:, 1]).tolist()
    made_by = {"generator": "tests/golden/make_logprobs_golden.py", "torch": torch.__version__,
               "transformers": transformers.__version__, "tokenizers": tokenizers.__version__}
    (folder / "expected.json").write_text(json.dumps({"made_by": made_by, "cases": cases}, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
