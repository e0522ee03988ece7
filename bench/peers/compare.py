"""Runs whet and its peers by turns at the sizes of grid.toml and keeps every figure in results.json.

    scripts/peers [--full] [--cases recipe/32 10m/32] [--threads 2] [--llama-cpp DIR]

Each round starts every program once, one after another, so that a change in the machine's load meets all; a ratio is
taken within a round. What a case measured replaces what results.json held of it; report.py makes tables of that file.
"""
import argparse
import datetime
import glob
import importlib.metadata
import json
import os
import pathlib
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
import typing

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
WHET = pathlib.Path(os.environ.get("WHET_BINARY_DIR", ROOT / "build")).resolve() / "whet"
PROBLEMS, SAMPLES = 64, 8


def say(text):
    print(f"[peers] {text}", flush=True)


class Usage(typing.NamedTuple):
    """Of a whole process: largest resident set, processor time."""
    memory: int
    cpu_seconds: float


class Failed(Exception):
    """A program did not do its work; the text is its own complaint."""


def cpu_seconds(pid):
    """Processor time of a running process's threads; None once it is gone."""
    total = 0
    for path in glob.glob(f"/proc/{pid}/task/*/schedstat"):
        try:
            total += int(pathlib.Path(path).read_text().split()[0])
        except (OSError, IndexError):
            pass
    return total / 1e9 or None


def run(command, limit, watched=None):
    """A program to its end: (output, what it used, processor seconds by which each line of `watched` was there)."""
    began, marks, lines = time.monotonic(), [], 0
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen([str(part) for part in command], stdout=out, stderr=err, stdin=subprocess.DEVNULL)
        while True:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() - began > limit:
                process.kill()
                os.wait4(process.pid, 0)
                raise Failed(f"took more than {limit:.0f} s")
            if watched and watched.exists():
                found = watched.read_bytes().count(b"\n")
                if found > lines:
                    marks += [cpu_seconds(process.pid)] * (found - lines)
                    lines = found
            time.sleep(0.002 if watched else 0.05)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0), err.seek(0)
        output, complaint = out.read().decode(), err.read().decode()
    if process.returncode != 0:
        signal = " (killed: out of memory?)" if process.returncode == -9 else ""
        raise Failed(f"exit {process.returncode}{signal}: {(complaint.strip().splitlines() or ['no output'])[-1][:300]}")
    return output, Usage(usage.ru_maxrss * 1024, usage.ru_utime + usage.ru_stime), marks


class Work:
    """What one case is: a model folder, its problems, and the counts that every program must reach."""

    def __init__(self, folder, model, case, threads):
        self.case, self.threads = case, threads
        self.reward = case.get("reward", "random")
        self.tokens, self.problems, self.warm_up = case["tokens"], case.get("problems", PROBLEMS), case.get("warm_up", 1)
        self.model = ROOT / model["embedded"] if "embedded" in model else folder / case["model"]
        if not self.model.exists():
            flags = [part for name, value in model["shape"].items() if name != "tied"
                     for part in ("--" + name.replace("_", "-"), value)]
            run([sys.executable, HERE / "make_model.py", self.model, *flags, *(["--tied"] if model["shape"]["tied"] else [])], 600)
        self.file = folder / f"problems-{self.problems}.jsonl"
        source, prompts = random.Random(0), {}
        while len(prompts) < self.problems:
            prompts["".join(str(source.randrange(10)) for _ in range(source.randint(4, 9))) + "?"] = None
        self.file.write_text("".join(json.dumps({"prompt": prompt}) + "\n" for prompt in prompts))
        self.limit = case.get("limit", 3000)
        self.expected = self.problems * SAMPLES * self.tokens if self.reward == "random" else None

    def check(self, counts):
        if self.expected is not None and any(count != self.expected for count in counts):
            raise Failed(f"sampled {sorted(set(counts))} tokens a step, want {self.expected} as all programs")


def whet(work, steps, folder, precision="float32"):
    """Steps of `whet train` as a user runs it, without its evaluations, dumps and checkpoints between steps."""
    out = folder / "run"
    shutil.rmtree(out, ignore_errors=True)
    _, usage, marks = run(
        [WHET, "train", "--model", work.model, "--reward", work.reward, "--problems", work.file, "--transductive", "sort",
         "--prompts", work.problems, "--samples", SAMPLES, "--max-new-tokens", work.tokens, "--steps", steps + work.warm_up,
         "--learning-rate", "1e-6", "--eval-every", steps + work.warm_up, "--eval-problems", 1, "--eval-samples", 1,
         "--checkpoint-every", steps + work.warm_up, "--rollouts-every", 0, "--threads", work.threads,
         "--precision", precision, "--out", out],
        work.limit, out / "metrics.jsonl")
    timings = [json.loads(line) for line in (out / "timings.jsonl").read_text().splitlines()][work.warm_up:]
    tokens = [round(row["rollout_tokens_per_second"] * row["rollout_seconds"]) for row in timings]
    shutil.rmtree(out)
    work.check(tokens)
    # Line 0 of the metrics is there when the first step begins.
    cpu = [end - begin for begin, end in zip(marks, marks[1:]) if begin and end][work.warm_up:]
    if not cpu:
        raise Failed("ended before its processor time could be read")
    # The last step measures held-out problems too; that is not part of a step.
    return {"seconds": [row["seconds"] - row["evaluation_seconds"] for row in timings], "cpu_seconds": cpu,
            "rollout_seconds": [row["rollout_seconds"] for row in timings],
            "phases": {name: statistics.median(row[name] for row in timings) for name in timings[0] if name.endswith("_seconds")},
            "flops": statistics.median(sum(phase["flops"] for phase in row["phases"].values()) for row in timings),
            "tokens": tokens, "memory": usage.memory}


