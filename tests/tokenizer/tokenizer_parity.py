"""Hostile texts, and what they become: shared by the live comparison (tokenizer_peer_test.py) and by whoever debugs one."""
import random
import sys

PIECES = [
    "a", "the", " the", "The", "ab", "'", "'s", "'LL", "ſ", "'ſ", " ", "  ", "   ", "\n", "\r", "\r\n", "\t", "\v", "\f", "\x00",
    "\x01", "\x7f", "\x85", "\xa0", "1", "23", "456", "٣", "Ⅷ", "½", "²", "é", "e\u0301", "\u0301", "\u0323\u0301", "\u0345",
    "世", "、", "ア", "각", "\u1100\u1161\u11a8", "\ud7b0", "👍", "👍🏽", "👩\u200d👩\u200d👧", "🇩🇪", "\u200d", "\u200b", "\ufeff", "\ufe0f", "\u180e",
    "\u2028", "\u2029", "\u3000", "\u1680", "\ufffd", "\uffff", "\U0010ffff", "\ue000", "\u0897", "\U00011938", "\U00011935\U00011930",
    ".", "...", "!?", "_", "-", "/", "//", "(", ")", "{", "}", "\\", "\\frac", "$", "€", "<", ">", "<|", "|>", "<0x0A>", "▁", "▁▁", "Ġ", "Ċ",
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<s>", "</s>", "<unk>", "<think>", "</think>", "<tool_call>", "<|begin_of_text|>",
    "<|eot_id|>", "<|start_header_id|>", "｜", "<｜begin▁of▁sentence｜>", "ﬁ", "İ", "ß", "ẞ", "K", "Å", "\u212b", "\u0958", "\u0915\u093c",
    "\u0f73", "\u0f71\u0f72", "\u0344", "नमस्ते", "שָׁלוֹם", "مرحبا", "ไทย", "𝔘𝟙", "def f(x):\n\treturn x\n", "http://a.b/c?d=e&f", "e.g.",
]


def every_code_point():
    """Each code point, assigned or not; those of the planes in use also between letters, after a space, doubled, before and
    between marks."""
    for begin in range(0, 0x110000, 256):
        codes = [chr(c) for c in range(begin, begin + 256) if not 0xD800 <= c < 0xE000]
        if not codes:
            continue
        yield "".join(codes)
        if begin < 0x32000 or 0xE0000 <= begin < 0xE0200:
            yield "".join(f"a{c}b" for c in codes)
            yield "".join(f" {c}" for c in codes)
            yield "".join(f"{c}{c}1{c}\n" for c in codes)
            yield "".join(f"{c}\u0301.{c}'s" for c in codes)
            yield "".join(f"A\u0315{c}\u0345\u0334 " for c in codes)


def random_texts(count, seed):
    generator = random.Random(seed)
    for _ in range(count):
        yield "".join(generator.choice(PIECES) for _ in range(generator.randint(1, 24)))
    for _ in range(count // 2):
        # Whole planes at random: what no list thinks of.
        yield "".join(chr(c) for c in (generator.randrange(0x110000) for _ in range(generator.randint(1, 40)))
                      if not 0xD800 <= c < 0xE000)
    for _ in range(count // 2):
        yield "".join(generator.choice(PIECES) * generator.randint(1, 9) for _ in range(generator.randint(1, 12)))


def long_texts():
    generator = random.Random(9)
    words = ["the ", "answer ", "is ", "42", ". ", "世界", "é", "x = y\n", "\t", "👍"]
    yield "".join(generator.choice(words) for _ in range(330_000))[:1_000_000]
    yield "a" * 1_000_000
    yield " " * 100_000 + "x" + " " * 100_000
    yield "\n" * 100_000
    yield "ab" * 50_000
    yield "世" * 100_000
    yield "0" * 100_000
    yield "e\u0301" * 50_000
    yield "a" + "\u0301\u0323" * 3_000
    yield "👍" * 30_000
    yield "<|endoftext|>" * 5_000
    yield "the " * 50_000
    yield "\r\n" * 50_000
    yield "\x00" * 50_000


def hostile_texts(scale=1.0):
    yield ""
    yield from every_code_point()
    yield from random_texts(int(6000 * scale), seed=4)
    yield from long_texts()
    # What a reader of bytes makes of texts that are not UTF-8.
    generator = random.Random(5)
    for _ in range(int(2000 * scale)):
        raw = bytearray("".join(generator.choice(PIECES) for _ in range(8)).encode())
        for _ in range(generator.randint(1, 4)):
            raw[generator.randrange(len(raw))] = generator.randrange(256)
        yield raw.decode("utf-8", errors="replace")


if __name__ == "__main__":
    print(sum(1 for _ in hostile_texts()), "texts", file=sys.stderr)
