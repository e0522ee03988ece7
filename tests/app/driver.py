"""What the tests of this folder share: the built command, a tiny base model, and runs compared by their bytes."""
import hashlib
import json
import os
import resource
import shutil
import signal
import struct
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

WHET = Path(os.environ.get("WHET_BINARY_DIR", "build")).resolve() / "whet"
ENGINE = WHET.parent / "libwhet_engine.so"



def flags(*option_sets, **more):
    """Options as arguments: later ones replace earlier ones, key_value_heads=2 is --key-value-heads 2."""
    options = {}
    for option_set in (*option_sets, more):
        options.update(option_set)
    return [part for name, value in options.items() for part in ("--" + name.replace("_", "-"), str(value))]


# A base model that is made in two seconds. It hardly sorts, and need not: what is tested here is the machinery.
TINY = dict(task="sort", steps=40, hidden_size=32, layers=2, heads=2, key_value_heads=2, head_dim=16,
            intermediate_size=48, eval_problems=8, eval_samples=2, threads=1)
# A training run of a second.
SHORT = dict(task="sort", steps=2, prompts=4, samples=4, eval_every=1, eval_problems=8, eval_samples=2,
             checkpoint_every=2, rollouts_every=1, threads=1)


def whet(*arguments, **options):
    """Runs the command to its end; text in and out."""
    options.setdefault("stdin", None if "input" in options else subprocess.DEVNULL)
    if "input" in options:
        del options["stdin"]
    options.setdefault("timeout", 240)
    options.setdefault("stdout", subprocess.PIPE)
    return subprocess.run([str(WHET), *map(str, arguments)], stderr=subprocess.PIPE, text=True, **options)


def metrics_lines(run):
    path = Path(run) / "metrics.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def read_metrics(run):
    return [json.loads(line) for line in (Path(run) / "metrics.jsonl").read_text().splitlines()]


def is_listening(pid):
    """Whether a process has a handler for SIGINT."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("SigCgt:"):
            return bool(int(line.split()[1], 16) >> (signal.SIGINT - 1) & 1)
    return False


def start_and_signal(arguments, run, lines, sent=signal.SIGKILL, then=None):
    """Starts the command and sends it a signal once metrics.jsonl has `lines` lines (0: once the run listens for it).
    Returns the finished process, with stdout and stderr read; fails when the run ends before. `then` is called just
    before the signal."""
    process = subprocess.Popen([str(WHET), *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while metrics_lines(run) < lines or not is_listening(process.pid):
        if process.poll() is not None:
            raise AssertionError(f"ended before line {lines}: {process.communicate()[1]}")
        if time.monotonic() > deadline:
            process.kill()
            raise AssertionError(f"no line {lines} in time: {process.communicate()[1]}")
        time.sleep(0.002)
    if then:
        then()
    process.send_signal(sent)
    process.out, process.err = process.communicate(timeout=120)
    return process


def tree(folder):
    """Relative path -> bytes (None for a folder) of everything under a folder."""
    folder = Path(folder)
    if not folder.exists():
        return None
    return {str(path.relative_to(folder)): None if path.is_dir() else path.read_bytes()
            for path in sorted(folder.rglob("*"))}


# What a clock said, and what the command line was.
CLOCKED = {"timings.jsonl", "events.out.tfevents.whetstone", "manifest.json"}


def repeatable(run):
    """Name -> digest of every file of a run that the same options and seed must repeat."""
    return {name: hashlib.sha256(data).hexdigest() for name, data in tree(run).items()
            if data is not None and name not in CLOCKED}


def read_safetensors(path):
    data = Path(path).read_bytes()
    (length,) = struct.unpack_from("<Q", data)
    return json.loads(data[8:8 + length]), bytearray(data[8 + length:])


def write_safetensors(path, header, data):
    text = json.dumps(header).encode()
    Path(path).write_bytes(struct.pack("<Q", len(text)) + text + bytes(data))


def limit_file_size(size):
    """For preexec_fn: no file of the process grows beyond `size` bytes; a write that would fails, as on a full disk."""
    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    return limit


class WhetTest(unittest.TestCase):
    """A test with a folder of its own, beside a tiny model that the tests of the class share and must not change."""

    @classmethod
    def setUpClass(cls):
        if not WHET.exists():
            raise unittest.SkipTest(f"{WHET} was not built")
        if not ENGINE.exists():
            raise unittest.SkipTest(f"{ENGINE} was not built")
        cls.shared = Path(tempfile.mkdtemp(prefix="whet-app-test-"))
        cls.addClassCleanup(shutil.rmtree, cls.shared, ignore_errors=True)
        made = whet("pretrain", *flags(TINY), "--out", cls.shared / "base")
        if made.returncode != 0:
            raise AssertionError(made.stderr)
        cls.model = cls.shared / "base" / "checkpoints" / "step-000040"

    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(dir=self.shared))

    def copy_of_model(self, name="model"):
        return Path(shutil.copytree(self.model, self.folder / name))

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return path

    def ok(self, *arguments, **options):
        done = whet(*arguments, **options)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def one_line(self, done, after_progress=False):
        """The one line on standard error that a failed command leaves, after lines of progress if it had begun."""
        self.assertRegex(done.stderr, r"\A%swhet: [^\n]+\n\Z" % (r"(?:(?!whet:)[^\n]*\n)*" if after_progress else ""))
        return done.stderr.splitlines()[-1]

    def refused(self, arguments, *wanted, code=2, after_progress=False, **options):
        """The command ends in `code` and one line that has every text of `wanted`."""
        done = whet(*arguments, **options)
        self.assertEqual(done.returncode, code, (arguments, done.stdout, done.stderr))
        line = self.one_line(done, after_progress)
        for text in wanted:
            self.assertIn(str(text), line)
        return line
