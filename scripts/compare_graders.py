#!/usr/bin/env python3
"""whet's grader beside Math-Verify: every case in which they disagree, and who is right.

Cases come from three places:

- references of the benchmarks (JSON lines with an `answer`), each against itself and against variants made by rules whose
  effect is known: reordered and reformatted ones are equal, perturbed ones are not. The rule is the judge;
- tests/golden/grader_pairs.jsonl: pairs written for this comparison, with a verdict given by hand;
- with --peer-source, the pairs in the tests of an unpacked Math-Verify source distribution (pip download --no-binary
  :all: math-verify), with the verdict that its authors expect. Nothing of them is kept here.

    scripts/compare_graders.py --data DIR --whet build/whet --out disagreements.jsonl

Needs math-verify (0.9.0 was compared), and prints counts, times and the disagreements, ours first.
"""
import argparse
import ast
import collections
import json
import math
import pathlib
import re
import subprocess
import sys
import time
from fractions import Fraction

Case = collections.namedtuple("Case", "source rule reference answer expected")


def terminating(value):
    denominator = value.denominator
    for prime in (2, 5):
        while denominator % prime == 0:
            denominator //= prime
    return denominator == 1


def decimal(value, digits=12):
    text = f"{value.numerator * 10**digits // value.denominator:d}"
    sign, text = ("-", text[1:]) if text.startswith("-") else ("", text)
    text = text.rjust(digits + 1, "0")
    return sign + (text[:-digits] + "." + text[-digits:]).rstrip("0").rstrip(".")


def number_variants(value):
    """Of a rational: (rule, text, equal)."""
    a, b = value.numerator, value.denominator
    out = []
    if b == 1:
        out += [("point zero", f"{a}.0", True), ("boxed", f"\\boxed{{{a}}}", True), ("unit", f"{a}\\text{{ cm}}", True),
                ("doubled fraction", f"\\frac{{{2 * a}}}{{2}}", True), ("named", f"x = {a}", True),
                ("next", str(a + 1), False), ("ten times", str(a * 10), a == 0)]
        out += [("sign", str(-a), False)] if a else []
        out += [("half", f"{a}.5", False), ("times one", f"{a} \\cdot 1", True), ("spaces", f" {a} ", True)]
        if a >= 0:
            out += [("zeros", f"00{a}", True)]
        if abs(a) >= 1000:
            out += [("thousands", f"{a:,}", True), ("braced thousands", f"{a:,}".replace(",", "{,}"), True),
                    ("thin thousands", f"{a:,}".replace(",", ",\\!"), True)]
        if a and a % 10 == 0:
            out += [("scientific", f"{a // 10} \\times 10^{{1}}", True)]
    else:
        sign = "-" if a < 0 else ""
        out += [("slash", f"{a}/{b}", True), ("dfrac", f"{sign}\\dfrac{{{abs(a)}}}{{{b}}}", True),
                ("tripled", f"\\frac{{{3 * a}}}{{{3 * b}}}", True), ("sign below", f"\\frac{{{-a}}}{{{-b}}}", True),
                ("turned", f"\\frac{{{b}}}{{{a}}}", abs(a) == b), ("next", f"\\frac{{{a + 1}}}{{{b}}}", False),
                ("sign", f"\\frac{{{-a}}}{{{b}}}", False), ("inverse power", f"{a} \\cdot {b}^{{-1}}", True)]
        if terminating(value) and b < 10**9:
            out += [("decimal", decimal(value), True), ("long decimal", decimal(value) + "00", True)]
        else:
            out += [("three digits", decimal(value, 3), False)]
        if abs(a) > b:
            whole, rest = divmod(abs(a), b)
            out += [("mixed", f"{sign}{whole}\\frac{{{rest}}}{{{b}}}", True)]
    return out


def split_top(text, separator):
    """Splits at a separator that stands outside brackets."""
    parts, depth, begin = [], 0, 0
    for i, c in enumerate(text):
        depth += c in "([{"
        depth -= c in ")]}"
        if c == separator and depth == 0:
            parts.append(text[begin:i].strip())
            begin = i + 1
    return parts + [text[begin:].strip()]


