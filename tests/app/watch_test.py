"""whet watch: the verdict, its exit code, and files in every state."""
import json
import shutil
import unittest

from driver import WhetTest, whet


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
        verdict = self.judged(self.run_with("".join(steps)), 0)
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


if __name__ == "__main__":
    unittest.main()
