#!/usr/bin/env python3
"""Rank correlations and their permutation p-values, for src/analysis/ranking.h.

    pip install scipy==1.17.1 numpy
    python3 tests/golden/make_ranking_golden.py > tests/golden/ranking.json

rho is scipy.stats.spearmanr's; p is that of scipy.stats.permutation_test over all orders (up to 7 values), of the two-sided
statistic |rho|. Infinities stand for runs that never collapsed and are written as the text "inf".
"""
import json
import math
import random

import numpy
from scipy import stats


def case(x, y):
    # spearmanr takes ranks of infinities, but warns of them; ranks it is given are ranked as they are.
    a, b = stats.rankdata(x), stats.rankdata(y)
    rho = float(stats.spearmanr(a, b).statistic)
    made = {"x": ["inf" if math.isinf(v) else v for v in x], "y": y, "rho": rho}
    if len(x) <= 7:
        test = stats.permutation_test((a,), lambda order: abs(stats.spearmanr(order, b).statistic), permutation_type="pairings",
                                      n_resamples=numpy.inf, alternative="greater")
        made["p"] = float(test.pvalue)
    return made


def main():
    r = random.Random(5)
    cases = [case([1, 2, 3], [3, 1, 2]), case([40, 66, 66, 120, math.inf, math.inf], [0.1, 0.3, 0.2, 0.25, 0.4, 0.5]),
             case([1, 1, 2, 2, 3], [2, 1, 1, 3, 3])]
    for n in (4, 6, 7, 10, 25):
        cases.append(case([round(r.random(), 1) for _ in range(n)], [round(r.random(), 2) for _ in range(n)]))
    print(json.dumps(cases, indent=1))


if __name__ == "__main__":
    main()
