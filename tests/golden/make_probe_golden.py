#!/usr/bin/env python3
"""Writes probe.json: bounds and error rates of the sequential test of src/analysis/probe.h in exact rational arithmetic.

Needs Python alone (made with 3.11). The ratio is integrated term by term and every path of right and wrong answers is
counted with fractions; nothing is shared with the C++.
"""
import json
from fractions import Fraction
from math import comb
from pathlib import Path


def ratio(n, k):
    """Integral over p from 1/2 to 1 of 2 p^k (1-p)^(n-k), divided by 2^-n: (1-p)^(n-k) multiplied out."""
    total = Fraction(0)
    for i in range(n - k + 1):
        power = k + i + 1
        total += (-1) ** i * comb(n - k, i) * (1 - Fraction(1, 2) ** power) / power
    return 2 * total * 2**n


def bounds(ratios, threshold):
    return [next((k for k, value in enumerate(row) if value >= threshold), len(row)) for row in ratios]


def walk(bound, p, both):
    """The chances of crossing upwards and downwards (the latter only if it stops too), and the mean number asked."""
    alive, up, down, asked = {0: Fraction(1)}, Fraction(0), Fraction(0), Fraction(0)
    for n in range(1, len(bound)):
        asked += sum(alive.values())
        step = {}
        for k, chance in alive.items():
            step[k] = step.get(k, 0) + chance * (1 - p)
            step[k + 1] = step.get(k + 1, 0) + chance * p
        alive = {}
        for k, chance in step.items():
            if k >= bound[n]:
                up += chance
            elif both and n - k >= bound[n]:
                down += chance
            else:
                alive[k] = chance
    return up, down, asked


def lowest_bounds(most, confidence):
    ratios = [[ratio(n, k) for k in range(n + 1)] for n in range(most + 1)]
    thresholds = sorted({value for row in ratios[1:] for value in row if value > 1})
    low, high = 0, len(thresholds)
    while low < high:
        middle = (low + high) // 2
        if walk(bounds(ratios, thresholds[middle]), Fraction(1, 2), False)[0] > 1 - confidence:
            low = middle + 1
        else:
            high = middle
    return bounds(ratios, thresholds[low])


def main():
    cases = []
    for most, percent in ((16, 95), (32, 95), (64, 95), (32, 99), (64, 80)):
        bound = lowest_bounds(most, Fraction(percent, 100))
        outlooks = []
        for share in (5, 20, 30, 40, 45, 50, 60, 90):
            up, down, asked = walk(bound, Fraction(share, 100), True)
            outlooks.append({"p": share / 100, "aligned": float(up), "misaligned": float(down), "asked": float(asked)})
        cases.append({"most": most, "confidence": percent / 100, "bound": bound, "outlooks": outlooks,
                      "false_aligned": float(walk(bound, Fraction(1, 2), False)[0])})
    changes = [{"lost": lost, "won": won, "chance": float(sum(Fraction(comb(lost + won, i), 2 ** (lost + won))
                                                             for i in range(lost, lost + won + 1)))}
               for lost, won in ((0, 0), (1, 0), (0, 3), (5, 0), (9, 2), (12, 0), (20, 11), (4, 4))]
    lists = [f' "{name}": [\n  ' + ",\n  ".join(json.dumps(row) for row in rows) + "\n ]"
             for name, rows in (("cases", cases), ("changes", changes))]
    Path(__file__).with_name("probe.json").write_text("{\n" + ",\n".join(lists) + "\n}\n")


if __name__ == "__main__":
    main()
