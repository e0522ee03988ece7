"""Makes tables of results.json and puts them between the marks in docs/performance.md and README.md.

    report.py [--print]

No figure of those tables is typed by hand. A ratio is the median over rounds of a peer's median to whet's in the same
round, the spread its smallest and largest. With one thread seconds are processor time, which another job on the machine
changes least; the ratio of wall clocks stands beside it.
"""
import argparse
import json
import pathlib
import statistics

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
GOALS = {"trl": 10, "generate": 20, "llama.cpp": 2, "memory": 0.5, "share": 0.6}
LARGE = 5_000_000  # parameters from which a step is to come near the peak: below, layers are too narrow


def median(values):
    return statistics.median(values) if values else None


def step_seconds(row, clock):
    return median(row["cpu_seconds" if clock == "cpu" else "seconds"])


def rollout_seconds(row, name, clock):
    """Of the rollouts alone. whet's processor time is known of whole steps: the rollouts' is their share of the wall clock."""
    if clock == "wall" or name in ("llama.cpp", "plain"):
        return median(row["rollout_seconds"])
    if name == "whet":
        return median(row["cpu_seconds"]) * median(row["rollout_seconds"]) / median(row["seconds"])
    return median(row["cpu_seconds"])


class Compared:
    """A peer beside whet in one case: medians, and the ratios of the rounds."""

    def __init__(self, case, name, seconds_of):
        peers, ours = case["programs"].get(name, []), case["programs"]["whet"]
        self.failed = next((row["failed"] for row in peers if "failed" in row), None)
        self.pairs = [(peer, own) for peer, own in zip(peers, ours) if "failed" not in peer]
        self.seconds_of, self.name = seconds_of, name

    def seconds(self, clock):
        return median([self.seconds_of(peer, self.name, clock) for peer, _ in self.pairs])

    def ratios(self, clock):
        return [self.seconds_of(peer, self.name, clock) / self.seconds_of(own, "whet", clock) for peer, own in self.pairs]

    def ratio(self, clock):
        return median(self.ratios(clock))

    def memory(self):
        return median([peer["memory"] for peer, _ in self.pairs])


def number(value):
    """Three digits that matter."""
    if value is None:
        return "–"
    digits = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3
    return f"{value:.{digits}f}"


def ratio_text(compared, clock):
    if not compared.pairs:
        return "failed" if compared.failed else "–"
    ratios = compared.ratios(clock)
    spread = f" ({number(min(ratios))}–{number(max(ratios))})" if len(ratios) > 1 else ""
    return f"**{number(compared.ratio(clock))}**{spread}"


def mebibytes(value):
    return "–" if value is None else f"{value / 2**20:.0f}"


def clock_of(case):
    return "cpu" if case["threads"] == 1 else "wall"


def whole_step(case, name):
    return Compared(case, name, lambda row, _, clock: step_seconds(row, clock))


def rollouts(case, name):
    # Where a program has no processor time of its rollouts, both sides are taken by the wall clock.
    if name in ("llama.cpp", "plain"):
        return Compared(case, name, lambda row, who, _: rollout_seconds(row, who, "wall"))
    return Compared(case, name, rollout_seconds)


def size(count):
    return f"{count / 1e6:.1f}M" if 1e6 <= count < 2e7 else f"{count / 1e6:.0f}M" if count >= 1e6 else f"{count / 1e3:.0f}k"


def ordered(cases):
    return sorted(cases, key=lambda case: (case["threads"], case["parameters"], case["vocabulary"], case["tokens"], case["sequences"]))


def label(case):
    paid = ", votes" if case["reward"] == "majority-vote" else ""
    return (f"{size(case['parameters'])} / {case['vocabulary']:,}{paid} | {case['sequences']} × {case['tokens']} | "
            f"{case['threads']} | {len(case['programs']['whet'])}")


def table(head, rows):
    return "\n".join([f"| {head} |", "|" + "---|" * (head.count("|") + 1), *(f"| {row} |" for row in rows)])


def step_table(cases):
    rows = []
    for case in cases:
        clock, trl, plain = clock_of(case), whole_step(case, "trl"), whole_step(case, "plain")
        own = median([step_seconds(row, clock) for row in case["programs"]["whet"]])
        memory = median([row["memory"] for row in case["programs"]["whet"]])
        share = f" ({memory / trl.memory():.2f})" if trl.pairs else ""
        all_memory = " / ".join(map(mebibytes, (trl.memory(), plain.memory(), memory)))
        rows.append(f"{label(case)} | {number(trl.seconds(clock))} | {number(plain.seconds(clock))} | {number(own)} | "
                    f"{ratio_text(trl, clock)} | {ratio_text(trl, 'wall')} | {ratio_text(plain, clock)} | {all_memory}{share}")
    return table("parameters / vocabulary | rollouts × tokens | threads | rounds | TRL, s | plain, s | whet, s | TRL / whet "
                 "| by wall clock | plain / whet | MiB, TRL / plain / whet (share of TRL's)", rows)


