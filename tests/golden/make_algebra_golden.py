#!/usr/bin/env python3
"""Writes algebra_pairs.jsonl: pairs of LaTeX expressions whose equality SymPy knows.

Equal pairs are one random expression in two of SymPy's forms (as built, expanded, factored, together, apart, with rational
denominators); different pairs differ by a small amount that is not 0. Made with SymPy 1.14.0:

    python3 tests/golden/make_algebra_golden.py > tests/golden/algebra_pairs.jsonl
"""
import json
import random

import sympy
from sympy import I, Rational, cos, exp, expand, factor, latex, log, pi, radsimp, sin, sqrt, symbols, together

x, y, z = symbols("x y z", positive=True)


def number(r):
    kind = r.randrange(6)
    if kind == 0:
        return Rational(r.randint(-9, 9), r.randint(1, 9))
    if kind == 1:
        return sympy.Integer(r.randint(1, 9))
    if kind in (2, 3):
        return r.randint(1, 4) * sqrt(r.randint(2, 30))
    if kind == 4:
        return sympy.root(r.randint(2, 20), 3)
    return r.randint(1, 3) * pi


def letter(r):
    return r.choice([x, y, z]) ** r.randint(1, 3) if r.random() < 0.7 else number(r)


def tree(r, leaf, depth):
    if depth == 0:
        return leaf(r)
    a, b = tree(r, leaf, depth - 1), tree(r, leaf, depth - 1)
    kind = r.randrange(5)
    if kind == 0:
        return a + b
    if kind == 1:
        return a - b
    if kind == 2:
        return a * b
    if kind == 3 and b != 0:
        return a / b
    return (a + b) ** 2


def forms(expression):
    yield expression
    yield expand(expression)
    yield together(expression)
    yield radsimp(expression)
    if expression.free_symbols:
        yield factor(expression)


def main():
    r = random.Random(7)
    rows, seen = [], set()

    def add(kind, a, b, equal):
        left, right = latex(a), latex(b)
        if (left, right) in seen or len(left) > 300 or len(right) > 300 or (equal and left == right):
            return
        seen.add((left, right))
        rows.append({"kind": kind, "reference": left, "answer": right, "equivalent": equal})

    leaves = {"numbers": number, "letters": letter, "complex": lambda r: number(r) if r.random() < 0.5 else r.randint(1, 5) * I,
              "functions": lambda r: r.choice([sin(x), cos(x), log(x), exp(x), sin(2 * x), sqrt(x), sqrt(x + 1), x, sympy.Integer(2)])}
    for kind, leaf in leaves.items():
        for depth in (1, 2):
            for _ in range(25):
                expression = tree(r, leaf, depth)
                if expression.has(sympy.zoo, sympy.nan, sympy.oo) or expression == 0:
                    continue
                variants = list(forms(expression))
                for form in variants[1:]:
                    add(kind, expression, form, True)
                add(kind, expression, variants[1] + Rational(1, r.randint(2, 1000)), False)
                add(kind, expression, variants[2] * Rational(1001, 1000), False)
    print("\n".join(json.dumps(row) for row in rows))


if __name__ == "__main__":
    main()