def rational_of(text):
    text = re.sub(r"\\[dt]frac", r"\\frac", text.replace("\\!", "").replace("\\$", "").strip())
    text = re.sub(r"(?<=\d),\s*(?=\d{3}(\D|$))", "", text)
    if match := re.fullmatch(r"-?\d*\.?\d+", text):
        return Fraction(text)
    if match := re.fullmatch(r"(-?)(\d*)\\frac\s*(?:\{(\d+)\}|(\d))\s*(?:\{(\d+)\}|(\d))", text):
        sign, whole, a, a1, b, b1 = match.groups()
        value = Fraction(int(whole or 0)) + Fraction(int(a or a1), int(b or b1))
        return -value if sign else value
    return None


def variants(answer):
    """(rule, text, equal) for one reference, by its shape."""
    out = [("itself", answer, True), ("dollars", f"${answer}$", True), ("boxed", f"\\boxed{{{answer}}}", True)]
    if "\\frac" in answer:
        out.append(("dfrac", answer.replace("\\frac", "\\dfrac"), True))
    value = rational_of(answer)
    if value is not None:
        return out + number_variants(value)
    if match := re.fullmatch(r"(-?\d+)\^\\circ", answer):
        n = match[1]
        return out + [("no degrees", n, True), ("braced circle", n + "^{\\circ}", True), ("word", n + " degrees", True),
                      ("next", f"{int(n) + 1}^\\circ", False)]
    if match := re.fullmatch(r"(\d+)_\{?(\d+)\}?", answer):
        digits, base = match.groups()
        return out + [("braced base", f"{digits}_{{{base}}}", True), ("bare base", f"{digits}_{base}", True),
                      ("other digits", f"{digits[::-1]}_{base}", digits == digits[::-1])]
    if match := re.fullmatch(r"\\text\{\(?([A-Za-z ]+)\)?\}|([A-D])", answer):
        word = match[1] or match[2]
        if len(word) == 1:
            other = "A" if word != "A" else "B"
            return out + [("brackets", f"({word})", True), ("text", f"\\text{{{word}}}", True), ("full stop", f"{word}.", True),
                          ("text in brackets", f"\\text{{({word})}}", True), ("other letter", other, False),
                          ("bold", f"\\textbf{{({word})}}", True)]
        return out + [("plain", word, True), ("capitals", word.upper(), True), ("bold", f"\\textbf{{{word}}}", True),
                      ("other word", f"\\text{{not {word}}}", False)]
    if match := re.fullmatch(r"(-?\d*)\s*\\sqrt\s*\{?(\d+)\}?", answer):
        k, n = int(match[1] + "1") if match[1] in ("", "-") else int(match[1]), int(match[2])
        sign = "-" if k < 0 else ""
        return out + [("under the root", f"{sign}\\sqrt{{{k * k * n}}}", True), ("plain", f"{k}*sqrt({n})", True),
                      ("power", f"{k} \\cdot {n}^{{1/2}}", True), ("over the root", f"\\frac{{{k * n}}}{{\\sqrt{{{n}}}}}", True),
                      ("next radicand", f"{k}\\sqrt{{{n + 1}}}", False), ("next factor", f"{k + 1}\\sqrt{{{n}}}", k + 1 == k),
                      ("decimal", f"{k * math.sqrt(n):.4f}", False)]
    if match := re.fullmatch(r"(\d+)\s*\\pi", answer):
        k = match[1]
        return out + [("times", f"{k} \\cdot \\pi", True), ("turned", f"\\pi \\times {k}", True), ("plain", f"{k}pi", True),
                      ("no pi", k, False), ("decimal", f"{int(k) * math.pi:.4f}", False),
                      ("fraction", f"\\frac{{{2 * int(k)}\\pi}}{{2}}", True)]
    if match := re.fullmatch(r"(.*?)\\pm\s*(.*)", answer):
        a, b = match.groups()
        if "{" not in a:
            return out + [("two values", f"{a}+{b}, {a}-{b}" if a.strip() else f"{b}, -{b}", True),
                          ("turned", f"{a}-{b}, {a}+{b}" if a.strip() else f"-{b}, {b}", True), ("one value", f"{a}+{b}", False),
                          ("a set", f"\\{{{a}+{b}, {a}-{b}\\}}" if a.strip() else f"\\{{{b}, -{b}\\}}", True)]
        return out
    if "matrix" in answer:
        body = re.search(r"\}(.*)\\end", answer, re.S)[1]
        rows = [row.strip() for row in body.split("\\\\")]
        wrong = " \\\\ ".join(rows[::-1])
        return out + [("square brackets", answer.replace("pmatrix", "bmatrix"), True),
                      ("rows turned", f"\\begin{{pmatrix}} {wrong} \\end{{pmatrix}}", rows == rows[::-1]),
                      ("no spaces", re.sub(r"(?<![a-z]) +", "", answer), True)]
    if match := re.fullmatch(r"(?:\\left)?([(\[])(.*?)(?:\\right)?([)\]])", answer):
        if "cup" not in answer:
            items = split_top(match[2], ",")
            plain = f"{match[1]}{', '.join(items)}{match[3]}"
            turned = f"{match[1]}{', '.join(items[::-1])}{match[3]}"
            bumped = f"{match[1]}{', '.join(items[:-1])}, 7{match[3]}"
            out += [("left and right", f"\\left{match[1]}{','.join(items)}\\right{match[3]}", True), ("plain", plain, True),
                    ("turned", turned, items == items[::-1]), ("other end", bumped, items[-1] == "7")]
            if len(items) == 2 and ("infty" in answer or "[" in answer or "]" in answer):
                other = {"(": "[", "[": "("}[match[1]]
                out.append(("other bracket", f"{other}{', '.join(items)}{match[3]}", "-\\infty" in items[0]))
            if len(items) > 2:
                out.append(("shorter", f"({', '.join(items[:-1])})", False))
            return out
        pieces = [piece.strip() for piece in answer.split("\\cup")]
        return out + [("pieces turned", " \\cup ".join(pieces[::-1]), True), ("one piece", pieces[0], False),
                      ("Unicode", " \u222a ".join(pieces), True)]
    items = split_top(answer, ",")
    if len(items) > 1:
        return out + [("turned", ", ".join(items[::-1]), True), ("a set", f"\\{{{', '.join(items)}\\}}", True),
                      ("and", " and ".join([", ".join(items[:-1]), items[-1]]), True), ("one less", ", ".join(items[:-1]), False),
                      ("one other", ", ".join(items[:-1] + ["97"]), False), ("semicolons", "; ".join(items), True)]
    if "\\in" in answer:
        return out + [("the set alone", answer.split("\\in", 1)[1], True)]
    if "=" in answer:
        left, right = answer.split("=", 1)
        return out + [("turned", f"{right.strip()} = {left.strip()}", True), ("one more", f"{answer} + 1", False)]
    if re.fullmatch(r"[-+ a-zA-Z0-9^{}()\\]+", answer) and re.search(r"[a-z]", answer) and "\\" not in answer:
        letters = re.findall(r"[a-zA-Z]", answer)
        out += [("one more", f"{answer} + 1", False), ("bracketed", f"({answer})", True),
                ("minus itself", f"2({answer}) - ({answer})", True), ("other letter", answer.replace(letters[0], "w"), False),
                ("halved sum", f"\\frac{{({answer})+({answer})}}{{2}}", True)]
        if "(" not in answer:
            terms = re.findall(r"[-+]?[^-+]+", answer.replace(" ", ""))
            turned = "".join(t if t[0] in "-+" else "+" + t for t in terms[::-1]).lstrip("+")
            out += [("terms turned", turned, True)]
        return out
    return out + [("one more", f"{answer} + 1", False), ("doubled", f"2 \\cdot ({answer})", False),
                  ("bracketed", f"\\left({answer}\\right)", True), ("twice over two", f"\\frac{{2({answer})}}{{2}}", True)]


