"""Trains two small byte-level BPE tokenizers and writes what Hugging Face tokenizers makes of hostile texts with them.

    pip install tokenizers==0.23.3
    python tests/golden/make_tokenizer_golden.py

Writes tests/golden/bpe_{gpt2,qwen2}/tokenizer.json and tests/golden/tokenizer_cases.json: a list of
  tokenizer  the folder
  patch      a JSON merge patch (RFC 7396) applied to its tokenizer.json first, to reach other parts of the pipeline
  ids        for each of the shared `texts`; with a patch, {index: ids} for those where it makes a difference
"""

import json
import pathlib
import random

import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

HERE = pathlib.Path(__file__).parent

CORPUS = """
The scale of the sky is not the scale of the street. We counted 128 lamps, then 64, then 32; nobody counted 7.
Let x = 12 and y = 30. Then x + y = 42, so the answer is \\boxed{42}. We'll check it: 42 - 30 = 12, and it's right.
If the train leaves at 10:45 and arrives at 13:20, the trip takes 155 minutes. They've said it'd be 150. I'm not sure.
def add(a, b):\n    return a + b\n\nfor i in range(10):\n        print(add(i, 2 * i))\n
Grüße aus Köln; la leçon était très bien écrite, señor. Ça coûte 3,50 € à peu près. Привет, мир! 你好，世界。数学が好きです。
The quick brown fox jumps over the lazy dog; the lazy dog sleeps. The answer, the answer, and again the answer: 3 * 4 = 12.
"""

# The pre-tokenizer pattern of the Qwen2 and Qwen3 models' published tokenizer.json.
QWEN2_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

TEXTS = [
    "",
    " ",
    "  ",
    "a",
    " a",
    "a ",
    "The answer is 42.",
    "the the  the   the",
    "it's IT'S we'll WE'LL they've I'm 'S 'll",
    "\n",
    "\r\n",
    "\n\n\n a",
    "a\r\n\r\n  b",
    "tab\there\t\tthere",
    " \t \n x",
    "trailing   ",
    "   leading",
    "x\u00a0y\u2003z\u3000w",
    "zero\u200bwidth\u200djoin\ufeffbom",
    "mongolian\u180evowel \u180e x",
    "next\u0085line \u0085\u0085 x",
    "line\u2028sep\u2029par",
    "\u0000\u0001\u001f\u007f\u0080\u009f",
    "nul\u0000in the\u0000middle",
    "é é e\u0301 E\u0301\u0323 \u1e69 \u0073\u0323\u0307 \u212b \u2126 ﬁ ½ ²",
    "\u1100\u1161\u11a8 \uac01 각",
    "\u0958 \u0915\u093c \u0344 \u2adc",
    "日本語のテスト、数学。",
    "Привет, мир! ЁЖ",
    "שלום עולם مرحبا",
    "ไทย नमस्ते",
    "👍🏽👩‍👩‍👧‍👦🇩🇪☃️",
    "🤷" * 5,
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𝟘𝟙𝟚",
    "١٢٣ Ⅷ ⅔ ① 一二三 1234567890",
    "1,234.56 3e-10 0x1F 10:45",
    "ſ's K'ſ 'ſ 'K İ ı ß ẞ ŉ",
    "a" * 70,
    "ab" * 50,
    "the" * 40,
    "0" * 33,
    " " * 80 + "x",
    "!" * 70,
    "\n" * 70,
    "<|endoftext|>",
    "a<|endoftext|>b",
    " <|endoftext|> <|endoftext|>",
    "<|endoftext|><|endoftext|>",
    "<|endoftext|",
    "<|<|endoftext|>|>",
    "<|im_start|>user\nHi<|im_end|>\n",
    "<think>\nso</think> x",
    "  <mask>  y",
    "a <mask>b<mask> <mask>",
    "x\u2003<mask>\u2003y",
    "<pad> z",
    "z <pad>   z<pad>\n\n",
    "the word lamp, lamps, lamp_ _lamp lamp1 lamp",
    "lamp",
    "alamp lamp-lamp élamp lampé lamp\u0301",
    "Café cafe\u0301 CAFÉ",
    "cafe\u0301s Cafe\u0301",
    "é<tok>e\u0301<tok>",
    "ab abc abcd abcde",
    "abcabcd",
    "\\boxed{\\frac{1}{2}} $x^2$ _a_ {b} [c] (d)",
    "def f(x):\n\treturn x**2  # ok\n",
    "    if a:\n        b = 'c'\n",
    "\u0301",
    "\u0301a",
    "a\u0301",
    " \u0301",
    "\ud7a3\ue000\ufffd\ufffe\uffff\U0010ffff",
    "Ġthe Ċ ĠĠ Ā",
    "mixed \u05d0\u0031\u0661\u4e00a1b2",
    "...---...",
    "?!?!?! ... ,,,",
    " .5 -.5 $5 €5 5€ 5%",
    "@user #tag http://a.b/c?d=e&f",
]