def share_of_peak(case):
    """Of the machine's float32 products, over a whole step; None where the peak was not measured."""
    if "gemm_peak_flops" not in case:
        return None
    own = median([step_seconds(row, clock_of(case)) for row in case["programs"]["whet"]])
    return median([row["flops"] for row in case["programs"]["whet"]]) / own / case["gemm_peak_flops"]


def ceiling_table(cases):
    """How near a step comes to the machine's float32 products, and the largest ratio to TRL that float32 has room for."""
    rows = []
    for case in cases:
        clock, trl, half = clock_of(case), whole_step(case, "trl"), whole_step(case, "whet bfloat16")
        flops, peak = median([row["flops"] for row in case["programs"]["whet"]]), case["gemm_peak_flops"]
        room = number(trl.seconds(clock) * peak / flops) if trl.pairs else "–"
        bfloat16 = f"{number(half.seconds(clock))} | {number(1 / half.ratio(clock))}" if half.pairs else "– | –"
        rows.append(f"{label(case)} | {number(flops / 1e9)} | {number(peak / 1e9)} | {100 * share_of_peak(case):.0f} % | {room} | {bfloat16}")
    return table("parameters / vocabulary | rollouts × tokens | threads | rounds | GFLOP a step | peak, GFLOP/s | whet's share of it "
                 "| TRL / (a step at the peak) | whet with --precision bfloat16, s | float32 / bfloat16", rows)


def rollout_table(cases):
    rows = []
    has_llama = any(case["programs"].get("llama.cpp") for case in cases)
    for case in cases:
        clock, peer, plain, llama = clock_of(case), rollouts(case, "generate"), rollouts(case, "plain"), rollouts(case, "llama.cpp")
        own = median([rollout_seconds(row, "whet", clock) for row in case["programs"]["whet"]])
        rows.append(f"{label(case)} | {number(peer.seconds(clock))} | {number(own)} | {ratio_text(peer, clock)} | "
                    f"{ratio_text(peer, 'wall')} | {ratio_text(plain, 'wall')}" + (f" | {ratio_text(llama, 'wall')}" if has_llama else "") + f" | {mebibytes(peer.memory())}")
    return table("parameters / vocabulary | rollouts × tokens | threads | rounds | generate, s | whet, s | generate / whet "
                 "| by wall clock | plain / whet, wall" + (" | llama.cpp / whet, wall" if has_llama else "") + " | MiB, generate", rows)


def linearity_table(entries):
    rows = []
    for entry in entries:
        clock = "cpu_seconds" if entry["threads"] == 1 else "seconds"
        first = entry["rows"][0]
        base = median(first[clock]) / first["total"]
        cells = []
        for row in entry["rows"]:
            seconds = median(row[clock])
            cells.append(f"{number(seconds)} ({number(seconds / row['total'] / base)})")
        work = "sequences" if entry["varied"] == "problems" else "length"
        fixed = f"{first['tokens']} tokens" if entry["varied"] == "problems" else f"{first['problems'] * 8} sequences"
        start = f"{first['problems'] * 8} sequences" if entry["varied"] == "problems" else f"{first['tokens']} tokens"
        memory = f"{mebibytes(max(first['memory']))} → {mebibytes(max(entry['rows'][-1]['memory']))}"
        rows.append(f"{entry['model']}, {work} from {start}, {fixed} | {entry['threads']} | " + " | ".join(cells) + f" | {memory}")
    return table("work | threads | 1 × | 2 × | 4 × | 8 × | 16 × | MiB", rows)


