"""The peer: reinforcement learning and pre-training as a good engineer writes them in plain PyTorch, without kernels.

Does what whet does on the sorting task and prints one JSON object of times, so that both can be compared on the same
machine with the same PyTorch. What was tried to make it fast, and what that gave, stands in bench/peers/README.md.

    plain_pytorch.py --config bench/peers/configs/10m.json --mode rl --reward random
    plain_pytorch.py --model models/<name> --mode rl --steps 20
"""
import argparse
import collections
import ctypes
import json
import pathlib
import random
import resource
import statistics
import time
import warnings

warnings.filterwarnings("ignore", message="Failed to initialize NumPy")
import torch
import torch.nn.functional as F

from qwen3 import Cache, Qwen3, open_model


class SortTask:
    """`7402?` -> `#0247`: 4-9 random digits, to be sorted. Token ids of the digits 0-9, `?`, `#` and the end."""

    def __init__(self, digits, ask, answer, end, seed):
        self.digits, self.ask, self.answer, self.end = digits, ask, answer, end
        self.value = {token: str(value) for value, token in enumerate(digits)}
        self.random = random.Random(seed)

    @staticmethod
    def of(folder, config, seed):
        """The ids that a model's own tokenizer.json gives to the characters; 0-12 where there is no tokenizer."""
        if folder is None:
            return SortTask(list(range(10)), 10, 11, 12, seed)
        vocabulary = json.loads((pathlib.Path(folder) / "tokenizer.json").read_text())["model"]["vocab"]
        end = config["eos_token_id"]
        generation = pathlib.Path(folder) / "generation_config.json"
        if generation.exists():
            end = json.loads(generation.read_text()).get("eos_token_id", end)
        return SortTask([vocabulary[digit] for digit in "0123456789"], vocabulary["?"], vocabulary["#"],
                        end[0] if isinstance(end, list) else end, seed)

    def problem(self):
        values = [self.random.randrange(10) for _ in range(self.random.randint(4, 9))]
        return [self.digits[value] for value in values] + [self.ask], "".join(map(str, sorted(values)))

    def document(self):
        """A prompt and a careful response: each digit replaced by a random one with probability 3 %."""
        prompt, label = self.problem()
        noisy = [self.random.randrange(10) if self.random.random() < 0.03 else int(value) for value in label]
        return prompt, [self.answer] + [self.digits[value] for value in noisy] + [self.end]

    def answer_of(self, response):
        """The digits after `#`; None for a response that is cut or malformed."""
        if len(response) < 3 or response[0] != self.answer or response[-1] != self.end:
            return None
        values = [self.value.get(token) for token in response[1:-1]]
        return None if None in values else "".join(values)


def majority_vote(answers):
    """1 for the rollouts of a group that give its most frequent answer."""
    votes = collections.Counter(answer for answer in answers if answer is not None)
    winner = votes.most_common(1)[0][0] if votes else None
    return [float(answer is not None and answer == winner) for answer in answers]


def pad(rows, left, value=0):
    width = max(map(len, rows))
    filled = [[value] * (width - len(row)) + row if left else row + [value] * (width - len(row)) for row in rows]
    return torch.tensor(filled)


class Clock:
    """Seconds by phase."""

    def __init__(self):
        self.seconds, self.last = collections.defaultdict(float), time.perf_counter()

    def lap(self, phase):
        now = time.perf_counter()
        self.seconds[phase] += now - self.last
        self.last = now


@torch.inference_mode()
def rollout(model, prompts, copies, task, options, clock):
    """Samples `copies` responses to each prompt. Returns lists of token ids, those of one prompt together.

    Prompts are padded on the left, so that every sequence writes the same cache position at the same time.
    """
    tokens = pad(prompts, left=True)
    batch, width = tokens.shape
    lengths = torch.tensor([len(prompt) for prompt in prompts])
    valid = torch.arange(width) >= (width - lengths)[:, None]  # [B, S]
    positions = (torch.arange(width) - (width - lengths)[:, None]).clamp(min=0)
    causal = torch.ones(width, width, dtype=torch.bool).tril()
    # A padding row sees itself, for a softmax over nothing is NaN.
    mask = (causal & valid[:, None, :] | torch.eye(width, dtype=torch.bool))[:, None]
    prefill = Cache(model.config, batch, width)
    hidden = model(tokens, positions, mask, prefill)[:, -1]
    cache = Cache(model.config, batch * copies, width + options.max_new_tokens)
    cache.fan_out(prefill, copies)
    hidden = hidden.repeat_interleave(copies, 0)
    clock.lap("prefill")

    count = batch * copies
    position = lengths.repeat_interleave(copies)
    seen = torch.ones(count, width + options.max_new_tokens, dtype=torch.bool)
    seen[:, :width] = valid.repeat_interleave(copies, 0)
    sampled = torch.full((count, options.max_new_tokens), task.end)
    records = []
    rows = torch.arange(count)  # the sequences still being written
    for step in range(options.max_new_tokens):
        logits = model.logits(hidden)
        if options.statistics:
            records.append(statistics_of(logits))
        # The arg-max of p / Exponential(1) is a draw from p, without multinomial's checks and cumulative sums.
        probability = logits.softmax(-1)
        token = probability.div_(torch.empty_like(probability).exponential_()).argmax(-1)
        sampled[rows, step] = token
        running = token != task.end
        if step + 1 == options.max_new_tokens or not running.any():
            break
        if options.compact and running.sum() <= options.compact * len(rows):
            rows, token, position, seen = rows[running], token[running], position[running], seen[running]
            cache.keep(running.nonzero()[:, 0])
        elif not options.compact and (sampled[:, :step + 1] == task.end).any(1).all():
            break
        hidden = model(token[:, None], position[:, None], seen[:, None, None, :width + step + 1], cache)[:, 0]
        position = position + 1
    clock.lap("decode")

    responses = []
    for row in sampled.tolist():
        responses.append(row[:row.index(task.end) + 1] if task.end in row else row)
    return responses


