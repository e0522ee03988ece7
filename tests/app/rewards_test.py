"""whet rewards: the table that people read, one reward in full, and what a script reads."""
import json
import unittest

from driver import WHET, WhetTest


class Rewards(WhetTest):
    @classmethod
    def setUpClass(cls):
        # No model is needed, and so none is made.
        if not WHET.exists():
            raise unittest.SkipTest(f"{WHET} was not built")

    def setUp(self):
        self.entries = json.loads(self.ok("rewards", "--json").stdout)

    def test_the_table_shows_every_reward_and_fits_a_terminal_of_100_columns(self):
        lines = self.ok("rewards").stdout.splitlines()
        self.assertLessEqual(max(map(len, lines)), 100)
        text = " ".join(" ".join(lines).split())
        rows = {line.split()[0] for line in lines if line and line[0] != " "}
        for entry in self.entries:
            self.assertIn(entry["name"], rows)
            self.assertIn(entry["source"].split()[0], text)

    def test_one_in_full_says_all_that_the_entry_holds(self):
        for entry in self.entries:
            with self.subTest(reward=entry["name"]):
                lines = self.ok("rewards", entry["name"]).stdout.splitlines()
                self.assertLessEqual(max(map(len, lines)), 100)
                text = " ".join(" ".join(lines).split())
                for key in ("name", "family", "formula", "source", "failure", "extra_rollouts", "forward_passes"):
                    self.assertIn(entry[key], text)
                for need in entry["needs"]:
                    self.assertIn(need, text)
                self.assertEqual(entry["unified_form"] is not None, "unified form" in text)
                self.assertEqual(json.loads(self.ok("rewards", entry["name"], "--json").stdout), entry)

    def test_intrinsic_rewards_have_a_form(self):
        for entry in self.entries:
            self.assertEqual(entry["intrinsic"], entry["unified_form"] is not None, entry["name"])
            self.assertEqual(entry["intrinsic"], entry["family"] in ("certainty", "ensemble"), entry["name"])

    def test_an_unknown_name_is_refused_with_the_known_ones(self):
        self.refused(["rewards", "majority"], "unknown reward 'majority'", "majority-vote")


if __name__ == "__main__":
    unittest.main()