def goal_lines(cases, linearity):
    def place(case):
        return f"{case['case']}, {case['threads']} thread{'s' if case['threads'] > 1 else ''}"

    def lines(name, text, measured, met):
        found = [(place(case), value) for case, value in measured if value is not None]
        if not found:
            return [f"{text} | not measured | –"]
        reached = [f"{where}: {number(value)}" for where, value in found if met(value)]
        missed = [f"{where}: {number(value)}" for where, value in found if not met(value)]
        return [f"{text} | {'; '.join(reached) or '–'} | {'; '.join(missed) or '–'}"]

    ratio = lambda make, name: [(case, make(case, name).ratio(clock_of(case)) if make(case, name).pairs else None) for case in cases]
    memory = [(case, median([row["memory"] for row in case["programs"]["whet"]]) / whole_step(case, "trl").memory()
               if whole_step(case, "trl").pairs else None) for case in cases]
    rows = lines("trl", "whole step ≥ 10 × TRL", ratio(whole_step, "trl"), lambda value: value >= GOALS["trl"])
    rows += lines("generate", "rollouts ≥ 20 × generate", ratio(rollouts, "generate"), lambda value: value >= GOALS["generate"])
    rows += lines("llama.cpp", "rollouts ≥ 2 × llama.cpp", ratio(rollouts, "llama.cpp"), lambda value: value >= GOALS["llama.cpp"])
    rows += lines("memory", "peak memory ≤ ½ of TRL's", memory, lambda value: value <= GOALS["memory"])
    rows += lines("share", f"≥ 60 % of the peak over a step, from {size(LARGE)} parameters on",
                  [(case, share_of_peak(case)) for case in cases if case["parameters"] >= LARGE], lambda value: value >= GOALS["share"])
    growth = []
    for entry in linearity:
        clock = "cpu_seconds" if entry["threads"] == 1 else "seconds"
        each = [median(row[clock]) / row["total"] for row in entry["rows"]]
        growth.append(({"case": f"{entry['model']}, {entry['varied']}", "threads": entry["threads"]}, each[-1] / each[0]))
    rows += lines("linear", "linear in tokens, 1 × to 16 × (time a token at 16 × within a tenth of that at 1 ×)", growth, lambda value: value <= 1.1)
    return table("goal | reached (figure) | missed (figure)", rows)


def failures(cases):
    lines = []
    for case in cases:
        for name, rows in case["programs"].items():
            lines += [f"- {name} at {case['case']}, {case['threads']} thread(s): {row['failed']}" for row in rows if "failed" in row]
    return "\n".join(lines)


def performance_text(results):
    cases = ordered(results["cases"])
    version = ", ".join(f"{name} {value}" for name, value in results["versions"].items() if name in ("trl", "transformers", "torch", "llama.cpp"))
    loads = [value for case in cases for value in case["load"]]
    dates = sorted({case["date"] for case in cases})
    parts = [f"{results['machine']['cores']} cores of {results['machine']['processor']}; {version}; float32; {dates[0]} to {dates[-1]}. "
             f"The load of the machine stood between {min(loads):.1f} and {max(loads):.1f} while this was measured.",
             "Whole steps: rollouts (8 a prompt), reward, one on-policy update:", step_table(cases),
             "Rollouts alone:", rollout_table(cases),
             "How near that is to what the machine can do. A step at the peak does its operations and nothing else, at the rate of a product "
             "of two 2048 × 2048 matrices in float32; no program in float32 can be further ahead of TRL than the ratio to it:",
             ceiling_table([case for case in cases if "gemm_peak_flops" in case])]
    if results["linearity"]:
        parts += ["whet's steps at growing work, in seconds (in brackets: time a token, relative to the first):", linearity_table(results["linearity"])]
    parts += ["Against the goals:", goal_lines(cases, results["linearity"])]
    if failures(cases):
        parts += ["What did not run:", failures(cases)]
    return "\n\n".join(parts)


def readme_text(results):
    rows = []
    for case in ordered(results["cases"]):
        clock, trl, peer = clock_of(case), whole_step(case, "trl"), rollouts(case, "generate")
        own = median([row["memory"] for row in case["programs"]["whet"]])
        rows.append(f"{size(case['parameters'])} / {case['vocabulary']:,} | {case['sequences']} × {case['tokens']} | {case['threads']} | "
                    f"{number(trl.ratio(clock) if trl.pairs else None)} × | {number(peer.ratio(clock) if peer.pairs else None)} × | {mebibytes(trl.memory())} / {mebibytes(own)} MiB")
    return table("parameters / vocabulary | rollouts × tokens | threads | whole step, TRL / whet | rollouts, generate / whet | peak memory, TRL / whet", rows)


def put(path, mark, text):
    """Replaces what stands between <!-- MARK --> and <!-- end MARK -->."""
    page = path.read_text()
    begin, end = f"<!-- {mark}: written by bench/peers/report.py -->", f"<!-- end {mark} -->"
    if page.count(begin) != 1 or page.count(end) != 1:
        raise SystemExit(f"[peers] error: {path}: want the lines '{begin}' and '{end}' once each")
    head, rest = page.split(begin)
    path.write_text(f"{head}{begin}\n{text}\n{end}{rest.split(end)[1]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", default=str(HERE / "results.json"), metavar="FILE")
    parser.add_argument("--print", action="store_true", help="print the tables and write nothing")
    options = parser.parse_args()
    results = json.loads(pathlib.Path(options.json).read_text())
    if options.print:
        print(performance_text(results) + "\n\n" + readme_text(results))
        return
    put(ROOT / "docs/performance.md", "peers", performance_text(results))
    put(ROOT / "README.md", "peers", readme_text(results))
    print("[peers] wrote docs/performance.md and README.md")


if __name__ == "__main__":
    main()