def statistics_of(logits):
    """What a certainty reward needs of each token: entropy, self-certainty, and the gap between the two likeliest."""
    logprob = logits.log_softmax(-1)
    probability = logprob.exp()
    top = probability.topk(2, -1).values
    return -(probability * logprob).sum(-1), -logprob.mean(-1) - torch.tensor(logits.shape[-1]).log(), top[:, 0] - top[:, 1]


def response_logprobs(model, prompts, responses):
    """log pi of every response token, one after another: [tokens]. Padded at the end, so attention is simply causal;
    logits are made for response tokens only."""
    tokens = pad([prompt + response for prompt, response in zip(prompts, responses)], left=False)
    begin = torch.tensor([len(prompt) for prompt in prompts])[:, None]
    end = begin + torch.tensor([len(response) for response in responses])[:, None]
    place = torch.arange(tokens.shape[1])
    target = (place >= begin) & (place < end)
    hidden = model(tokens[:, :-1])[target[:, 1:]]
    return -F.cross_entropy(model.logits(hidden), tokens[target], reduction="none")


def batches(prompts, responses, values, limit):
    """Sequences of similar length together, at most `limit` at once (0: all)."""
    order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]) + len(responses[index]))
    limit = limit or max(len(order), 1)
    for first in range(0, len(order), limit):
        rows = order[first:first + limit]
        yield [[column[index] for index in rows] for column in (prompts, responses, values)]


def optimizer_step(model, optimizer):
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def rl_step(model, optimizer, task, options, clock):
    """One step of GRPO on fresh problems, on-policy. Returns counts and what the batch looked like."""
    problems = [task.problem() for _ in range(options.problems)]
    responses = rollout(model, [prompt for prompt, _ in problems], options.samples, task, options, clock)
    result = {"sampled": sum(map(len, responses)), "trained": 0, "correct": 0.0}
    kept = ([], [], [])
    for index, (prompt, label) in enumerate(problems):
        group = responses[index * options.samples:(index + 1) * options.samples]
        answers = [task.answer_of(response) for response in group]
        result["correct"] += sum(answer == label for answer in answers) / len(responses)
        if options.reward == "random":
            rewards = [float(task.random.random() < 0.5) for _ in group]
        else:
            rewards = majority_vote(answers)
        mean, spread = statistics.fmean(rewards), statistics.stdev(rewards)
        if spread > 0:
            for response, reward in zip(group, rewards):
                for column, value in zip(kept, (prompt, response, (reward - mean) / (spread + 1e-6))):
                    column.append(value)
    clock.lap("reward")
    if options.mode == "rollout" or not kept[0]:
        return result
    result["trained"] = sum(map(len, kept[1]))
    for prompts, answers, advantages in batches(*kept, options.micro_batch):
        logprob = response_logprobs(model, prompts, answers)
        weight = torch.tensor(advantages).repeat_interleave(torch.tensor([len(answer) for answer in answers]))
        # On-policy the ratio is 1 and never clipped; its gradient is that of log pi.
        loss = -(weight * (logprob - logprob.detach()).exp()).sum() / result["trained"]
        clock.lap("forward")
        loss.backward()
        clock.lap("backward")
    optimizer_step(model, optimizer)
    clock.lap("optimizer")
    return result


def pretrain_step(model, optimizer, task, options, clock):
    """One step of next-token training, loss on the responses."""
    prompts, responses = zip(*(task.document() for _ in range(options.batch)))
    tokens = sum(map(len, responses))
    clock.lap("data")
    total = 0.0
    for some_prompts, some_responses, _ in batches(prompts, responses, prompts, options.micro_batch):
        loss = -response_logprobs(model, some_prompts, some_responses).sum() / tokens
        clock.lap("forward")
        loss.backward()
        clock.lap("backward")
        total += loss.item()
    optimizer_step(model, optimizer)
    clock.lap("optimizer")
    return {"trained": tokens, "loss": total}


