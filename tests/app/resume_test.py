"""A run that was killed or interrupted, and resumed, is the run that was left alone: the same bytes.

Compared is every file of the run but those that hold what a clock said (timings, event file) and the manifest, which
holds the command line. The TensorBoard events' steps, tags and values are compared by tests/store.
"""
import shutil
import signal
import unittest

from driver import TINY, WhetTest, flags, metrics_lines, read_metrics, read_safetensors, repeatable, start_and_signal, tree, whet

TRAINING = dict(task="sort", steps=12, prompts=6, samples=4, eval_every=2, eval_problems=10, eval_samples=2,
                checkpoint_every=4, rollouts_every=3, learning_rate=0.002, threads=1)


def training(model, **more):
    return ["train", *flags(TRAINING, model=model, **more)]


def pretraining(**more):
    return ["pretrain", *flags(TINY, dict(steps=60, batch=64, checkpoint_every=20, log_every=3, warmup_steps=5), **more)]


class Resume(WhetTest):
    def uninterrupted(self, arguments):
        """The bytes of the run that is left alone."""
        run = self.folder / "whole"
        self.ok(*arguments, "--out", run)
        return repeatable(run)

    def check_same(self, run, whole):
        found = repeatable(run)
        self.assertEqual(sorted(found), sorted(whole))
        self.assertEqual([name for name in whole if found[name] != whole[name]], [])

    def kill_at(self, arguments, lines_list):
        """Kills and resumes one run at each of the moments in turn, then lets it end."""
        command = arguments[0]
        run = self.folder / "killed"
        start = [*arguments, "--out", run]
        for lines in lines_list:
            process = start_and_signal(start, run, lines)
            self.assertEqual(process.returncode, -signal.SIGKILL)
            self.assertFalse((run / "summary.json").exists())
            start = [command, "--resume", run]
        self.ok(*start)
        return run

    def test_training_killed_before_between_and_after_checkpoints_goes_on_to_the_same_bytes(self):
        arguments = training(self.model)
        whole = self.uninterrupted(arguments)
        # Lines: step 0 is the first. Killed before any checkpoint, between the first and second, and after the second.
        run = self.kill_at(arguments, [1, 3, 7, 11])
        self.check_same(run, whole)
        self.assertEqual([line["step"] for line in read_metrics(run)], list(range(13)))

    def test_training_with_mini_batches_a_reference_and_a_schedule_goes_on_to_the_same_bytes(self):
        arguments = training(self.model, mini_batches=2, kl_coefficient=0.05, reward="self-certainty", temperature=0.8,
                             top_p=0.95, learning_rate_schedule="cosine", warmup_steps=3)
        whole = self.uninterrupted(arguments)
        self.check_same(self.kill_at(arguments, [7]), whole)

    def test_training_with_a_teacher_and_votes_goes_on_to_the_same_bytes(self):
        arguments = training(self.model, reward="teacher-vote + 0.3*majority-vote + 0.1*co-reward", votes=7, teacher_decay=0.5,
                             teacher_decay_end=0.9)
        whole = self.uninterrupted(arguments)
        weights = [whole[f"checkpoints/step-000012/{name}model.safetensors"] for name in ("", "teacher/")]
        self.assertNotEqual(*weights)
        # Before the teacher's first checkpoint, and between two of them.
        self.check_same(self.kill_at(arguments, [3, 7]), whole)

    def test_training_in_bfloat16_goes_on_to_the_same_bytes(self):
        arguments = training(self.model, precision="bfloat16", learning_rate=1e-5, reward="teacher-vote + 0.3*majority-vote",
                             teacher_decay=0.5, teacher_decay_end=0.9)
        whole = self.uninterrupted(arguments)
        # Half the bytes of the weights, and masters beside them: steps of 1e-5 would be lost in the weights alone.
        for name in ("", "teacher/"):
            folder = self.folder / "whole/checkpoints/step-000012" / name
            weights, _ = read_safetensors(folder / "model.safetensors")
            self.assertEqual({entry["dtype"] for key, entry in weights.items() if key != "__metadata__"}, {"BF16"})
            self.assertIn("master_weights", read_safetensors(folder / "optimizer.safetensors")[0])
        self.check_same(self.kill_at(arguments, [3, 7]), whole)

    def test_a_proposer_and_its_solver_go_on_to_the_same_bytes(self):
        arguments = training("sort-ask", reward="challenger", prompts=16, learning_rate=3e-4, kl_coefficient=0.01, warmup_steps=3)
        whole = self.uninterrupted(arguments)
        self.assertIn("checkpoints/step-000012/proposer/optimizer.safetensors", whole)
        weights = [whole[f"checkpoints/step-000012/{name}model.safetensors"] for name in ("", "proposer/")]
        self.assertNotEqual(*weights)
        self.check_same(self.kill_at(arguments, [7]), whole)

    def test_a_resumed_run_outlives_the_checkpoint_that_it_was_resumed_from(self):
        arguments = training(self.model, steps=8, checkpoint_every=1, keep_checkpoints=1)
        whole = self.uninterrupted(arguments)
        self.check_same(self.kill_at(arguments, [3]), whole)
        self.assertIn("checkpoints/step-000008/tokenizer.json", whole)

    def test_an_interrupt_saves_says_how_to_go_on_and_goes_on_to_the_same_bytes(self):
        arguments = training(self.model)
        whole = self.uninterrupted(arguments)
        for sent in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(sent=sent):
                run = self.folder / f"stopped-{int(sent)}"
                process = start_and_signal([*arguments, "--out", run], run, 7, sent)
                self.assertEqual(process.returncode, 130, process.err)
                done = read_metrics(run)[-1]["step"]
                self.assertIn(f"interrupted at step {done}; saved. Go on with: whet train --resume {run}", process.err)
                self.assertTrue((run / "checkpoints" / f"step-{done:06}" / "optimizer.safetensors").exists())
                self.ok("train", "--resume", run)
                self.check_same(run, whole)

    def test_an_interrupt_while_the_base_is_measured_goes_on_to_the_same_bytes(self):
        # Step 0 has to last long enough to be hit.
        arguments = training(self.model, steps=2, eval_problems=60, eval_samples=60, eval_every=5)
        whole = self.uninterrupted(arguments)
        run = self.folder / "stopped"
        at_signal = []
        process = start_and_signal([*arguments, "--out", run], run, 0, signal.SIGINT,
                                   then=lambda: at_signal.append(metrics_lines(run)))
        self.assertEqual(process.returncode, 130, process.err)
        self.assertEqual(at_signal, [0], "the base had been measured before the signal")
        self.assertIn("interrupted at step 0", process.err)
        self.assertEqual(metrics_lines(run), 1)
        self.ok("train", "--resume", run)
        # The interrupt's own checkpoint is one of the newest two here, and stays.
        found = repeatable(run)
        extra = [name for name in found if name not in whole]
        self.assertTrue(all(name.startswith("checkpoints/step-000000/") for name in extra), extra)
        self.assertEqual([name for name in whole if found.get(name) != whole[name]], [])

    def test_pretraining_killed_or_interrupted_goes_on_to_the_same_bytes(self):
        whole = self.uninterrupted(pretraining())
        self.check_same(self.kill_at(pretraining(), [2, 9, 15]), whole)
        half = self.folder / "half"
        self.ok(*pretraining(precision="bfloat16"), "--out", half)
        whole_half = repeatable(half)
        shutil.rmtree(self.folder / "killed")
        self.check_same(self.kill_at(pretraining(precision="bfloat16"), [9]), whole_half)
        run = self.folder / "stopped"
        process = start_and_signal([*pretraining(), "--out", run], run, 8, signal.SIGINT)
        self.assertEqual(process.returncode, 130, process.err)
        self.assertIn(f"saved. Go on with: whet pretrain --resume {run}", process.err)
        self.ok("pretrain", "--resume", run)
        # All checkpoints of pre-training are kept, so the interrupt's own stays as well.
        found = repeatable(run)
        self.assertEqual([name for name in whole if found.get(name) != whole[name]], [])

    def test_a_seed_fixes_every_byte_and_another_gives_another_run(self):
        arguments = training(self.model, steps=3, eval_every=1)
        for name in ("a", "b"):
            self.ok(*arguments, "--seed", 1, "--out", self.folder / name)
        self.ok(*arguments, "--seed", 2, "--out", self.folder / "c")
        a, b, c = (repeatable(self.folder / name) for name in "abc")
        self.assertEqual(a, b)
        for name in ("metrics.jsonl", "rollouts/3.jsonl", "checkpoints/step-000003/model.safetensors"):
            self.assertNotEqual(a[name], c[name], name)

    def test_a_pretraining_seed_fixes_every_byte(self):
        for name, seed in (("a", 3), ("b", 3), ("c", 4)):
            self.ok(*pretraining(steps=6, seed=seed), "--out", self.folder / name)
        a, b, c = (repeatable(self.folder / name) for name in "abc")
        self.assertEqual(a, b)
        weights = "checkpoints/step-000006/model.safetensors"
        self.assertNotEqual(a[weights], c[weights])

    def test_a_finished_run_is_not_resumed_and_not_touched(self):
        for arguments in (training(self.model, steps=1), pretraining(steps=2)):
            command = arguments[0]
            with self.subTest(command=command):
                run = self.folder / command
                self.ok(*arguments, "--out", run)
                before = tree(run)
                self.refused([command, "--resume", run], run, "finished")
                self.assertEqual(tree(run), before)

    def test_a_run_that_goes_on_elsewhere_is_not_resumed(self):
        run = self.folder / "busy"
        seen = []
        process = start_and_signal([*training(self.model), "--out", run], run, 2, signal.SIGINT,
                                   then=lambda: seen.append(whet("train", "--resume", run)))
        self.assertEqual(seen[0].returncode, 2, seen[0].stderr)
        self.assertIn("another process", self.one_line(seen[0]))
        self.assertEqual(process.returncode, 130)


if __name__ == "__main__":
    unittest.main()
