"""whet reproduce as a user meets it: what is declared, a finding run to its end, interruption, and folders of other runs."""
import json
import shlex
import signal
import subprocess
import time
import unittest

from driver import WHET, WhetTest


class Reproduce(WhetTest):
    def declared(self, *arguments):
        lines = self.ok("reproduce", "--list", *arguments).stdout.splitlines()
        return [shlex.split(line)[1:] for line in lines if line.startswith("    whet ")]

    def test_every_declared_command_is_one_that_the_program_knows(self):
        commands = self.declared()
        self.assertGreater(len(commands), 50)
        kinds = {}
        for command in commands:
            kinds.setdefault((command[0], tuple(word for word in command if word.startswith("--"))), command)
        for command in kinds.values():
            # Everything is read and checked before the model that is not there is missed.
            if "--model" in command:
                command[command.index("--model") + 1] = "no-such-model"
                self.refused(command, "no-such-model")
            else:
                command[command.index("--steps") + 1] = "0"
                self.refused(command, "steps")

    def test_a_finding_is_run_judged_written_down_and_not_run_again(self):
        out = self.folder / "out"
        arguments = ["reproduce", "F4", "--quick", "--out", out, "--json"]
        first = self.ok(*arguments)
        row, = json.loads(first.stdout)["findings"]
        self.assertEqual(row["finding"], "F4")
        self.assertIn(row["verdict"], ("reproduced", "reproduced in part", "not reproduced", "cannot tell"))
        self.assertIn("12/12 runs", first.stderr)
        self.assertIn(row["measured"], (out / "findings.md").read_text())
        self.assertIn("<svg", (out / "index.html").read_text())
        self.assertTrue((out / "figures" / "F4-1.svg").read_text().startswith("<svg"))
        before = sorted((path, path.stat().st_mtime_ns) for path in (out / "runs").rglob("*"))
        again = self.ok(*arguments)
        self.assertEqual(again.stdout, first.stdout)
        self.assertEqual(sorted((path, path.stat().st_mtime_ns) for path in (out / "runs").rglob("*")), before)

    def test_interrupted_it_saves_and_goes_on_to_the_same_figures(self):
        out = self.folder / "out"
        command = [str(WHET), "reproduce", "F4", "--quick", "--out", str(out), "--jobs", "2", "--json"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        runs = out / "runs"
        deadline = time.monotonic() + 60
        while not any(path.read_bytes().count(b"\n") > 20 for path in runs.glob("*/metrics.jsonl")):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 130, errors)
        self.assertIn("the same command goes on", errors)
        # Nothing is left running, and what had begun was saved as a run.
        self.assertEqual(subprocess.run(["pgrep", "-f", str(out)], stdout=subprocess.PIPE).stdout, b"")
        begun = [path.parent.name for path in runs.glob("*/metrics.jsonl") if not (path.parent / "summary.json").exists()]
        self.assertTrue(begun)
        self.ok(*command[1:])
        fresh = self.folder / "fresh"
        self.ok("reproduce", "F4", "--quick", "--out", fresh)
        for name in begun:
            self.assertEqual((runs / name / "metrics.jsonl").read_bytes(), (fresh / "runs" / name / "metrics.jsonl").read_bytes(), name)

    def test_a_run_that_fails_is_named_with_its_reason(self):
        out = self.folder / "out"
        self.refused(["reproduce", "F4", "--quick", "--out", out], "one-problem-", "none.so", code=1, after_progress=True,
                     env={"WHET_ENGINE": str(self.folder / "none.so")})

    def test_mistakes_are_named(self):
        self.refused(["reproduce", "F9"], "F1, F2")
        out = self.folder / "out"
        run = out / "runs" / "one-problem-0"
        run.mkdir(parents=True)
        (run / "manifest.json").write_text(json.dumps({"command_line": ["whet", "train", "--steps", "7", "--out", "x"]}))
        self.refused(["reproduce", "F4", "--quick", "--out", out], "--steps 7")


if __name__ == "__main__":
    unittest.main()