def keep_freed_memory():
    """Makes glibc keep what is freed. Otherwise every step faults the pages of its activations in again."""
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        library.mallopt(-3, 1 << 30)  # M_MMAP_THRESHOLD
        library.mallopt(-1, -1)  # M_TRIM_THRESHOLD


def gemm_gflops():
    """This machine's ceiling: the fastest of a few products of 1024 x 1024 matrices, in GFLOP/s."""
    a, b = torch.randn(1024, 1024), torch.randn(1024, 1024)
    seconds = []
    for _ in range(12):
        began = time.perf_counter()
        a @ b
        seconds.append(time.perf_counter() - began)
    return 2 * 1024 ** 3 / min(seconds) / 1e9


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--model", metavar="DIR", help="a Hugging Face model folder with a tokenizer of the sorting task")
    source.add_argument("--config", metavar="FILE", help="a config.json; weights are random")
    parser.add_argument("--mode", choices=["rl", "rollout", "pretrain"], default="rl")
    parser.add_argument("--task", choices=["sort"], default="sort")
    parser.add_argument("--reward", choices=["majority-vote", "random"], default="majority-vote",
                        help="random: a coin, so that weights of no skill have something to train on")
    parser.add_argument("--steps", type=int, default=20, help="steps that are timed")
    parser.add_argument("--warm-up", type=int, default=3, help="steps before them")
    parser.add_argument("--problems", type=int, default=64)
    parser.add_argument("--samples", type=int, default=8, help="rollouts of a problem")
    parser.add_argument("--max-new-tokens", type=int, default=24)
    parser.add_argument("--batch", type=int, default=128, help="documents of a pre-training step")
    parser.add_argument("--micro-batch", type=int, default=64, help="sequences in one backward pass; 0: all")
    parser.add_argument("--compact", type=float, default=0.75,
                        help="drop finished sequences when at most this share still runs; 0: never")
    parser.add_argument("--statistics", action="store_true", help="also compute each token's entropy, self-certainty and gap")
    parser.add_argument("--optimizer", choices=["fused", "foreach", "plain"], default="fused")
    parser.add_argument("--compile", action="store_true", help="torch.compile the model")
    parser.add_argument("--learning-rate", type=float, default=5e-4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print nothing but the result, on one line")
    return parser.parse_args()


def main():
    options = arguments()
    keep_freed_memory()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    model = open_model(options.model) if options.model else Qwen3(json.loads(pathlib.Path(options.config).read_text()))
    task = SortTask.of(options.model, model.config, options.seed)
    how = {"fused": {"fused": True}, "foreach": {"foreach": True}, "plain": {"foreach": False}}[options.optimizer]
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.learning_rate, betas=(0.9, 0.95), weight_decay=0.0, **how)
    if options.compile:
        model.forward = torch.compile(model.forward, dynamic=True)
    step_of = pretrain_step if options.mode == "pretrain" else rl_step
    seconds, cpu_seconds, phases, results = [], [], [], []
    for step in range(options.warm_up + options.steps):
        clock = Clock()
        began, cpu_began = clock.last, time.process_time()
        result = step_of(model, optimizer, task, options, clock)
        took = time.perf_counter() - began
        if step >= options.warm_up:
            seconds.append(took)
            cpu_seconds.append(time.process_time() - cpu_began)
            phases.append(clock.seconds)
            results.append(result)
        if not options.json:
            print(f"step {step}: {took:.3f} s, " + ", ".join(f"{name} {value:.4g}" for name, value in result.items()), flush=True)
    median = lambda rows, name: statistics.median(row.get(name, 0) for row in rows)
    report = {
        "peer": "plain_pytorch", "torch": torch.__version__, "mode": options.mode, "threads": options.threads,
        "model": options.model or options.config, "parameters": sum(p.numel() for p in model.parameters()),
        "steps": options.steps, "step_seconds": statistics.median(seconds), "fastest_step_seconds": min(seconds),
        "seconds": seconds, "cpu_seconds": cpu_seconds,
        "phase_seconds": {name: median(phases, name) for name in sorted({name for row in phases for name in row})},
        "gemm_gflops": gemm_gflops(), "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
    if options.mode != "pretrain":
        report["sampled_tokens"] = median(results, "sampled")
        report["sampled_tokens_per_second"] = statistics.median(
            result["sampled"] / (phase["prefill"] + phase["decode"]) for result, phase in zip(results, phases))
    if options.mode != "rollout":
        report["trained_tokens"] = median(results, "trained")
        report["trained_tokens_per_second"] = statistics.median(
            result["trained"] / (phase["forward"] + phase["backward"] + phase["optimizer"]) if result["trained"] else 0.0
            for result, phase in zip(results, phases))
    print(json.dumps(report, indent=None if options.json else 2))


if __name__ == "__main__":
    main()