def hostile(count, seed):
    """Random strings over pieces that sit at the rules' edges."""
    pieces = [
        "a",
        "the",
        " the",
        "'",
        "'s",
        "'LL",
        " ",
        "  ",
        "\n",
        "\r",
        "\t",
        "1",
        "23",
        "\u00a0",
        "é",
        "e\u0301",
        "\u0301",
        "世",
        "👍",
        "<|endoftext|>",
        "<mask>",
        "<pad>",
        "lamp",
        "abc",
        "abcd",
        "<tok>",
        ".",
        "!?",
        "_",
        "-",
        "\u200d",
        "Ⅷ",
        "\u180e",
        "\u0085",
        "\u3000",
    ]
    generator = random.Random(seed)
    return ["".join(generator.choice(pieces) for _ in range(generator.randint(1, 14))) for _ in range(count)]


def train(pre_tokenizer, normalizer, added):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizer
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|endoftext|>"],
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator([CORPUS], trainer)
    tokenizer.add_tokens(added)
    return json.loads(tokenizer.to_str())


def split(pattern, behavior, invert=False):
    return {"type": "Split", "pattern": pattern, "behavior": behavior, "invert": invert}


BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}


def then_bytes(*rules):
    return {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [*rules, BYTES]}}


# Entries that no merge makes: only a vocabulary that is looked at before the merges finds them.
UNREACHABLE = {"here": 400, "IT": 401, "ab": 402}

PATCHES = [
    ("bpe_gpt2", {}),
    ("bpe_qwen2", {}),
    ("bpe_gpt2", {"pre_tokenizer": {"add_prefix_space": True}}),
    ("bpe_gpt2", {"pre_tokenizer": BYTES}),
    (
        "bpe_gpt2",
        {"model": {"ignore_merges": True, "vocab": UNREACHABLE}, "added_tokens": [], "normalizer": {"type": "NFC"}},
    ),
    ("bpe_qwen2", {"normalizer": None}),
    ("bpe_qwen2", {"model": {"ignore_merges": True, "vocab": UNREACHABLE}, "added_tokens": []}),
    ("bpe_qwen2", then_bytes({"type": "Digits", "individual_digits": True})),
    ("bpe_qwen2", then_bytes({"type": "Digits", "individual_digits": False}, split({"Regex": r"\s+"}, "Isolated"))),
    ("bpe_qwen2", then_bytes(split({"Regex": r"\s"}, "Removed"))),
    ("bpe_qwen2", then_bytes(split({"Regex": r"\p{L}"}, "Contiguous"))),
    ("bpe_qwen2", then_bytes(split({"Regex": r"[\s.]"}, "MergedWithPrevious"))),
    ("bpe_qwen2", then_bytes(split({"Regex": r"[\s.]"}, "MergedWithNext"))),
    ("bpe_qwen2", then_bytes(split({"Regex": r"\w+|[^\w\s]+"}, "Removed", invert=True))),
    (
        "bpe_qwen2",
        then_bytes(split({"String": " "}, "MergedWithNext"), split({"String": "a"}, "Isolated", invert=True)),
    ),
    ("bpe_qwen2", then_bytes(split({"Regex": r"\p{N}{1,3}"}, "Isolated"), split({"Regex": r"\p{Han}+"}, "Isolated"))),
    ("bpe_qwen2", then_bytes(split({"Regex": r"(?=\d)"}, "Isolated"))),
]


def main():
    plain = train(
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        None,
        [
            AddedToken("<mask>", lstrip=True, normalized=False),
            AddedToken("lamp", single_word=True, normalized=False),
            AddedToken("abc", normalized=False),
            AddedToken("abcd", normalized=False),
        ],
    )
    # The older way of writing merges.
    plain["model"]["merges"] = [" ".join(pair) for pair in plain["model"]["merges"]]
    qwen = train(
        pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(QWEN2_PATTERN), "isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        ),
        normalizers.NFC(),
        [
            AddedToken("<|im_start|>", special=True, normalized=False),
            AddedToken("<|im_end|>", special=True, normalized=False),
            AddedToken("<think>", normalized=False),
            AddedToken("<mask>", lstrip=True, normalized=False),
            AddedToken("<pad>", rstrip=True, normalized=False, special=True),
            AddedToken("lamp", single_word=True, normalized=True),
            AddedToken("cafe\u0301", normalized=True),
            AddedToken("e\u0301<tok>", normalized=False),
        ],
    )
    for name, content in [("bpe_gpt2", plain), ("bpe_qwen2", qwen)]:
        (HERE / name).mkdir(exist_ok=True)
        (HERE / name / "tokenizer.json").write_text(
            json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n"
        )

    texts = TEXTS + hostile(30, seed=1)
    cases = []
    for name, patch in PATCHES:
        tokenizer = Tokenizer.from_str(
            json.dumps(merge(json.loads((HERE / name / "tokenizer.json").read_text()), patch))
        )
        ids = [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
        if patch:
            unpatched = next(case["ids"] for case in cases if case["tokenizer"] == name)
            ids = {i: new for i, (new, old) in enumerate(zip(ids, unpatched)) if new != old}
            assert ids, (name, patch)
        cases.append({"tokenizer": name, "patch": patch, "ids": ids})
    result = {
        "made_by": {"generator": "tests/golden/make_tokenizer_golden.py", "tokenizers": tokenizers.__version__},
        "texts": texts,
        "cases": cases,
    }
    (HERE / "tokenizer_cases.json").write_text(json.dumps(result, separators=(",", ":")) + "\n")


def merge(target, patch):
    """RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key), value)
    return result


if __name__ == "__main__":
    main()