def whet_bfloat16(work, steps, folder):
    """The same with weights in bfloat16; where the processor multiplies bfloat16, products too."""
    return whet(work, steps, folder, "bfloat16")


def gemm_peak(threads):
    """Operations a second of a large product in float32, as `whet bench` finds it: the ceiling of every program."""
    output, _, _ = run([WHET, "bench", "--steps", 1, "--warm-up", 0, "--threads", threads, "--json"], 600)
    return json.loads(output)["gemm_peak_flops"]


def python_peer(script, work, steps, *more):
    output, usage, _ = run([sys.executable, HERE / script, "--model", work.model, "--max-new-tokens", work.tokens,
                             "--steps", steps, "--warm-up", work.warm_up, "--threads", work.threads, *more], work.limit)
    result = json.loads(output.strip().splitlines()[-1])
    return result, usage.memory


def trl(work, steps, _):
    result, memory = python_peer("trl_step.py", work, steps, "--problems", work.file, "--reward", work.reward,
                                 "--micro-batch", work.case["micro_batch"])
    work.check(result["sampled_tokens"])
    return {"seconds": result["seconds"], "cpu_seconds": result["cpu_seconds"], "tokens": result["sampled_tokens"], "memory": memory}


def generate(work, steps, _):
    result, memory = python_peer("hf_generate.py", work, steps, "--problems", work.file)
    work.check(result["sampled_tokens"])
    return {"rollout_seconds": result["seconds"], "cpu_seconds": result["cpu_seconds"], "tokens": result["sampled_tokens"],
            "memory": memory}


def plain(work, steps, _):
    result, memory = python_peer("plain_pytorch.py", work, steps, "--mode", "rl", "--reward", work.reward,
                                 "--micro-batch", work.case["micro_batch"], "--problems", work.problems, "--json")
    work.check([result["sampled_tokens"]])
    return {"seconds": result["seconds"], "cpu_seconds": result["cpu_seconds"], "tokens": [result["sampled_tokens"]],
            "memory": memory, "rollout_seconds": [result["phase_seconds"]["prefill"] + result["phase_seconds"]["decode"]]}


def llama_cpp(tool):
    def llama(work, steps, folder):
        """llama-batched-bench: decoding without sampling. More sequences than it can hold at once are done in several goes."""
        import llama_model
        if work.expected is None:
            raise Failed("it writes every response to its limit, where the other programs' end by themselves")
        file = folder / f"{work.model.name}.gguf"
        if not file.exists():
            llama_model.convert(work.model, file)
        seconds, tokens, memory, parallel = llama_model.batched_bench(run, tool, file, work, SAMPLES, steps)
        work.check(tokens)
        return {"rollout_seconds": seconds, "tokens": tokens, "memory": memory, "parallel": parallel}
    return llama


def load():
    return os.getloadavg()[0]


def outcome(row):
    """Of one process, for the progress line."""
    return row.get("failed") or f"{statistics.median(row.get('seconds') or row['rollout_seconds']):.3f} s"


def measure(case, work, programs, folder):
    rows = {name: [] for name in programs}
    loads = []
    peak = gemm_peak(work.threads)
    for number in range(case["rounds"]):
        for name, program in programs.items():
            if any("failed" in row for row in rows[name]):
                continue  # it said why; it will not do better
            loads.append(load())
            try:
                rows[name].append(program(work, case["whet_steps"] if name.startswith("whet") else case["steps"], folder))
            except Failed as failure:
                rows[name].append({"failed": str(failure)})
                if name == "whet":
                    raise
        done = ", ".join(f"{name} {outcome(rows[name][-1])}" for name in programs)
        say(f"{case['name']} on {work.threads} thread(s), round {number + 1} of {case['rounds']}: {done}")
    return {"case": case["name"], "threads": work.threads, "parameters": parameters(work.model), "model": case["model"],
            "vocabulary": json.loads((work.model / "config.json").read_text())["vocab_size"], "tokens": work.tokens,
            "sequences": work.problems * SAMPLES, "reward": work.reward, "micro_batch": case["micro_batch"], "date": today(),
            "load": [min(loads), max(loads)], "gemm_peak_flops": peak, "programs": rows}


