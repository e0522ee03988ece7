"""whet logprobs: transformers' values on golden texts, what goes in and out, and what is refused."""
import json
import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from driver import WHET, WhetTest

GOLDEN = Path(os.environ.get("WHET_SOURCE_DIR", Path(__file__).parents[2])) / "tests" / "golden"
STATISTICS = ("logprob", "entropy", "self_certainty", "gap")


def lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


class Logprobs(WhetTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.golden = Path(shutil.copytree(GOLDEN / "qwen3_untied", cls.shared / "golden"))
        shutil.copy(GOLDEN / "logprobs" / "tokenizer.json", cls.golden)

    def score(self, rows, *arguments, model=None):
        done = self.ok("logprobs", "--model", model or self.golden, "--threads", 1, *arguments, input=lines(rows))
        return [json.loads(line) for line in done.stdout.splitlines()]

    def test_the_values_are_those_of_transformers(self):
        cases = json.loads((GOLDEN / "logprobs" / "expected.json").read_text())["cases"]
        compared = 0
        for temperature in sorted({case["temperature"] for case in cases}):
            wanted = [case for case in cases if case["temperature"] == temperature]
            got = self.score([{"text": case["text"]} for case in wanted], "--temperature", temperature)
            self.assertEqual([row["tokens"] for row in got], [case["tokens"] for case in wanted])
            for row, case in zip(got, wanted):
                for name in STATISTICS:
                    self.assertEqual(len(row[name]), max(0, len(case["tokens"]) - 1))
                    for ours, theirs in zip(row[name], case[name]):
                        self.assertAlmostEqual(ours, theirs, delta=1e-4 * max(1, abs(theirs)), msg=(name, case["text"]))
                        compared += 1
        self.assertGreater(compared, 400)

    def test_other_fields_and_the_order_of_lines_are_kept(self):
        rows = [{"id": i, "text": str(i) * (i % 7), "note": {"deep": [None, i]}} for i in range(40)]
        got = self.score(rows, "--batch", 7)
        self.assertEqual([{k: row[k] for k in ("id", "text", "note")} for row in got], rows)
        for row in got:
            self.assertEqual(list(row), ["id", "text", "note", "tokens", *STATISTICS])
        self.assertEqual(got, self.score(rows, "--batch", 1))
        path = self.write("texts.jsonl", lines(rows) + "\n\n")
        done = self.ok("logprobs", "--model", self.golden, "--threads", 1, path)
        self.assertEqual([json.loads(line) for line in done.stdout.splitlines()], got)

    def test_a_text_begins_as_the_tokenizer_begins_every_text(self):
        """As transformers' tokenizers give it to a model; a text that begins so already is left as it is."""
        model = Path(shutil.copytree(self.golden, self.folder / "begins"))
        content = json.loads((model / "tokenizer.json").read_text())
        special = {"SpecialToken": {"id": "<|endoftext|>", "type_id": 0}}
        content["post_processor"] = {"type": "TemplateProcessing", "single": [special, {"Sequence": {"id": "A", "type_id": 0}}, special],
                                     "pair": [], "special_tokens": {"<|endoftext|>": {"id": "<|endoftext|>", "ids": [0], "tokens": ["<|endoftext|>"]}}}
        (model / "tokenizer.json").write_text(json.dumps(content))
        rows = [{"text": "0123?98"}, {"text": ""}]
        bare = self.score(rows, model=self.golden)
        begun = self.score([{"text": "<|endoftext|>" + row["text"]} for row in rows], model=self.golden)
        found = self.score(rows, model=model)
        for row, alone, wanted in zip(found, bare, begun):
            self.assertEqual(row["tokens"], [0] + alone["tokens"])
            for name in STATISTICS:
                self.assertEqual(row[name], wanted[name])
        self.assertNotEqual(found[0]["logprob"][1:], bare[0]["logprob"])
        self.assertEqual(self.score([{"text": "<|endoftext|>" + row["text"]} for row in rows], model=model)[0]["tokens"], found[0]["tokens"])
        self.assertEqual(self.score(rows, "--bare", model=model), bare)
        self.assertEqual(self.score(rows, "--add-special", model=model)[0]["tokens"], [*found[0]["tokens"], 0])
        self.refused(["logprobs", "--model", model, "--bare", "--add-special"], "--bare with --add-special", input="")

    def test_a_batch_of_one_is_answered_before_more_is_read(self):
        process = subprocess.Popen([WHET, "logprobs", "--model", self.golden, "--threads", "1", "--batch", "1"], text=True,
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        for text in ("0123", "98"):
            process.stdin.write(json.dumps({"text": text}) + "\n")
            process.stdin.flush()
            self.assertEqual(json.loads(process.stdout.readline())["text"], text)
        process.stdin.close()
        self.assertEqual(process.wait(timeout=60), 0)
        process.stdout.close()

    def test_a_mistake_is_one_line_with_the_number_of_its_own(self):
        good = {"text": "012"}
        for bad, wanted in (('{"text": 3}', "'text' is number"), ('{"no": 1}', "'text' is missing"), ("[1]", "array"), ('{"text":', "not JSON"),
                            (json.dumps({"text": "?" * 65}), "65 tokens, want at most the model's 64")):
            with self.subTest(bad=bad):
                path = self.write("bad.jsonl", lines([good]) + "\n" + bad + "\n" + lines([good]))
                self.refused(["logprobs", "--model", self.golden, path, "--batch", 1], path, "3", wanted)
        self.assertEqual(len(self.score([{"text": "?" * 64}])[0]["gap"]), 63)
        self.refused(["logprobs", "--model", self.golden, self.folder / "none.jsonl"], "cannot read", "none.jsonl")
        self.refused(["logprobs"], "no model given", input="")
        self.refused(["logprobs", "--model", self.golden, "--temperature", 0], "--temperature", input="")

    def test_broken_weights_are_a_failure_and_not_a_number(self):
        from driver import read_safetensors, write_safetensors
        model = Path(shutil.copytree(self.golden, self.folder / "broken"))
        header, data = read_safetensors(model / "model.safetensors")
        begin, _ = header["model.norm.weight"]["data_offsets"]
        data[begin:begin + 4] = b"\x00\x00\xc0\x7f"
        write_safetensors(model / "model.safetensors", header, data)
        self.refused(["logprobs", "--model", model], "line 1", "finite", code=1, input=lines([{"text": "012"}]))


if __name__ == "__main__":
    unittest.main()
