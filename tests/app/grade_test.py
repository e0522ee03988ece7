"""whet grade: rows kept as they are, verdicts added, and bad lines refused by their number."""
import json
import os
import tempfile
import unittest

from driver import WHET, whet


def lines_of(*rows):
    return "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)


class Grade(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not WHET.exists():
            raise unittest.SkipTest(f"{WHET} was not built")

    def grade(self, text, *arguments):
        done = whet("grade", *arguments, input=text)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def refused(self, text, *arguments):
        done = whet("grade", *arguments, input=text)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        return done

    def test_rows_keep_their_fields_and_order(self):
        text = lines_of('{"id": 12345678901234567890123, "answer": "\\\\boxed{\\\\frac{2}{4}}",  "reference":"0.5", "t": 1.10}',
                        "", {"reference": "(1,2)", "answer": "(2,1)", "nested": {"answer": ["}", "\""]}})
        out = self.grade(text).stdout.splitlines()
        self.assertEqual(out[0], '{"id": 12345678901234567890123, "answer": "\\\\boxed{\\\\frac{2}{4}}", "reference":"0.5", '
                                 '"t": 1.10, "equivalent": true, "reason": "equal: number 1/2"}')
        second = json.loads(out[1])
        self.assertEqual(list(second), ["reference", "answer", "nested", "equivalent", "reason"])
        self.assertEqual(second["nested"], {"answer": ["}", "\""]})
        self.assertIs(second["equivalent"], False)
        self.assertEqual(second["reason"], "different-elements: tuples differ in 2 elements")

    def test_numbers_are_read_as_written_and_null_is_no_answer(self):
        text = lines_of('{"answer": 12345678901234567890123, "reference": 12345678901234567890124}',
                        '{"answer": 0.10, "reference": "1/10"}', '{"answer": null, "reference": 5}')
        self.assertEqual([json.loads(line)["equivalent"] for line in self.grade(text).stdout.splitlines()],
                         [False, True, False])

    def test_grading_again_replaces_the_verdict(self):
        once = self.grade(lines_of({"answer": "1", "reference": "1.0"})).stdout
        self.assertEqual(self.grade(once).stdout, once)

    def test_summary_counts_on_standard_error(self):
        done = self.grade(lines_of({"answer": "1", "reference": "1.0"}, {"answer": "2", "reference": "1"}), "--summary")
        self.assertEqual(done.stderr.splitlines()[0], "1 of 2 rows equivalent (50.0 %)")
        self.assertEqual([line.split() for line in done.stderr.splitlines()[1:]],
                         [["different-value", "1"], ["equal", "1"]])
        self.assertEqual(len(done.stdout.splitlines()), 2)

    def test_fields_can_have_other_names_and_rows_come_from_a_file(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "rows.jsonl")
            with open(path, "w") as file:
                file.write(lines_of({"output": "so #### 1,000", "gts": "1000"}))
            done = self.grade("", path, "--answer", "output", "--reference", "gts")
            self.assertIs(json.loads(done.stdout)["equivalent"], True)

    def test_bad_lines_are_named(self):
        good = {"answer": "1", "reference": "1"}
        for bad, message in (('{"answer": ', "standard input:2] not JSON"), ("[1]", "standard input:2] not an object"),
                             ({"answer": "1"}, "standard input:2] no field 'reference'"),
                             ({"reference": "1"}, "standard input:2] no field 'answer'"),
                             ({"answer": ["1"], "reference": "1"}, "standard input:2] the field 'answer' is [\"1\"]"),
                             ({"answer": "1", "reference": None}, "standard input:2] the field 'reference' is null"),
                             ('{"answer": 1, "answer": 2, "reference": 1}', "standard input:2] the field 'answer' stands twice")):
            with self.subTest(bad=bad):
                done = self.refused(lines_of(good, bad, good))
                self.assertIn(message, done.stderr)
                self.assertEqual(len(done.stdout.splitlines()), 1)  # what came before it is written
        self.assertIn("no rows", self.refused("\n").stderr)
        self.assertIn("cannot read", self.refused("", "/nonexistent/rows.jsonl").stderr)

    def test_invalid_utf8_is_refused_by_its_line(self):
        done = whet("grade", stdin=self.bytes_file(b'{"answer": "\xff", "reference": "1"}\n'))
        self.assertEqual(done.returncode, 2)
        self.assertIn("standard input:1] not JSON", done.stderr)

    def bytes_file(self, content):
        file = tempfile.TemporaryFile()
        self.addCleanup(file.close)
        file.write(content)
        file.seek(0)
        return file


if __name__ == "__main__":
    unittest.main()
