"""whet watch: the verdict, its exit code, and files in every state."""
import json
import os
import shutil
import signal
import subprocess
import tempfile
import unittest
from pathlib import Path

from driver import WHET, WhetTest, whet

GOLDEN = Path(os.environ.get("WHET_SOURCE_DIR", Path(__file__).resolve().parents[2])) / "tests/golden/dumps"


def line(step, logprob, agreement):
    return json.dumps({"step": step, "reward": 0.5, "base_logprob": logprob, "base_agreement": agreement}) + "\n"


RISE = [line(0, -0.4, 0.9), line(5, -0.2, 0.97), line(10, -0.1, 1.0)]
FALL = [line(15, -0.2, 0.9), line(20, -0.3, 0.8)]


class Watch(WhetTest):
    def run_with(self, text, name="run"):
        """A run whose metrics are `text`."""
        folder = self.folder / name
        if not folder.exists():
            self.ok("train", "--model", self.model, "--steps", 1, "--prompts", 2, "--samples", 2, "--eval-problems", 2,
                    "--eval-samples", 1, "--threads", 1, "--out", folder)
        (folder / "metrics.jsonl").write_text(text)
        return folder

    def judged(self, folder, code):
        done = whet("watch", folder, "--json")
        self.assertEqual(done.returncode, code, done.stderr)
        return json.loads(done.stdout)

    def test_a_collapse_is_exit_code_three_and_names_the_steps(self):
        verdict = self.judged(self.run_with("".join(RISE + FALL)), 3)
        self.assertEqual((verdict["verdict"], verdict["peak_step"], verdict["warning_step"], verdict["collapse_step"]),
                         ("collapsed", 10, 15, 20))
        self.assertIsNone(verdict["kept_model"])  # this run has no checkpoint of step 10
        text = whet("watch", self.folder / "run")
        self.assertEqual(text.returncode, 3)
        self.assertIn("collapsed, seen up to step 20", text.stdout)

    def test_a_sound_run_is_exit_code_zero(self):
        verdict = self.judged(self.run_with("".join(RISE)), 0)
        self.assertEqual(verdict["verdict"], "healthy")
        self.assertIsNone(verdict["collapse_step"])

    def test_one_breach_is_a_warning(self):
        self.assertEqual(self.judged(self.run_with("".join(RISE + FALL[:1])), 0)["verdict"], "warning")

    def test_too_few_measurements_give_no_verdict(self):
        self.assertEqual(self.judged(self.run_with(RISE[0]), 0)["verdict"], "too few points")
        done = self.ok("watch", self.run_with('{"step": 1, "reward": 0.5}\n'))
        self.assertIn("no verdict", done.stdout)

    def test_a_last_line_that_is_cut_is_left_out(self):
        whole = "".join(RISE + FALL)
        self.assertEqual(self.judged(self.run_with(whole[:-7]), 0)["last_step"], 15)

    def test_the_way_it_fails_is_named_with_its_evidence(self):
        steps = [json.dumps({"step": step, "length": 20.0 if step < 20 else 4.0, "majority_ratio": 0.5}) + "\n"
                 for step in range(1, 41)]
        verdict = self.judged(self.run_with("".join(steps)), 3)  # no view of a base: judged by the signals
        self.assertEqual(verdict["failure"], "shortening")
        self.assertIn("from 20", verdict["signs"][0]["evidence"])
        self.assertEqual(self.judged(self.run_with("".join(steps[:19])), 0)["failure"], "none")

    def test_follow_ends_with_the_run(self):
        folder = self.run_with("".join(RISE))
        done = self.ok("watch", folder, "--follow", "--every", "0.1")
        self.assertIn("healthy, seen up to step 10 (finished)", done.stdout)

    def test_follow_ends_at_the_alarm_of_a_run_that_goes_on(self):
        folder = self.run_with("".join(RISE + FALL))
        (folder / "summary.json").unlink()
        self.assertEqual(whet("watch", folder, "--follow", "--every", "0.1").returncode, 3)

    def test_where_no_run_is_nothing_is_judged(self):
        self.refused(["watch", self.folder / "nothing"], "nothing")
        shutil.rmtree(self.folder / "empty", ignore_errors=True)
        (self.folder / "empty").mkdir()
        self.refused(["watch", self.folder / "empty"], "empty")


