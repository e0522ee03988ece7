"""What the world can do to a run: a full disk, numbers that are not, a folder that cannot be written, closed streams. The
run ends in one clear line and exit code 1, and what it had written stays readable and can be resumed.

A full disk is a limit on the size of a file here (RLIMIT_FSIZE): the same write fails in the same place, with another
reason.
"""
import json
import math
import os
import signal
import struct
import subprocess
import unittest

from driver import (SHORT, TINY, WhetTest, flags, limit_file_size, read_metrics, read_safetensors, repeatable,
                    start_and_signal, tree, write_safetensors)

# Files of the tiny model's runs, in bytes: metrics.jsonl about 1,000 a step, weights about 80,000, optimizer about 160,000.
RUN = dict(SHORT, steps=8, checkpoint_every=2)


class Faults(WhetTest):
    def train(self, run, **more):
        return ["train", *flags(RUN, model=self.model, out=run, **more)]

    def whole(self, **more):
        run = self.folder / "whole"
        self.ok(*self.train(run, **more))
        return repeatable(run)

    def set_weights(self, model, value, tensor="model.norm.weight"):
        """Overwrites one tensor of a model with one number."""
        header, data = read_safetensors(model / "model.safetensors")
        begin, end = header[tensor]["data_offsets"]
        self.assertEqual(header[tensor]["dtype"], "F32")
        data[begin:end] = struct.pack("<f", value) * ((end - begin) // 4)
        write_safetensors(model / "model.safetensors", header, data)

    # ---- a full disk

    def test_a_disk_that_fills_up_while_a_checkpoint_is_written_leaves_the_last_one_to_resume_from(self):
        whole = self.whole()
        weights = (self.model / "model.safetensors").stat().st_size
        optimizer = (self.folder / "whole" / "checkpoints" / "step-000008" / "optimizer.safetensors").stat().st_size
        self.assertGreater(optimizer, weights)
        for name, size, file in (("weights", weights - 1000, "model.safetensors"),
                                 ("optimizer", optimizer - 1000, "optimizer.safetensors")):
            with self.subTest(full_at=name):
                run = self.folder / name
                # Two steps and a checkpoint on an empty disk, the next on a full one.
                process = start_and_signal(self.train(run), run, 4, signal.SIGKILL)
                self.assertEqual(process.returncode, -signal.SIGKILL)
                kept = {name for name in os.listdir(run / "checkpoints") if "." not in name}
                self.assertTrue(kept)
                before = {name: tree(run / "checkpoints" / name) for name in kept}
                self.refused(["train", "--resume", run], file, "cannot write", code=1, after_progress=True, preexec_fn=limit_file_size(size))
                self.assertEqual(before, {name: tree(run / "checkpoints" / name) for name in kept})
                self.assertFalse((run / "summary.json").exists())
                self.ok("report", run, "--out", self.folder / f"{name}.html")
                self.ok("train", "--resume", run)
                self.assertEqual(repeatable(run), whole)

    def test_a_disk_that_fills_up_before_the_first_checkpoint_can_be_resumed_from_the_start(self):
        # Measured late as well: the watch may find each measurement the best so far, and then a checkpoint is written.
        without_dumps = dict(checkpoint_every=8, eval_every=8, rollouts_every=0)
        whole = self.whole(**without_dumps)
        run = self.folder / "full"
        # Of the files that grow with every step the event file and the timings are the longest, and nearly alike.
        longest = max((path for path in (self.folder / "whole").iterdir() if path.is_file()), key=lambda path: path.stat().st_size)
        self.refused(self.train(run, **without_dumps), run, "cannot write", code=1, after_progress=True,
                     preexec_fn=limit_file_size(longest.stat().st_size // 2))
        self.assertGreater(len(read_metrics(run)), 1)
        self.assertEqual(list((run / "checkpoints").iterdir()), [])
        self.ok("report", run, "--out", self.folder / "full.html")
        self.ok("train", "--resume", run)
        self.assertEqual(repeatable(run), whole)

    def test_a_disk_that_is_full_from_the_start_leaves_no_run(self):
        for arguments in (self.train(self.folder / "run"), ["pretrain", *flags(task="sort", steps=1, out=self.folder / "run")]):
            with self.subTest(command=arguments[0]):
                self.refused(arguments, self.folder / "run", "cannot write", code=1, preexec_fn=limit_file_size(10))
                self.assertIn(tree(self.folder), ({}, {"run": None}))

    def test_a_report_that_does_not_fit_leaves_the_older_one(self):
        page = self.folder / "page.html"
        self.ok("report", self.shared / "base", "--out", page)
        before = tree(self.folder)
        self.refused(["report", self.shared / "base", "--out", page], page, code=1, preexec_fn=limit_file_size(2000))
        self.assertEqual(tree(self.folder), before)

    # ---- numbers that are not

    def test_a_model_of_broken_numbers_ends_in_one_line(self):
        for value in (float("nan"), float("inf"), 3e38):
            model = self.copy_of_model(f"model-{value}")
            self.set_weights(model, value)
            before = tree(self.folder)
            for arguments in (["train", *flags(RUN, model=model, out=self.folder / f"run-{value}")],
                              ["mcs", *flags(RUN, model=model, out=self.folder / f"run-{value}")],
                              ["eval", *flags(model=model, task="sort", count=4, samples=2, threads=1)],
                              ["generate", *flags(model=model, prompt="12345?", threads=1)]):
                with self.subTest(value=value, command=arguments[0]):
                    self.refused(arguments, "finite", code=1)
                    self.assertEqual(tree(self.folder), before)

    def test_a_loss_that_is_not_finite_keeps_the_last_checkpoint(self):
        # The divergence keeps a step from being skipped when all rewards are equal. Each step multiplies every weight by a thousand, until products of them are more than a float holds.
        growing = dict(learning_rate=1, weight_decay=1000, steps=30, checkpoint_every=1)
        run = self.folder / "run"
        self.refused(self.train(run, kl_coefficient=0.01, **growing), "finite", code=1, after_progress=True)
        pretrained = self.folder / "pretrained"
        self.refused(["pretrain", *flags(TINY, dict(warmup_steps=0, final_rate_share=1, log_every=1, batch=8), **growing,
                                         out=pretrained)], "finite", code=1, after_progress=True)
        for folder in (run, pretrained):
            with self.subTest(folder=folder.name):
                self.assertFalse((folder / "summary.json").exists())
                newest = sorted((folder / "checkpoints").glob("step-??????"))[-1]
                self.assertEqual(sorted((folder / "checkpoints").glob("*tmp*")), [])
                _, data = read_safetensors(newest / "model.safetensors")
                self.assertTrue(all(math.isfinite(value) for (value,) in struct.iter_unpack("<f", data)))
                for line in read_metrics(folder):
                    self.assertNotIn(None, line.values())
                self.ok("report", folder, "--out", self.folder / "page.html")

    # ---- folders and streams

    def test_a_folder_that_cannot_be_made_is_named(self):
        for out in ("/proc/whet-run", "/dev/null/run"):
            for arguments in (["train", *flags(RUN, model=self.model, out=out)],
                              ["pretrain", *flags(task="sort", steps=1, out=out)],
                              ["report", self.shared / "base", "--out", out + "/page.html"]):
                with self.subTest(out=out, command=arguments[0]):
                    self.refused(arguments, out, code=1)

    @unittest.skipIf(os.geteuid() == 0, "root may write everywhere")
    def test_a_folder_that_may_not_be_written_is_named(self):
        locked = self.folder / "locked"
        locked.mkdir(mode=0o555)
        self.addCleanup(locked.chmod, 0o755)
        self.refused(self.train(locked / "run"), locked / "run", code=1)
        self.refused(self.train(locked), locked, code=1)

    def test_closed_input_is_no_input(self):
        def close_input():
            os.close(0)

        done = self.ok("generate", *flags(model=self.model, prompt="12345?", threads=1), "--json", stdin=None,
                       preexec_fn=close_input)
        self.assertEqual(json.loads(done.stdout)["prompt"], "12345?")
        self.ok(*self.train(self.folder / "run", steps=1), stdin=None, preexec_fn=close_input)
        for stdin in (subprocess.DEVNULL, None):
            self.refused(["generate", *flags(model=self.model, prompt="-", threads=1)], "standard input", stdin=stdin,
                         preexec_fn=close_input if stdin is None else None)

    def test_output_that_does_not_arrive_is_a_failure(self):
        with open("/dev/full", "w") as full:
            for arguments in (["rewards"], ["tasks"],
                              ["eval", *flags(model=self.model, task="sort", count=2, samples=2, threads=1), "--json"],
                              ["generate", *flags(model=self.model, prompt="12345?", threads=1)]):
                with self.subTest(command=arguments[0]):
                    self.refused(arguments, "standard output", code=1, stdout=full)


if __name__ == "__main__":
    unittest.main()
