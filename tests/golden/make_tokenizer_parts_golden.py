"""Every part of tokenizer.json that is known, alone and in chains: what Hugging Face tokenizers makes of hostile texts with it.

    pip install tokenizers==0.23.3
    python tests/golden/make_tokenizer_parts_golden.py

Trains a small vocabulary in SentencePiece's manner (words begin with U+2581, single bytes to fall back to) into
tests/golden/bpe_bytes/tokenizer.json and writes tests/golden/tokenizer_parts.json: the shared `texts`, and cases of
  tokenizer  the folder
  patch      a JSON merge patch (RFC 7396) applied to its tokenizer.json first
  ids        of each text, without special tokens
  decoded    {index: what the ids decode to} where that is another text
  around     what add_special_tokens puts around a text: its first id before, the others behind
"""

import json
import pathlib

import tokenizers
from make_tokenizer_golden import CORPUS, TEXTS, hostile, merge, split, then_bytes
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

HERE = pathlib.Path(__file__).parent

MORE_TEXTS = [
    "▁", "▁▁", " ▁ ", "a▁b", "▁a", "<0x41>", "<0x0A>\n", "<s>", "<s> a", " <s> the", "</s>the", "<unk>", "xx<unk> <unk>xx",
    "the lamp  lamp", "lamp", "\u2028\u2028", "tab\tthe", "x\u00a0the", "the\u3000the", "1 2 12 123", "٣ Ⅷ ½ 𝟘", "a.b!c?d", "$+<=>^`|~",
    "«quoted» — dash…", "\u0300\u0301", "Ω Å ﬁ", "\U00011DE0\U0001CCF0", "\u061d\u2e52", "AbAB aB", "   ", "\n \n", "end ",
]

SEQUENCE = "Sequence"


def normalizers(*steps):
    return {"normalizer": {"type": SEQUENCE, "normalizers": list(steps)}}


def pre(*steps):
    return {"normalizer": None, "pre_tokenizer": {"type": SEQUENCE, "pretokenizers": list(steps)}}


def metaspace(scheme, cuts=True):
    return {"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": cuts}


def replace(pattern, content):
    return {"type": "Replace", "pattern": pattern, "content": content}


SPACES = replace({"String": " "}, "▁")
PREPEND = {"type": "Prepend", "prepend": "▁"}
BACK = replace({"String": "▁"}, " ")


def decoder(*steps):
    return {"decoder": {"type": SEQUENCE, "decoders": list(steps)}}


