#!/usr/bin/env python3
"""Confidence against being right within problems, for src/analysis/calibration.h.

    pip install numpy==2.4.6
    python3 tests/golden/make_within_golden.py > tests/golden/within.json

auroc counts out every pair of a right and a wrong sample of one problem; point_biserial is numpy.corrcoef of scores and 0/1,
both minus their problem's mean. Scores are coarse, so that ties are common, and each problem has a level of its own.
"""
import json
import random

import numpy


def measures(problems):
    wins = pairs = 0
    scores, rights = [], []
    for problem in problems:
        for right, winner in zip(problem["correct"], problem["scores"]):
            for wrong, loser in zip(problem["correct"], problem["scores"]):
                if right and not wrong:
                    pairs += 1
                    wins += 1 if winner > loser else 0.5 if winner == loser else 0
        scores.extend(numpy.array(problem["scores"]) - numpy.mean(problem["scores"]))
        rights.extend(numpy.array(problem["correct"], dtype=float) - numpy.mean(problem["correct"]))
    return {"problems": problems, "auroc": wins / pairs, "point_biserial": float(numpy.corrcoef(scores, rights)[0, 1]),
            "mixed": sum(0 < sum(problem["correct"]) < len(problem["correct"]) for problem in problems)}


def main():
    r = random.Random(11)
    cases = []
    for problem_count, samples, slope in ((2, 4, 1), (5, 3, 0), (12, 8, -1), (20, 16, 2)):
        problems = []
        for _ in range(problem_count):
            level, chance = r.randrange(20), r.choice([0.1, 0.5, 0.9])
            correct = [r.random() < chance for _ in range(samples)]
            problems.append({"correct": correct, "scores": [level + r.randrange(5) + slope * right for right in correct]})
        cases.append(measures(problems))
    print(json.dumps(cases))


if __name__ == "__main__":
    main()
