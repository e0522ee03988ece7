"""whet score over dumps as their own programs write them (tests/golden/dumps), made ones, and hostile ones."""
import json
import math
import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from driver import WHET, WhetTest, whet

GOLDEN = Path(os.environ.get("WHET_SOURCE_DIR", Path(__file__).resolve().parents[2])) / "tests/golden/dumps"


def row(prompt, answer, step=1, **more):
    output = "I do not know" if answer is None else f"so \\boxed{{{answer}}}"
    return {"input": prompt, "output": output, "step": step, **more}


def lines_of(rows):
    return "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in rows)


class Score(WhetTest):
    @classmethod
    def setUpClass(cls):
        # No engine and no model: the command needs neither.
        if not WHET.exists():
            raise unittest.SkipTest(f"{WHET} was not built")
        cls.shared = Path(tempfile.mkdtemp(prefix="whet-score-test-"))
        cls.addClassCleanup(shutil.rmtree, cls.shared, ignore_errors=True)

    def dump(self, rows, name="dump.jsonl"):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(rows if isinstance(rows, str) else lines_of(rows))
        return path

    def scored(self, *arguments, **options):
        return [json.loads(line) for line in self.ok("score", *arguments, **options).stdout.splitlines()]

    def summary(self, *arguments, **options):
        return json.loads(self.ok("score", *arguments, "--json", **options).stdout)

    # ---- dumps of other programs

    def test_each_programs_dump_gets_the_rewards_that_were_counted_by_hand(self):
        expected = json.loads((GOLDEN / "expected.json").read_text())
        self.assertEqual(set(expected), {"verl", "nemo_rl", "areal", "trl", "trl_chat"})
        for name, wanted in expected.items():
            with self.subTest(dump=name):
                rows = self.scored(GOLDEN / name, "--task", "sort" if name.startswith("trl") else "file")
                prefix = "whet_" if name == "areal" else ""
                self.assertEqual([{"reward": r[prefix + "reward"], "label": r[prefix + "label"]} for r in rows], wanted)

    def test_rows_keep_their_bytes_and_their_order(self):
        for name in ("verl", "nemo_rl", "areal", "trl", "trl_chat"):
            with self.subTest(dump=name):
                written = self.ok("score", GOLDEN / name).stdout.splitlines()
                read = "".join(file.read_text() for file in sorted((GOLDEN / name).rglob("*.jsonl"))).splitlines()
                self.assertEqual(len(written), len(read))
                for after, before in zip(written, read):
                    self.assertEqual(after[:len(before) - 1], before[:-1])
                    self.assertRegex(after[len(before) - 1:],
                                     r'^, "\w*reward": \S+, "\w*class": \S+, "\w*label": .*\}$')

    def test_the_reward_that_areal_wrote_stays(self):
        for r in self.scored(GOLDEN / "areal"):
            self.assertIn(r["reward"], (0.0, 1.0))
            self.assertIn("whet_reward", r)

    def test_parquet_is_refused_with_the_command_that_converts_it(self):
        for path in (GOLDEN / "trl_parquet", GOLDEN / "trl_parquet/completions_00001.parquet"):
            self.refused(["score", path], "read_parquet")

    # ---- groups and steps

    def test_a_group_is_the_rows_of_one_step_with_the_same_input_wherever_they_stand(self):
        rows = [row("a", 1), row("b", 1), row("a", 2), row("b", 3), row("a", 2), row("b", 3), row("a", 1, step=2),
                row("a", 1, step=2)]
        scored = self.scored(self.dump(rows))
        self.assertEqual([r["reward"] for r in scored], [0, 0, 1, 1, 1, 1, 1, 1])
        self.assertEqual([r["class"] for r in scored], [0, 0, 1, 1, 1, 1, 0, 0])
        self.assertEqual([r["label"] for r in scored], ["2", "3", "2", "3", "2", "3", "1", "1"])

    def test_a_step_that_begins_again_is_refused_and_whole_takes_it(self):
        path = self.dump([row("a", 1, 1), row("a", 2, 2), row("a", 1, 1), row("a", 2, 1)])
        self.refused(["score", path], "dump.jsonl:3: step 1 begins again")
        self.assertEqual([r["reward"] for r in self.scored(path, "--whole")], [1, 1, 1, 0])

    def test_dumps_given_one_by_one_do_not_share_groups_but_the_files_of_a_folder_share_steps(self):
        a = self.dump([row("p", 1), row("p", 1)], "d/a.jsonl")
        b = self.dump([row("p", 2), row("p", 2), row("p", 2)], "d/b.jsonl")
        self.assertEqual([r["reward"] for r in self.scored(a, b)], [1, 1, 1, 1, 1])
        self.assertEqual([r["reward"] for r in self.scored(self.folder / "d")], [0, 0, 1, 1, 1])

    def test_rows_without_a_step_belong_to_the_step_that_their_file_is(self):
        rows = [{"input": "p", "output": "\\boxed{1}"}]
        self.dump(rows * 2, "d/x.jsonl")
        self.dump(rows * 3, "d/y.jsonl")
        self.assertEqual(self.summary(self.folder / "d")["largest_group"], 3)

    def test_standard_input_is_a_dump(self):
        rows = [row("a", 1), row("a", 1), row("a", 2)]
        self.assertEqual([r["reward"] for r in self.scored("-", input=lines_of(rows))], [1, 1, 0])

    def test_a_reward_does_not_depend_on_the_order_of_a_group(self):
        rows = [row("a", x) for x in ("1", "2", None, "2.0", "1", "50%", "\\frac12", "0.5")]
        forward = self.scored("-", input=lines_of(rows))
        backward = self.scored("-", input=lines_of(rows[::-1]))[::-1]
        self.assertEqual([(r["reward"], r["label"]) for r in forward], [(r["reward"], r["label"]) for r in backward])

    # ---- edges

    def test_groups_of_one_and_groups_without_answers_are_scored_and_told(self):
        done = self.ok("score", self.dump([row("a", 1), row("b", None), row("b", None), row("c", 1), row("c", None)]))
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual([(r["reward"], r["class"], r["label"]) for r in rows],
                         [(1, 0, "1"), (0, None, None), (0, None, None), (1, 0, "1"), (0, None, "1")])
        self.assertIn("1 group has one rollout", done.stderr)
        self.assertIn("1 group has no answer at all", done.stderr)
        self.assertIn("every group has one rollout", self.ok("score", self.dump([row("a", 1), row("b", 2)])).stderr)

    def test_ties_go_to_the_larger_log_probability_where_all_have_one_else_to_the_smaller_answer(self):
        rows = [row("a", 2, logprobs=[-1, -1]), row("a", 1, logprobs=[-1, -2])]
        self.assertEqual([r["reward"] for r in self.scored("-", input=lines_of(rows))], [1, 0])
        del rows[1]["logprobs"]
        self.assertEqual([r["reward"] for r in self.scored("-", input=lines_of(rows))], [0, 1])

    def test_an_added_column_never_replaces_one(self):
        for column in ("reward", "class", "label"):
            path = self.dump([row("a", 1), row("a", 1, **{column: "mine"})])
            self.refused(["score", path], f"dump.jsonl:2: the row has a column '{column}' of its own")
            rows = self.scored(path, "--prefix", "my_")
            self.assertEqual(rows[1][column], "mine")
            self.assertEqual(rows[1]["my_reward"], 1)
            # With a prefix of its own there is nothing to collide with.
            self.refused(["score", self.dump([row("a", 1, my_class=1)]), "--prefix", "my_"], "'my_class'")

    def test_a_cut_last_line_is_left_out_and_told(self):
        text = lines_of([row("a", 1), row("a", 2), row("a", 2)])
        done = self.ok("score", self.dump(text[:-10]))
        self.assertEqual(done.stdout.count("\n"), 2)
        self.assertIn("dump.jsonl:3: the last line is cut, left out", done.stderr)
        self.assertEqual(len(self.summary(self.dump(text[:-10]))["cut_lines"]), 1)

    def test_bytes_that_are_not_utf8_are_read_as_u_fffd_and_written_back(self):
        data = b'{"input": "p", "output": "\\\\boxed{\xff}", "note": "\xfe"}\n' * 2
        path = self.folder / "bytes.jsonl"
        path.write_bytes(data)
        done = subprocess.run([str(WHET), "score", str(path)], capture_output=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual([line[:len(data) // 2 - 2] for line in done.stdout.splitlines()],
                         [line[:-1] for line in data.splitlines()])
        self.assertIn('"label": "\ufffd"'.encode(), done.stdout)
        self.assertIn(b"2 rows have NaN, a number too large, or bytes that are not UTF-8", done.stderr)

    def test_bad_dumps_end_in_one_line(self):
        good = lines_of([row("a", 1)])
        for text, saying in (("", "no rows"), ("\n\n", "no rows"), ("not json\n", "dump.jsonl:1: not JSON"),
                             (good + "{}\n", "dump.jsonl:2: no column input, output"),
                             ('{"prompt": "p"}\n', "of no known dump"),
                             (good + '{"prompt": "p", "completion": "c"}\n', "formats cannot be mixed"),
                             ("\x00\x01\x02\n", "not JSON"),
                             ('{"input": "p", "output": {"a": 1}}\n', "want text"),
                             ('{"input":', "no rows")):
            with self.subTest(text=text):
                self.refused(["score", self.dump(text)], saying)
        self.refused(["score", self.folder / "none.jsonl"], "cannot read")
        self.refused(["score", self.dump(good), "--format", "csv"], "csv")
        self.refused(["score", self.dump(good), "--column", "answer=x"], "want WHAT=NAME")
        self.refused(["score"], "dumps")

    # ---- rewards

    def test_rewards_that_need_a_model_are_refused_by_name_with_what_to_do(self):
        path = self.dump([row("a", 1)])
        self.refused(["score", path, "--reward", "self-verification"], "self-verification needs a verifier",
                     "whet train")
        self.refused(["score", path, "--reward", "no-such"], "no-such")

    def test_named_columns_say_who_votes(self):
        pairs = [row("a", 1, id=7), row("a", 2, id=7), row("b", 2, id=7), row("b", 2, id=7), row("b", 3, id=7)]
        scored = self.scored(self.dump(pairs), "--reward", "co-reward", "--column", "pair=id")
        # Of a the label is b's 2; b's is the tie of a, which the smaller answer wins.
        self.assertEqual([(r["reward"], r["label"]) for r in scored],
                         [(0, "2"), (1, "2"), (0, "1"), (0, "1"), (0, "1")])
        self.refused(["score", self.dump([row("a", 1, id=7)]), "--reward", "co-reward", "--column", "pair=id"],
                     "the pair '7'")
        teacher = [row("a", 1, t=True), row("a", 2, t=False), row("a", 2, t=False), row("a", 1, t=False)]
        scored = self.scored(self.dump(teacher), "--reward", "teacher-vote", "--column", "voter=t")
        self.assertEqual([r["reward"] for r in scored], [1, 0, 0, 1])
        # One policy is of one mind and weighs more than another with more votes.
        policies = [row("a", 1, who="x"), row("a", 1, who="x"),
                    *(row("a", answer, who="y") for answer in (2, 3, 4, 2, 5))]
        scored = self.scored(self.dump(policies), "--reward", "weighted-vote", "--column", "policy=who")
        self.assertEqual([r["reward"] for r in scored], [1, 1, 0, 0, 0, 0, 0])
        for reward in ("co-reward", "teacher-vote", "weighted-vote"):
            self.refused(["score", self.dump([row("a", 1)]), "--reward", reward], f"{reward} needs", "--column")
        self.refused(["score", self.dump([row("a", 1)]), "--reward", "co-reward", "--column", "pair=id"],
                     "no column id")

    def test_what_a_reward_needs_and_the_dump_lacks_is_named(self):
        path = self.dump([row("a", 1)])
        for reward, saying in (("self-certainty", "self_certainty, self_certainties"),
                               ("token-entropy", "entropy, entropies"), ("probability-disparity", "gap, gaps"),
                               ("trajectory-entropy", "logprob, logprobs"), ("probability", "logprob, logprobs"),
                               ("ground-truth", "no label, want a column gts")):
            with self.subTest(reward=reward):
                self.refused(["score", path, "--reward", reward], saying)
        self.refused(["score", self.dump([row("a", 1, entropy=[0.5]), row("a", 1)]), "--reward", "token-entropy"],
                     "dump.jsonl:2: token-entropy needs")
        self.refused(["score", self.dump([row("a", 1, entropy=0.5)]), "--reward", "token-entropy"],
                     "column 'entropy' is a number, want a list")
        self.refused(["score", self.dump([row("a", 1, entropy=[0.5, math.nan])]), "--reward", "token-entropy"],
                     "something else than a finite number at token 2")

    def test_certainty_rewards_are_means_of_the_tokens_values(self):
        rows = [row("a", 1, logprobs=[-1, -3], entropy=[0.5, 1.5], self_certainty=[2, 4, ]),
                row("a", 1, logprobs=[-2], entropy=[0.25], self_certainty=[8])]
        for reward, wanted in (("trajectory-entropy", [-2, -2]), ("token-entropy", [-1, -0.25]),
                               ("self-certainty", [3, 8]),
                               ("probability", [math.exp(-4), math.exp(-2)]),
                               ("self-certainty - 2*token-entropy", [5, 8.5])):
            with self.subTest(reward=reward):
                got = [r["reward"] for r in self.scored("-", "--reward", reward, input=lines_of(rows))]
                for g, w in zip(got, wanted, strict=True):
                    self.assertAlmostEqual(g, w, places=6)

    def test_probabilities_of_long_responses_do_not_tie_at_zero(self):
        rows = [row("a", 1, logprobs=[-2.0] * 1000), row("a", 1, logprobs=[-2.0] * 999 + [-3.0])]
        scored = self.scored("-", "--reward", "probability", input=lines_of(rows))
        self.assertEqual([r["reward"] for r in scored], [0, 0])
        self.assertAlmostEqual(scored[0]["rescaled"], 1)
        self.assertAlmostEqual(scored[1]["rescaled"], math.exp(-1), places=6)

    def test_the_trainers_token_values_come_from_the_response_alone(self):
        # NeMo-RL's lists run over the whole conversation; expected from the file itself, by its mask.
        rows = self.scored(GOLDEN / "nemo_rl", "--reward", "trajectory-entropy")
        self.assertTrue(rows)
        for r in rows:
            self.assertAlmostEqual(r["reward"], -0.125)

    def test_labels_of_the_dump_are_the_ground_truth(self):
        rows = self.scored(GOLDEN / "verl/1.jsonl", "--reward", "ground-truth")
        self.assertEqual([r["reward"] for r in rows], [r["score"] for r in rows])
        summary = self.summary(GOLDEN / "verl")
        self.assertEqual([summary[key] for key in ("groups", "labelled_groups", "rows", "steps")], [4, 3, 16, 2])
        self.assertAlmostEqual(summary["label_accuracy"], 2 / 3)
        self.assertAlmostEqual(summary["unanswered"], 6 / 16)
        self.assertAlmostEqual(summary["majority_ratio"], (3 + 2 + 2 + 0) / 16)

    def test_out_takes_the_rows_and_leaves_standard_output_to_the_summary(self):
        out = self.folder / "rows.jsonl"
        summary = self.summary(self.dump([row("a", 1), row("a", 1)]), "--out", out)
        self.assertEqual(len(out.read_text().splitlines()), summary["rows"])
        self.refused(["score", self.dump("broken\n"), "--out", self.folder / "never.jsonl"], "not JSON")
        self.assertFalse((self.folder / "never.jsonl").exists())


if __name__ == "__main__":
    unittest.main()