def template(*pieces, ids):
    special = {name: {"id": name, "ids": numbers, "tokens": [name] * len(numbers)} for name, numbers in ids.items()}
    single = [{"Sequence": {"id": "A", "type_id": 0}} if p == "A" else {"SpecialToken": {"id": p, "type_id": 0}} for p in pieces]
    return {"type": "TemplateProcessing", "single": single, "pair": single + [{"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": special}


BOS = template("<s>", "A", ids={"<s>": [1]})
ADDED = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False}


def added(*more):
    return {"added_tokens": [{**ADDED, "id": i, "content": c, "special": True} for i, c in enumerate(["<unk>", "<s>", "</s>"])] + list(more)}


PATCHES = [
    ("bpe_bytes", {}),
    # Normalizers.
    ("bpe_bytes", normalizers(SPACES)),
    ("bpe_bytes", normalizers({"type": "NFC"}, PREPEND, SPACES)),
    ("bpe_bytes", normalizers({"type": "NFD"}, SPACES)),
    ("bpe_bytes", normalizers({"type": "Strip", "strip_left": True, "strip_right": False}, PREPEND, SPACES)),
    ("bpe_bytes", normalizers({"type": "Strip", "strip_left": False, "strip_right": True}, SPACES)),
    ("bpe_bytes", normalizers({"type": "Strip", "strip_left": True, "strip_right": True}, replace({"Regex": r"\s+"}, "▁"), PREPEND)),
    ("bpe_bytes", normalizers(replace({"Regex": r"(?<=\p{L})\d|^the"}, ""), replace({"String": "a"}, "bb"), SPACES)),
    # Pre-tokenizers over characters.
    ("bpe_bytes", pre(metaspace("always"))),
    ("bpe_bytes", pre(metaspace("first"))),
    ("bpe_bytes", pre(metaspace("never"))),
    ("bpe_bytes", pre(metaspace("first", cuts=False))),
    ("bpe_bytes", {"normalizer": None, "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "add_prefix_space": True}}),
    ("bpe_bytes", {"normalizer": {"type": "Strip", "strip_left": True, "strip_right": True}, "pre_tokenizer": metaspace("first")}),
    ("bpe_bytes", pre(split({"Regex": r"\p{N}"}, "Isolated"), metaspace("first"))),
    ("bpe_bytes", pre(split({"String": "the"}, "Removed"), metaspace("first"))),
    ("bpe_bytes", {"normalizer": SPACES, "pre_tokenizer": split({"String": " "}, "MergedWithPrevious")}),
    ("bpe_bytes", pre({"type": "Whitespace"})),
    ("bpe_bytes", pre({"type": "WhitespaceSplit"})),
    ("bpe_bytes", pre({"type": "Punctuation", "behavior": "Isolated"})),
    ("bpe_bytes", pre({"type": "Punctuation", "behavior": "Contiguous"}, {"type": "Digits", "individual_digits": True})),
    ("bpe_bytes", pre({"type": "Punctuation", "behavior": "MergedWithPrevious"}, {"type": "Digits", "individual_digits": False})),
    ("bpe_bytes", pre({"type": "Punctuation", "behavior": "MergedWithNext"}, {"type": "WhitespaceSplit"})),
    ("bpe_bytes", pre({"type": "Punctuation", "behavior": "Removed"})),
    # The model.
    ("bpe_bytes", {"model": {"byte_fallback": False}}),
    ("bpe_bytes", {"model": {"byte_fallback": False, "fuse_unk": False}}),
    ("bpe_bytes", {"model": {"ignore_merges": True}, "normalizer": None, "pre_tokenizer": metaspace("always")}),
    ("bpe_bytes", {"model": {"ignore_merges": True}}),
    ("bpe_bytes", {"model": {"vocab": {"<0x0A>": None, "<0xE2>": None}}}),
    ("bpe_bytes", {"model": {"vocab": {"<0x0A>": None, "<0xE2>": None}, "fuse_unk": False}}),
    # Added tokens.
    ("bpe_bytes", added({**ADDED, "id": 400, "content": "lamp", "normalized": True}, {**ADDED, "id": 401, "content": "ab", "single_word": True})),
    ("bpe_bytes", {**pre(metaspace("first")), **added({**ADDED, "id": 400, "content": "the", "lstrip": True, "rstrip": True})}),
    # Decoders.
    ("bpe_bytes", decoder(BACK, {"type": "ByteFallback"}, {"type": "Fuse"})),
    ("bpe_bytes", decoder(BACK, {"type": "Strip", "content": " ", "start": 1, "stop": 0}, {"type": "ByteFallback"}, {"type": "Fuse"})),
    ("bpe_bytes", decoder({"type": "ByteFallback"}, {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always"})),
    ("bpe_bytes", decoder({"type": "ByteFallback"}, {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "never"}, {"type": "Fuse"})),
    ("bpe_bytes", decoder(BACK, {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 2, "stop": 0})),
    ("bpe_bytes", decoder(replace({"Regex": "▁+|the"}, "_"), {"type": "ByteFallback"})),
    # Post-processors.
    ("bpe_bytes", {"post_processor": BOS}),
    ("bpe_bytes", {"post_processor": template("<s>", "A", "</s>", ids={"<s>": [1], "</s>": [2, 2]})}),
    ("bpe_bytes", {"post_processor": {"type": SEQUENCE, "processors": [{"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True}, BOS]}}),
    # Patterns over bytes that the first golden file does not have.
    ("bpe_qwen2", then_bytes(split({"Regex": r"^.|.$"}, "Isolated"))),
    ("bpe_qwen2", then_bytes(split({"Regex": r"\b"}, "Isolated"))),
    ("bpe_qwen2", then_bytes(split({"Regex": r"[\p{L}&&[^aeiou]]+"}, "Isolated"))),
    ("bpe_qwen2", then_bytes(split({"Regex": r"[^\S\n]"}, "Isolated"))),
    ("bpe_qwen2", then_bytes(split({"Regex": r"a(?i)b|c"}, "Isolated"))),
    ("bpe_qwen2", then_bytes(split({"Regex": r"\w{,2}"}, "Isolated"))),
    ("bpe_qwen2", then_bytes(split({"Regex": r"(?<!\p{Lu})\p{Ll}++|[\u0000-\u001f\x7f]|\h+"}, "Isolated"))),
    ("bpe_qwen2", then_bytes(split({"Regex": r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"}, "Removed", invert=True))),
    ("bpe_qwen2", then_bytes({"type": "Punctuation", "behavior": "Isolated"}, {"type": "Whitespace"})),
]


def train():
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.BpeTrainer(vocab_size=220, special_tokens=["<unk>", "<s>", "</s>"], show_progress=False,
                                  limit_alphabet=60)
    tokenizer.train_from_iterator([CORPUS], trainer)
    content = json.loads(tokenizer.to_str())
    learned = [token for token in content["model"]["vocab"] if token not in ("<unk>", "<s>", "</s>")]
    names = ["<unk>", "<s>", "</s>"] + learned + [f"<0x{byte:02X}>" for byte in range(256)]
    names += [f"<spare{i}>" for i in range(400 - len(names))]
    content["model"]["vocab"] = {token: i for i, token in enumerate(names)}
    content["normalizer"] = {"type": SEQUENCE, "normalizers": [PREPEND, SPACES]}
    content["pre_tokenizer"] = None
    content["decoder"] = {"type": SEQUENCE, "decoders": [BACK, {"type": "ByteFallback"}, {"type": "Fuse"},
                                                         {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}
    return content


def main():
    (HERE / "bpe_bytes").mkdir(exist_ok=True)
    content = train()
    size = len(content["model"]["vocab"])
    (HERE / "bpe_bytes/tokenizer.json").write_text(json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n")
    # Added ids go on from the vocabulary's size.
    text = json.dumps(PATCHES).replace('"id": 400', f'"id": {size}').replace('"id": 401', f'"id": {size + 1}')
    texts = TEXTS + MORE_TEXTS + hostile(40, seed=2)
    cases = []
    for name, patch in json.loads(text):
        tokenizer = Tokenizer.from_str(json.dumps(merge(json.loads((HERE / name / "tokenizer.json").read_text()), patch)))
        ids = [tokenizer.encode(one, add_special_tokens=False).ids for one in texts]
        special = tokenizer.encode(texts[0]).ids
        case = {"tokenizer": name, "patch": patch, "ids": ids, "around": special,
                "decoded": {i: back for i, back in enumerate(tokenizer.decode(one, skip_special_tokens=False) for one in ids)
                            if back != texts[i]}}
        for one, plain in zip(texts, ids):
            assert tokenizer.encode(one).ids == [i for i in special[:1]] + plain + special[1:]
        cases.append(case)
    result = {"made_by": {"generator": "tests/golden/make_tokenizer_parts_golden.py", "tokenizers": tokenizers.__version__},
              "texts": texts, "cases": cases}
    (HERE / "tokenizer_parts.json").write_text(json.dumps(result, separators=(",", ":")) + "\n")
    print(len(cases), "cases of", len(texts), "texts")


if __name__ == "__main__":
    main()
