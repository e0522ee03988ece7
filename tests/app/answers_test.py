"""Every way to an answer, from sampled tokens to grades and votes, with a model whose answers are known in law.

bench/real_problems.py does the same at 100M parameters on real files.
"""
import json
import os
import shutil
import sys
import tempfile
import unittest
from pathlib import Path

from driver import ENGINE, WHET, WhetTest, flags

ROOT = Path(os.environ.get("WHET_SOURCE_DIR", Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(ROOT / "bench"))
import answering_model
import real_problems

SHAPE = dict(hidden_size=48, layers=2, heads=2, key_value_heads=1, head_dim=16, intermediate_size=32)
SAMPLES = 4
TRAIN = dict(steps=2, prompts=8, samples=16, eval_every=2, eval_problems=2, eval_samples=2, rollouts_every=1, learning_rate=1e-6)
LABELS = {"letters": ["A", "(B)", "\\text{(C)}", "D"], "in a box only": ["204", "104.0", "$2$"],
          "in words and behind #### only": ["7"]}
EQUAL_TO = {"(B)": "B", "104.0": "104", "$2$": "2", "\\text{(C)}": "C"}


def byte_characters():
    """The 256 characters that byte-level vocabularies write bytes as: printable ones as themselves, others from U+0100 on."""
    characters, next_one = [], 256
    for byte in range(256):
        is_printable = 33 <= byte <= 126 or 161 <= byte <= 172 or 174 <= byte
        characters.append(chr(byte if is_printable else next_one))
        next_one += 0 if is_printable else 1
    return characters


def write_tokenizer(folder):
    folder.mkdir()
    words = [token.replace(" ", "Ġ") for token in answering_model.CHAIN if token != answering_model.START]
    vocabulary = {text: token for token, text in enumerate(dict.fromkeys([*byte_characters(), *words]))}
    end = len(vocabulary)
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    (folder / "tokenizer.json").write_text(json.dumps({
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [{"id": end, "content": "<|end|>", "single_word": False, "lstrip": False, "rstrip": False,
                          "normalized": False, "special": True}],
        "normalizer": None, "pre_tokenizer": byte_level, "post_processor": None, "decoder": byte_level,
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                  "vocab": vocabulary, "merges": []}}))
    (folder / "tokenizer_config.json").write_text(json.dumps({
        "tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|end|>",
        "chat_template": "{% for m in messages %}<{{ m.role }}> {{ m.content }}\n{% endfor %}<assistant>\n"}))


class Answers(WhetTest):
    @classmethod
    def setUpClass(cls):
        if not WHET.exists() or not ENGINE.exists():
            raise unittest.SkipTest(f"{WHET} or {ENGINE} was not built")
        cls.shared = Path(tempfile.mkdtemp(prefix="whet-answers-test-"))
        cls.addClassCleanup(shutil.rmtree, cls.shared, ignore_errors=True)
        write_tokenizer(cls.shared / "tokenizer")
        cls.answering = cls.shared / "answering"
        answering_model.write_model(cls.answering, cls.shared / "tokenizer", **SHAPE)
        cls.text_of = answering_model.texts_of(cls.answering)
        cls.common = flags(dict(model=cls.answering, task="file", chat_template="all", max_new_tokens=32, threads=1))

    def problems(self, labels, each=1):
        rows = [{"id": f"{label}{i}", "prompt": f"Number {i}: 7 or {label}", "answer": label}
                for label in labels for i in range(each)]
        return self.write("problems.jsonl", "".join(json.dumps(row) + "\n" for row in rows)), rows

    def expect(self, seen, chances):
        """A count within its law, and not none."""
        low, high = real_problems.bounds(real_problems.law_of_count(chances))
        self.assertGreater(low, 0, "too few draws to tell")
        self.assertGreaterEqual(seen, low)
        self.assertLessEqual(seen, high)

    def test_answers_grades_votes_and_cuts_follow_their_law(self):
        paths = answering_model.paths()
        for what, labels in LABELS.items():
            with self.subTest(what):
                path, rows = self.problems(labels, each=240 // len(labels))
                found = json.loads(self.ok("eval", *self.common, "--held-out-problems", path,
                                           *flags(count=len(rows), samples=SAMPLES), "--json").stdout)
                rollouts = len(rows) * SAMPLES
                self.assertEqual(found["problems"], len(rows))
                self.expect(round(found["answered"] * rollouts),
                            {sum(p for p, _, answer, _ in paths if answer is not None): rollouts})
                self.expect(round(found["truncated"] * rollouts), {sum(p for p, _, _, is_cut in paths if is_cut): rollouts})
                wanted = [EQUAL_TO.get(row["answer"], row["answer"]) for row in rows]
                right = [sum(p for p, _, answer, _ in paths if answer == form) for form in wanted]
                self.expect(round(found["avg"]["value"] * rollouts), {chance: SAMPLES * right.count(chance) for chance in right})
                elects = [real_problems.elected(SAMPLES).get(form, 0.0) for form in wanted]
                self.expect(round(found["maj"]["value"] * len(rows)), {chance: elects.count(chance) for chance in elects})

    def test_a_part_of_a_file_is_said_to_be_one(self):
        path, rows = self.problems(["A"], each=12)
        all_of_it = [*self.common, "--held-out-problems", path, "--samples", 1]
        few = [*all_of_it, "--count", 5]
        self.assertIn("5 of 12 problems x 1", self.ok("eval", *few).stdout)
        found = json.loads(self.ok("eval", *few, "--json").stdout)
        self.assertEqual((found["problems"], found["available"]), (5, 12))
        self.assertIn(", 12 problems x 1", self.ok("eval", *all_of_it, "--count", 13).stdout)
        made = self.ok("eval", *flags(model=self.answering, task="arithmetic", count=2, samples=1, max_new_tokens=8, threads=1),
                       "--json")
        self.assertIsNone(json.loads(made.stdout)["available"])

    def test_every_way_of_answering_is_read_paid_and_counted_in_training(self):
        _, rows = self.problems([label for labels in LABELS.values() for label in labels], each=8)
        rows = [{**row, "answer": EQUAL_TO.get(row["answer"], row["answer"])} for row in rows]
        path = self.write("rows.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
        label_of = {row["prompt"]: row["answer"] for row in rows}
        checks, kinds = real_problems.Checks(), set()
        for reward in real_problems.REWARDS:
            row = real_problems.train("rows", reward, label_of, [str(WHET), *self.common, "--problems", str(path)],
                                      checks, self.text_of, 0, kinds, TRAIN)
            self.assertEqual(row[2], 256)
        self.assertEqual(checks.faults, [])
        self.assertEqual(kinds, set(answering_model.KINDS))


if __name__ == "__main__":
    unittest.main()
