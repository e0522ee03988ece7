"""--device as a user meets it."""
import json
import os
import pathlib
import subprocess
import tempfile
import unittest

WHET = pathlib.Path(os.environ.get("WHET_BINARY_DIR", "build")).resolve() / "whet"


def whet(*arguments, **environment):
    return subprocess.run([str(WHET), *map(str, arguments)], capture_output=True, text=True, env={**os.environ, **environment})


def has_engine():
    return (WHET.parent / "libwhet_engine.so").exists() or "WHET_ENGINE" in os.environ


def sampled(**environment):
    """The JSON lines of six sampled responses."""
    done = whet("generate", "--model", "sort-strong", "--prompt", "7402?", "--samples", 6, "--seed", 3, "--threads", 1, "--json",
                **environment)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@unittest.skipUnless(has_engine(), "built without the engine")
class Device(unittest.TestCase):
    def refused(self, *arguments):
        done = whet(*arguments)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)
        return done.stderr

    def test_an_unknown_device_is_refused_in_one_line(self):
        for name in ("gpu", "cuda:x", "cuda:-1", "cpu:1"):
            line = self.refused("generate", "--model", "sort-strong", "--prompt", "1?", "--device", name)
            self.assertIn(f"'{name}', want cpu, cuda or cuda:N", line)

    def test_a_gpu_that_is_not_there_is_refused_before_a_run_is_made(self):
        with tempfile.TemporaryDirectory() as folder:
            out = pathlib.Path(folder) / "run"
            for command in (["train", "--task", "sort", "--model", "sort-strong", "--reward", "majority-vote", "--steps", "1", "--out", out],
                            ["pretrain", "--task", "sort", "--steps", "1", "--out", out]):
                line = self.refused(*command, "--device", "cuda:99")
                self.assertIn("'cuda:99', but", line)
                self.assertFalse(out.exists())

    def test_the_operations_of_a_device_sample_the_same_in_host_memory(self):
        ours, plain = sampled(), sampled(WHET_PLAIN_OPERATIONS="1")
        self.assertEqual(len(ours), 6)
        for one, other in zip(ours, plain, strict=True):
            self.assertEqual((one["response"], one["tokens"]), (other["response"], other["tokens"]))
            self.assertAlmostEqual(one["logprob"], other["logprob"], delta=1e-4)


if __name__ == "__main__":
    unittest.main()
