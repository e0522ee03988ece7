"""whet tokenize: rows in, rows out, and what it says of rows that are wrong. No engine is needed."""
import json
import pathlib
import tempfile
import unittest

from driver import whet

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "golden"
MODEL = GOLDEN / "bpe_qwen2"


class Tokenize(unittest.TestCase):
    def rows(self, *arguments, given):
        run = whet("tokenize", *arguments, input="".join(json.dumps(row) + "\n" for row in given))
        self.assertEqual(run.returncode, 0, run.stderr)
        return [json.loads(line) for line in run.stdout.splitlines()]

    def refusal(self, *arguments, given=""):
        run = whet("tokenize", *arguments, input=given)
        self.assertEqual(run.returncode, 2, run.stdout + run.stderr)
        self.assertEqual(run.stderr.count("\n"), 1, run.stderr)
        return run.stderr

    def test_there_and_back_with_other_fields_kept(self):
        given = [{"id": 7, "text": "The answer is 42.<|im_end|>\n", "x": [1]}, {"text": ""}]
        ids = self.rows("--model", MODEL, given=given)
        self.assertEqual(list(ids[0]), ["id", "ids", "x"])
        self.assertEqual(ids[1], {"ids": []})
        self.assertEqual(self.rows("--model", MODEL, "--decode", given=ids), given)
        self.assertEqual(self.rows("--model", MODEL, "--decode", "--skip-special", given=ids)[0]["text"], "The answer is 42.\n")

    def test_reads_a_file(self):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "t.jsonl"
            file.write_text('{"text": "a"}\n\n{"text": "a"}\n')
            run = whet("tokenize", "--model", MODEL, file)
            self.assertEqual(len(set(run.stdout.splitlines())), 1)
            self.assertEqual(run.stdout.count("\n"), 2)
            self.assertIn("absent.jsonl", self.refusal("--model", MODEL, file.with_name("absent.jsonl")))

    def test_names_the_line_that_is_wrong(self):
        for given, arguments, message in [
            ('{"text": "a"}\n{"txt": 1}\n', [], "standard input:2: no text 'text'"),
            ('{"text": 3}\n', [], "standard input:1: no text 'text'"),
            ("\n{nonsense\n", [], "standard input:2"),
            ("[1]\n", [], "no text 'text'"),
            ('{"ids": 3}\n', ["--decode"], "standard input:1: no list 'ids'"),
            ('{"ids": [1, -1]}\n', ["--decode"], "id -1, want a whole number from 0 to 407"),
            ('{"ids": [408]}\n', ["--decode"], "id 408"),
            ('{"ids": ["a"]}\n', ["--decode"], 'id "a"'),
            ("", ["--decode", "--add-special"], "want one of them"),
            ("", ["--skip-special"], "without --decode"),
            ("", ["--chat"], "has no chat template"),
        ]:
            self.assertIn(message, self.refusal("--model", MODEL, *arguments, given=given))
        self.assertIn("has no tokenizer.json", self.refusal("--model", GOLDEN))

    def test_chats(self):
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            (folder / "tokenizer.json").write_bytes((MODEL / "tokenizer.json").read_bytes())
            template = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
            (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": template}))
            chat = {"n": 1, "messages": [{"role": "user", "content": "Hi"}]}
            text = "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
            row = self.rows("--model", folder, "--chat", given=[chat])[0]
            self.assertEqual((row["n"], row["text"]), (1, text))
            self.assertEqual(row["ids"], self.rows("--model", folder, given=[{"text": text}])[0]["ids"])
            row = self.rows("--model", folder, "--chat", given=[{**chat, "add_generation_prompt": False}])[0]
            self.assertEqual(row["text"], text.removesuffix("<|im_start|>assistant\n"))
            (folder / "chat_template.jinja").write_text("a\n{{ frob(messages) }}")
            message = self.refusal("--model", folder, "--chat", given=json.dumps(chat))
            self.assertIn("chat_template.jinja] line 2: there is no function 'frob'", message)


if __name__ == "__main__":
    unittest.main()