def data_cases(folder):
    seen = set()
    for path in sorted(pathlib.Path(folder).glob("*.jsonl")):
        for line in path.open():
            answer = json.loads(line)["answer"]
            if answer in seen:
                continue
            seen.add(answer)
            for rule, text, equal in variants(answer):
                yield Case(path.stem, rule, answer, text, bool(equal))


def behaviour_cases():
    path = pathlib.Path(__file__).parents[1] / "tests/golden/grader_pairs.jsonl"
    for line in path.open():
        row = json.loads(line)
        yield Case("behaviours", row["rule"], row["reference"], row["answer"], row["equivalent"])


def peer_cases(folder):
    """Pairs of texts with 0 or 1 behind them, wherever the tests list such."""
    for path in sorted((pathlib.Path(folder) / "tests").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Tuple) or len(node.elts) not in (3, 4):
                continue
            try:
                values = ast.literal_eval(node)
            except ValueError:
                continue
            if isinstance(values[0], str) and isinstance(values[1], str) and values[2] in (0, 1):
                yield Case("peer tests", path.stem, values[0], values[1], bool(values[2]))


def ours(cases, program):
    rows = "".join(json.dumps({"answer": c.answer, "reference": c.reference}) + "\n" for c in cases)
    begin = time.perf_counter()
    done = subprocess.run([program, "grade"], input=rows, capture_output=True, text=True)
    seconds = time.perf_counter() - begin
    if done.returncode != 0:
        sys.exit(done.stderr)
    return [json.loads(line) for line in done.stdout.splitlines()], seconds