def metrics(steps, broken_from=None, base=True):
    """A run that sharpens until step 20; from `broken_from` on the base finds its samples less and less likely."""
    lines = []
    for step in range(1, steps + 1):
        bad = 0 if broken_from is None else max(0, step - broken_from)
        line = {"step": step, "majority_ratio": max(0.5 + 0.02 * min(step, 22) - 0.02 * bad, 0.1),
                "mutual_information": 3.5, "length": 100.0, "repetition": 0.02, "answered": 1.0,
                "kl_to_start": 0.05 + 0.1 * bad}
        if base and step % 2 == 0:
            line["base_logprob"] = -0.4 + 0.01 * min(step, 20) - 0.1 * bad
            line["base_agreement"] = max(0.9 - 0.05 * bad, 0.0)
        lines.append(json.dumps(line) + "\n")
    return "".join(lines)


class Signals(WhetTest):
    @classmethod
    def setUpClass(cls):
        # No engine and no model: the command needs neither.
        if not WHET.exists():
            raise unittest.SkipTest(f"{WHET} was not built")
        cls.shared = Path(tempfile.mkdtemp(prefix="whet-watch-test-"))
        cls.addClassCleanup(shutil.rmtree, cls.shared, ignore_errors=True)

    def run_folder(self, text, finished=False):
        folder = self.folder / "run"
        (folder / "rollouts").mkdir(parents=True)
        (folder / "checkpoints").mkdir()
        (folder / "config.toml").write_text('task = "sort"\n')
        (folder / "manifest.json").write_text("{}\n")
        (folder / "metrics.jsonl").write_text(text)
        (folder / "timings.jsonl").write_text("")
        if finished:
            (folder / "summary.json").write_text("{}\n")
        return folder

    def dumps(self, steps, split_from=None, n=8, problems=16):
        """verl's dumps: one majority answer for each problem; from `split_from` on the votes split."""
        folder = self.folder / "rollouts"
        folder.mkdir()
        for step in range(1, steps + 1):
            wrong = 1 if split_from is None else 1 + max(0, min(step - split_from, 5))
            rows = [{"input": f"problem {p}", "step": step,
                     "output": f"so the answer to it is \\boxed{{{1000 + p if i >= wrong else 10 * p + i}}}"}
                    for p in range(problems) for i in range(n)]
            (folder / f"{step}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        return folder

    def judged(self, *arguments, code=0):
        done = whet("watch", *arguments, "--json")
        self.assertEqual(done.returncode, code, done.stderr)
        return json.loads(done.stdout.splitlines()[-1])

    def test_a_healthy_run_ends_in_0(self):
        found = self.judged(self.run_folder(metrics(40), finished=True))
        self.assertIn(found["verdict"], ("healthy", "falling"))
        self.assertEqual((found["judged_by"], found["failure"], found["finished"]), ("frozen base", "none", True))

    def test_a_collapsed_run_ends_in_3_and_names_peak_collapse_and_failure(self):
        folder = self.run_folder(metrics(40, broken_from=24))
        found = self.judged(folder, code=3)
        self.assertEqual(found["verdict"], "collapsed")
        self.assertTrue(20 <= found["peak_step"] <= 24, found)
        self.assertTrue(24 < found["collapse_step"] <= 30, found)
        self.assertEqual(found["failure"], "confident drift")
        text = whet("watch", folder).stdout
        for wanted in ("collapsed, seen up to step 40", "keep the newest checkpoint", "confident drift: divergence", "early warning"):
            self.assertIn(wanted, text)

    def test_a_run_without_the_base_is_judged_by_its_signals(self):
        found = self.judged(self.run_folder(metrics(40, broken_from=24, base=False)), code=3)
        self.assertEqual((found["judged_by"], found["signal"]), ("signals", "majority ratio"))

    def test_a_cut_line_is_left_out(self):
        found = self.judged(self.run_folder(metrics(40) + '{"step": 41, "majority_ra'))
        self.assertEqual(found["steps"], 40)

    def test_too_few_steps_have_no_verdict(self):
        self.assertEqual(self.judged(self.dumps(3))["verdict"], "too few points")
        self.assertIn("3 steps, too few: no verdict", whet("watch", self.folder / "rollouts").stdout)

    def test_dumps_without_labels_are_judged(self):
        found = self.judged(self.dumps(20))
        self.assertEqual((found["judged_by"], found["failure"]), ("signals", "none"))
        self.assertNotIn(found["verdict"], ("collapsed", "warning"))
        self.assertIn("weaker", whet("watch", self.folder / "rollouts").stdout)

    def test_dumps_whose_votes_split_end_in_3(self):
        found = self.judged(self.dumps(24, split_from=14), code=3)
        self.assertEqual(found["signal"], "majority ratio")
        self.assertTrue(14 < found["collapse_step"] <= 20, found)
        self.assertLessEqual(found["peak_step"], 14)

    def test_incomplete_groups_and_a_last_step_that_is_being_written_are_left_out_and_told(self):
        folder = self.dumps(12)
        lines = (folder / "5.jsonl").read_text().splitlines(True)
        (folder / "5.jsonl").write_text("".join(lines[:3] + lines[8:]))
        lines = (folder / "12.jsonl").read_text().splitlines(True)
        (folder / "12.jsonl").write_text("".join(lines[:20]))
        found = self.judged(folder)
        self.assertEqual(found["steps"], 11)
        self.assertEqual(len(found["notes"]), 2, found["notes"])

    def test_mistakes_are_refused_in_a_line(self):
        self.refused(["watch", self.folder / "nowhere"], "nowhere", "not there")
        (self.folder / "empty").mkdir()
        self.refused(["watch", self.folder / "empty"], "empty")

    def test_following_dumps_ends_at_the_alarm_or_ctrl_c(self):
        folder = self.dumps(24, split_from=14)
        later = {}
        for step in range(15, 25):
            later[step] = (folder / f"{step}.jsonl").read_text()
            (folder / f"{step}.jsonl").unlink()
        def goes_on(process):
            # What was read is not read again: this file would be refused.
            size = (folder / "3.jsonl").stat().st_size
            (folder / "3.jsonl").write_text("x" * size)
            for step, text in later.items():
                (folder / f"{step}.jsonl").write_text(text)

        for end, code in ((lambda p: p.send_signal(signal.SIGINT), 130), (goes_on, 3)):
            process = subprocess.Popen([str(WHET), "watch", str(folder), "--follow", "--every", "0.1", "--json"],
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            self.assertIn("step 14: healthy", process.stderr.readline())
            end(process)
            out, err = process.communicate(timeout=60)
            self.assertEqual(process.returncode, code, err)
            self.assertEqual(json.loads(out)["verdict"] == "collapsed", code == 3)

    def test_following_waits_for_a_folder_that_is_not_there_yet(self):
        folder = self.folder / "rollouts"
        process = subprocess.Popen([str(WHET), "watch", str(folder), "--follow", "--every", "0.1", "--json"],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.assertIn("nothing in", process.stderr.readline())
        self.dumps(24, split_from=14)
        out, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 3, err)

    def test_the_dumps_of_each_program_are_read(self):
        for name, wanted in (("verl", "verl"), ("nemo_rl", "nemo-rl"), ("areal", "areal"), ("trl", "trl")):
            with self.subTest(dump=name):
                found = self.judged(GOLDEN / name, "--task", "sort" if name == "trl" else "file")
                self.assertEqual((found["source"], found["verdict"]), (f"rollouts of {wanted}", "too few points"))


if __name__ == "__main__":
    unittest.main()