def parameters(folder):
    """Counted in the safetensors header."""
    with open(folder / "model.safetensors", "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    total = 0
    for name, entry in header.items():
        if name != "__metadata__":
            count = 1
            for size in entry["shape"]:
                count *= size
            total += count
    return total


def today():
    return datetime.date.today().isoformat()


def machine():
    name = next((line.split(":")[1].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
                 if line.startswith("model name")), platform.processor())
    return {"processor": name, "cores": os.cpu_count()}


def versions():
    return {name: importlib.metadata.version(name) for name in ("torch", "transformers", "trl", "accelerate", "tokenizers")}


def measure_linearity(entry, models, folder, threads):
    varied = "problems" if isinstance(entry["problems"], list) else "tokens"
    rows = []
    for _ in range(entry["rounds"]):
        for index, value in enumerate(entry[varied]):
            case = {**entry, varied: value}
            work = Work(folder, models[entry["model"]], case, threads)
            result = whet(work, entry["steps"], folder)
            if index == len(rows):
                rows.append({"problems": work.problems, "tokens": work.tokens, "total": work.expected, "seconds": [],
                             "cpu_seconds": [], "rollout_seconds": [], "memory": []})
            for name in ("seconds", "cpu_seconds", "rollout_seconds"):
                rows[index][name] += result[name]
            rows[index]["memory"].append(result["memory"])
    say(f"linearity of {entry['model']} in {varied}: " +
        ", ".join(f"{row['total']} tokens {statistics.median(row['seconds']):.3f} s" for row in rows))
    return {"model": entry["model"], "varied": varied, "threads": threads, "rows": rows, "date": today()}


def save(path, data):
    temporary = path.with_suffix(".tmp-write")
    temporary.write_text(json.dumps(data, indent=1) + "\n")
    temporary.replace(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="also the sizes that grid.toml marks so: hours rather than minutes")
    parser.add_argument("--cases", nargs="*", help="only these: MODEL/TOKENS, or MODEL/TOKENS/SEQUENCES where they are not 512")
    parser.add_argument("--programs", nargs="*", default=["whet", "whet bfloat16", "trl", "generate", "plain", "llama.cpp"],
                        help="only these (whet is always one)")
    parser.add_argument("--no-linearity", action="store_true")
    parser.add_argument("--linearity-only", action="store_true")
    parser.add_argument("--rounds", type=int, help="instead of the grid's")
    parser.add_argument("--threads", type=int, default=1, help="of every program")
    parser.add_argument("--llama-cpp", default=os.environ.get("LLAMA_CPP"), metavar="DIR",
                        help="a build of llama.cpp with bin/llama-batched-bench; default: $LLAMA_CPP, and without it none")
    parser.add_argument("--models", default=str(ROOT / "runs/peers"), metavar="DIR", help="where models are made and kept")
    parser.add_argument("--json", default=str(HERE / "results.json"), metavar="FILE")
    options = parser.parse_args()
    if not WHET.exists():
        sys.exit(f"[peers] error: no {WHET}; run: make build")
    grid = tomllib.loads((HERE / "grid.toml").read_text())
    for case in grid["cases"]:
        case["name"] = f"{case['model']}/{case['tokens']}" + (f"/{case['problems'] * SAMPLES}" if "problems" in case else "")
    names = [case["name"] for case in grid["cases"]]
    for name in options.cases or []:
        if name not in names:
            sys.exit(f"[peers] error: --cases {name}, want some of {' '.join(names)}")
    programs = {"whet": whet, "whet bfloat16": whet_bfloat16, "trl": trl, "generate": generate, "plain": plain}
    if options.llama_cpp:
        tools = [path for path in (pathlib.Path(options.llama_cpp), pathlib.Path(options.llama_cpp) / "bin")
                 if (path / "llama-batched-bench").exists()]
        if not tools:
            sys.exit(f"[peers] error: --llama-cpp {options.llama_cpp}: no llama-batched-bench in it or its bin/")
        programs["llama.cpp"] = llama_cpp(tools[0] / "llama-batched-bench")
    programs = {name: program for name, program in programs.items() if name == "whet" or name in options.programs}
    path = pathlib.Path(options.json)
    results = json.loads(path.read_text()) if path.exists() else {"cases": [], "linearity": []}
    results.update(machine=machine(), versions={**results.get("versions", {}), **versions()})
    folder = pathlib.Path(options.models)
    folder.mkdir(parents=True, exist_ok=True)
    if not options.linearity_only:
        for case in grid["cases"]:
            if case["name"] not in options.cases if options.cases else case.get("full", False) and not options.full:
                continue
            case["rounds"] = options.rounds or case["rounds"]
            done = measure(case, Work(folder, grid["models"][case["model"]], case, options.threads), programs, folder)
            same = lambda row: (row["case"], row["threads"]) == (done["case"], done["threads"])
            results["cases"] = [row for row in results["cases"] if not same(row)] + [done]
            save(path, results)
    if not options.no_linearity and not options.cases:
        for entry in grid["linearity"]:
            done = measure_linearity(entry, grid["models"], folder, options.threads)
            same = lambda row: all(row[key] == done[key] for key in ("model", "varied", "threads"))
            results["linearity"] = [row for row in results["linearity"] if not same(row)] + [done]
            save(path, results)


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        sys.exit(f"[peers] error: {failure}")