def theirs(cases):
    import logging
    import warnings

    from math_verify import StringExtractionConfig, parse, verify

    logging.disable(logging.CRITICAL)
    warnings.filterwarnings("ignore")

    def parsed(text):
        is_formula = "$" in text.replace("\\$", "") or any(mark in text for mark in ("\\boxed", "\\[", "\\(", "####", "is "))
        return parse(text if is_formula else f"${text}$")

    def verdict(case):
        if verify(parsed(case.reference), parsed(case.answer)):
            return True
        # Letters may also be read in its way for choices.
        if not re.fullmatch(r"\\text\{\(?[A-E]\)?\}|[A-E]", case.reference):
            return False
        options = {"extraction_config": [StringExtractionConfig()]}
        return bool(verify(parse(case.reference, **options), parse(case.answer, **options)))

    verdicts = []
    begin = time.perf_counter()
    for case in cases:
        try:
            verdicts.append(verdict(case))
        except Exception:
            verdicts.append(False)
    return verdicts, time.perf_counter() - begin


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="folder of benchmarks as JSON lines")
    parser.add_argument("--whet", default="build/whet")
    parser.add_argument("--peer-source", help="an unpacked source distribution of math-verify")
    parser.add_argument("--only", nargs="+", help="only cases of these sources: 'behaviours', 'peer tests', a file's name")
    parser.add_argument("--out", help="all disagreements as JSON lines")
    parser.add_argument("--no-peer", action="store_true", help="only ours against the rules")
    arguments = parser.parse_args()
    cases = list(data_cases(arguments.data)) + list(behaviour_cases())
    if arguments.peer_source:
        cases += list(peer_cases(arguments.peer_source))
    if arguments.only:
        cases = [case for case in cases if case.source in arguments.only]
    graded, own_seconds = ours(cases, arguments.whet)
    peer, peer_seconds = ([c.expected for c in cases], 0.0) if arguments.no_peer else theirs(cases)
    rows = []
    for case, mine, other in zip(cases, graded, peer):
        if mine["equivalent"] != other or mine["equivalent"] != case.expected:
            ours_right, theirs_right = mine["equivalent"] == case.expected, other == case.expected
            rows.append({"right": "both wrong" if not ours_right and not theirs_right else
                         "whet" if ours_right else "peer", "source": case.source, "rule": case.rule,
                         "reference": case.reference, "answer": case.answer, "expected": case.expected,
                         "whet": mine["equivalent"], "peer": other, "reason": mine["reason"]})
    rows.sort(key=lambda row: (row["right"] == "whet", row["source"]))
    for source in dict.fromkeys(c.source for c in cases):
        count = sum(c.source == source for c in cases)
        kinds = collections.Counter(row["right"] for row in rows if row["source"] == source)
        print(f"{source:14} {count:5} cases, whet alone right {kinds['whet']:4}, peer alone right {kinds['peer']:4}, "
              f"both wrong {kinds['both wrong']:4}")
    print(f"whet {own_seconds:.3f} s with its start, {len(cases) / own_seconds:,.0f} cases a second")
    if peer_seconds:
        print(f"peer {peer_seconds:.3f} s, {len(cases) / peer_seconds:,.0f} cases a second: {peer_seconds / own_seconds:,.0f} "
              "times as long")
    if arguments.out:
        pathlib.Path(arguments.out).write_text("".join(json.dumps(row) + "\n" for row in rows))
    for row in rows:
        if row["right"] != "whet":
            print(json.dumps(row, ensure_ascii=False))


if __name__ == "__main__":
    main()
