"""whet asymmetry as a user meets it: figures, the same ones again, other verifiers, templates, bad input."""
import json
import unittest

from driver import WhetTest, flags

BASE = dict(model="countdown", task="countdown", count=24, samples=4, threads=1)


class Asymmetry(WhetTest):
    def measure(self, *arguments, **options):
        done = self.ok("asymmetry", *flags(BASE, **options), "--json", *arguments)
        self.assertEqual(done.stdout.count("\n"), 1)
        return json.loads(done.stdout)

    def test_the_embedded_base_model_checks_better_than_it_solves(self):
        result = self.measure()
        for name in ("accuracy", "majority", "chosen", "true_positive_rate", "false_positive_rate", "informedness"):
            with self.subTest(name=name):
                self.assertLessEqual(result[name]["low"], result[name]["value"])
                self.assertLessEqual(result[name]["value"], result[name]["high"])
        self.assertGreater(result["true_positive_rate"]["low"], 0.8)
        self.assertLess(result["false_positive_rate"]["high"], 0.3)
        self.assertEqual(result["checking_is_easier"], "yes")
        self.assertGreater(result["chosen"]["value"], result["accuracy"]["value"])
        wrong = sum(kind["responses"] for kind in result["kinds"])
        self.assertAlmostEqual(wrong, (1 - result["accuracy"]["value"]) * 24 * 4)
        self.assertTrue(result["reasons"])
        self.assertEqual(self.measure(), result)

    def test_the_accuracy_is_that_of_eval(self):
        evaluated = json.loads(self.ok("eval", *flags(BASE), "--json").stdout)
        self.assertEqual(self.measure()["accuracy"]["value"], evaluated["avg"]["value"])

    def test_the_page_says_what_the_json_says(self):
        page = self.ok("asymmetry", *flags(BASE)).stdout
        result = self.measure()
        self.assertIn(f"{result['informedness']['value']:.3f}", page)
        self.assertIn(f"Is checking easier than solving? {result['checking_is_easier']}.", page)
        self.assertIn(f"Is self-verification worth a run? {result['worth_a_run']}.", page)
        for kind in result["kinds"]:
            self.assertIn(kind["kind"], page)

    def test_who_cannot_read_says_nothing_and_it_shows(self):
        # A model of the task that never read a verdict; its alphabet has the marks.
        result = self.measure(model="sort-weak", task="sort", count=24)
        self.assertGreater(result["unreadable"], 0.5)
        self.assertEqual(result["worth_a_run"], "no")

    def test_a_template_of_ones_own_and_another_model(self):
        template = self.write("ask.txt", "{problem}{answer}v\n")  # the task's own; the newline that ends a file is not part of it
        own = self.measure()
        result = self.measure(verifier_template=template)
        self.assertEqual(result["true_positive_rate"], own["true_positive_rate"])
        other = self.measure(verifier=self.model, model="sort-weak", task="sort", count=20, samples=2)
        self.assertEqual(other["verifier"], str(self.model))

    def test_bad_input_is_one_line(self):
        self.refused(["asymmetry"], "model")
        self.refused(["asymmetry", *flags(BASE, verifier="nobody")], "nobody")
        self.refused(["asymmetry", *flags(BASE, verifier_template=self.folder / "none.txt")], "none.txt")
        self.refused(["asymmetry", *flags(BASE, verifier_template=self.write("half.txt", "{solution}"))], "no {problem}")
        self.refused(["asymmetry", *flags(BASE, model="arithmetic", task="arithmetic")], "--verifier-template")
        self.refused(["asymmetry", *flags(BASE, verifier_readings=0)], "verifier-readings")
        self.refused(["asymmetry", *flags(BASE, verifier_temperature=0)], "verifier-temperature")
        self.refused(["asymmetry", *flags(BASE, verifier_verdict="maybe")], "maybe")
        unlabelled = self.write("p.jsonl", "".join(json.dumps({"prompt": f"{i}?"}) + "\n" for i in range(60)))
        self.refused(["asymmetry", "--model", self.model, "--problems", unlabelled], "has no answer")


if __name__ == "__main__":
    unittest.main()
