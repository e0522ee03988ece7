"""The tables of docs/performance.md and README.md are what bench/peers/report.py makes of results.json, and its ratios are right."""
import importlib.util
import json
import os
import unittest
from pathlib import Path

ROOT = Path(os.environ.get("WHET_SOURCE_DIR", Path(__file__).resolve().parents[2]))
PEERS = ROOT / "bench/peers"
spec = importlib.util.spec_from_file_location("report", PEERS / "report.py")
report = importlib.util.module_from_spec(spec)
spec.loader.exec_module(report)


def case(trl, threads=1, **more):
    """Two rounds of whet at 2 and 4 processor seconds a step (half of it rollouts), a peer at `trl` of them."""
    own = [{"seconds": [2 * second] * 3, "cpu_seconds": [second] * 3, "rollout_seconds": [second] * 3, "memory": 50 << 20} for second in (2, 4)]
    peers = [{"seconds": [3 * second], "cpu_seconds": [second], "memory": 200 << 20} for second in trl]
    generate = [{"rollout_seconds": [9.0], "cpu_seconds": [second], "memory": 100 << 20} for second in trl]
    return {"case": "some/8", "model": "some", "threads": threads, "parameters": 155_000, "vocabulary": 32, "tokens": 8, "sequences": 512,
            "reward": "random", "micro_batch": 64, "date": "2026-01-01", "load": [1, 2],
            "programs": {"whet": own, "trl": peers, "generate": generate, "plain": []}, **more}


class Ratios(unittest.TestCase):
    def test_a_ratio_is_taken_within_a_round(self):
        compared = report.whole_step(case([20, 48]), "trl")
        self.assertEqual(compared.ratios("cpu"), [10, 12])
        self.assertEqual(compared.ratio("cpu"), 11)
        self.assertEqual(compared.ratios("wall"), [15, 18])
        self.assertEqual(report.ratio_text(compared, "cpu"), "**11.0** (10.0–12.0)")

    def test_processor_time_of_rollouts_is_their_share_of_the_step(self):
        self.assertEqual(report.rollouts(case([20, 48]), "generate").ratios("cpu"), [20, 24])

    def test_a_goal_that_is_missed_is_said_with_its_figure(self):
        lines = report.goal_lines([case([20, 48]), case([2, 4], case="slow/8")], [])
        self.assertIn("| whole step ≥ 10 × TRL | some/8, 1 thread: 11.0 | slow/8, 1 thread: 1.00 |", lines)
        self.assertIn("| peak memory ≤ ½ of TRL's | some/8, 1 thread: 0.250; slow/8, 1 thread: 0.250 | – |", lines)
        self.assertIn("| rollouts ≥ 2 × llama.cpp | not measured | – |", lines)

    def test_a_step_is_held_against_the_peak(self):
        measured = case([20, 48], gemm_peak_flops=20e9, parameters=10_000_000)
        for row in measured["programs"]["whet"]:
            row["flops"] = 30e9  # a median step of 3 s at 10 GFLOP/s
        self.assertEqual(report.share_of_peak(measured), 0.5)
        self.assertIn("| 30.0 | 20.0 | 50 % | 22.7 | – | – |", report.ceiling_table([measured]))
        self.assertIn("| ≥ 60 % of the peak over a step, from 5.0M parameters on | – | some/8, 1 thread: 0.500 |",
                      report.goal_lines([measured], []))

    def test_a_peer_that_failed_is_named_and_not_compared(self):
        broken = case([20, 48])
        broken["programs"]["trl"] = [{"failed": "exit 1: out of memory"}]
        self.assertEqual(report.ratio_text(report.whole_step(broken, "trl"), "cpu"), "failed")
        self.assertEqual(report.failures([broken]), "- trl at some/8, 1 thread(s): exit 1: out of memory")
        self.assertIn("| whole step ≥ 10 × TRL | not measured | – |", report.goal_lines([broken], []))


class Pages(unittest.TestCase):
    def test_pages_hold_what_was_measured(self):
        results = json.loads((PEERS / "results.json").read_text())
        for page, text in (("docs/performance.md", report.performance_text(results)), ("README.md", report.readme_text(results))):
            self.assertIn(f"<!-- peers: written by bench/peers/report.py -->\n{text}\n<!-- end peers -->", (ROOT / page).read_text(),
                          f"{page}: run bench/peers/report.py")


if __name__ == "__main__":
    unittest.main()
