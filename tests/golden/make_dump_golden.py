"""Rollout dumps written by the programs themselves, for the readers of src/store/dumps.h.

What each program runs to write its dump is taken from its own source and run here on rollouts whose answers are known:

- verl: RayPPOTrainer._write_generations of the package's file, verl 0.9.1 (the function alone: the package wants
  GPUs);
- TRL: two real GRPO steps (trl 1.16.0, transformers 5.24.0, torch 2.13.0) of the embedded sorting model with
  log_completions, once with plain prompts and once with chat ones; the Parquet files are kept, and their JSON Lines as
  the command makes them that `whet score` names (pandas 3.1.1, pyarrow 26.0.1);
- NeMo-RL: batched_message_log_to_flat_message, BatchedDataDict and Logger.log_batched_dict_as_jsonl of commit 7ea279a,
  in the order of grpo_train's logging block;
- AReaL: WorkflowExecutor._dump_trajectory of commit 4aef98d.

expected.json holds, for each dump and in the order of its rows, the reward of a majority vote and the label of its
group, counted here in Python from the answers that the rollouts were written with.

  python make_dump_golden.py --verl x_verl --nemo-rl NeMo-RL --areal AReaL --model ../../models/sort-strong --out dumps

(--verl: the unpacked wheel; --nemo-rl and --areal: checkouts.)
"""

import argparse
import ast
import asyncio
import collections
import json
import pathlib
import re
import shutil
import sys
import tempfile
import types

STEPS = {
    1: [
        ("What is 15 + 10?", "25", [
            ("Adding them gives \\boxed{25}.", "25"),
            ("15 + 10 = 025, so the answer is \\boxed{025}", "25"),
            ("I add: \u2234 \\boxed{\\frac{50}{2}}", "25"),
            ("It is about \\boxed{24}.", "24"),
        ]),
        ("Wie groß ist 10³?", "1000", [
            ("Also \\boxed{1,000}", "1000"),
            ("\\boxed{100}", "100"),
            ("10 * 10 * 10.\n#### 1000", "1000"),
            ("No idea \U0001f937", None),
        ]),
    ],
    2: [
        ("What is {a} in \"{a: 7}\"?", "7", [
            ("\\boxed{8}", "8"),
            ("{\"a\": 7} so \\boxed{7}", "7"),
            ("\\boxed{8}", "8"),
            ("nothing", None),
        ]),
        ("Say nothing.", None, [
            ("", None),
            ("...", None),
            ("\\boxed{}", None),
            (" ", None),
        ]),
    ],
}


def vote(answers):
    """The largest class; ties to the smallest answer in byte order (no log-probabilities). None: no label."""
    counts = collections.Counter(a for a in answers if a is not None)
    if not counts:
        return None
    return min(counts, key=lambda a: (-counts[a], a.encode()))


def expected_of(rows):
    """rows: (step, prompt, answer) in the order of the dump."""
    groups = collections.defaultdict(list)
    for step, prompt, answer in rows:
        groups[step, prompt].append(answer)
    labels = {key: vote(answers) for key, answers in groups.items()}
    return [{"reward": int(a is not None and a == labels[s, p]), "label": labels[s, p]} for s, p, a in rows]


def function_of(path, name, scope):
    """A function or method of a source file, compiled alone."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == name:
            node.decorator_list = []
            node.returns = None
            for argument in node.args.args:
                argument.annotation = None
            exec(compile(ast.Module([node], []), str(path), "exec"), scope)
            return scope[name]
    raise SystemExit(f"no function {name} in {path}")


def make_verl(source, out):
    import os

    write = function_of(source / "verl/trainer/ppo/ray_trainer.py", "_write_generations", {"os": os, "json": json})
    rows = []
    for step, problems in STEPS.items():
        flat = [(p, label, text, answer) for p, label, rollouts in problems for text, answer in rollouts]
        # Rollouts of a batch need not stand together: every other one first.
        flat = flat[::2] + flat[1::2]
        scores = [float(label is not None and answer == label) for _, label, _, answer in flat]
        extra = {"acc": [s == 1 for s in scores], "pred": [a for *_, a in flat],
                 "format_score": [float("nan")] * len(flat)}
        write([f"user\n{p}\nassistant\n" for p, *_ in flat], [t for _, _, t, _ in flat], [g for _, g, _, _ in flat],
              scores, extra, str(out / "verl"), step)
        rows += [(step, p, a) for p, _, _, a in flat]
    return expected_of(rows)


def make_nemo_rl(source, out):
    import numpy as np
    import os
    import torch

    sys.path.insert(0, str(source))
    from nemo_rl.data.llm_message_utils import batched_message_log_to_flat_message
    from nemo_rl.distributed.batched_data_dict import BatchedDataDict

    log = function_of(source / "nemo_rl/utils/logger.py", "log_batched_dict_as_jsonl",
                      {"os": os, "json": json, "np": np, "torch": torch, "BatchedDataDict": BatchedDataDict})
    (out / "nemo_rl").mkdir()
    rows = []
    for step, problems in STEPS.items():
        logs, rewards = [], []
        for p, label, rollouts in problems:
            for text, answer in rollouts:
                def message(role, content):
                    ids = torch.tensor([b for b in content.encode()], dtype=torch.int64)
                    mask = torch.full_like(ids, 1 if role == "assistant" else 0)
                    logprobs = -0.125 * mask.float()
                    return {"role": role, "content": content, "token_ids": ids, "token_loss_mask": mask,
                            "generation_logprobs": logprobs}
                right = label is not None and answer == label
                rewards.append(float(right))
                logs.append([message("user", p), message("assistant", text or "\n"),
                             message("environment", f"Environment: {'correct' if right else 'incorrect'}")])
                rows.append((step, p, answer))
        flat, lengths = batched_message_log_to_flat_message(logs, {"token_ids": 0})
        rewards = torch.tensor(rewards)
        data = {"content": flat["content"], "rewards": rewards.tolist(), "input_lengths": lengths.tolist(),
                "token_ids": flat["token_ids"].tolist(), "token_loss_mask": flat["token_loss_mask"].tolist(),
                "sample_loss_mask": torch.ones(len(logs)).tolist(),
                "advantages": (flat["token_loss_mask"] * rewards[:, None]).tolist(),
                "generation_logprobs": flat["generation_logprobs"].tolist(),
                "prev_logprobs": flat["generation_logprobs"].tolist()}
        log(types.SimpleNamespace(base_log_dir=str(out / "nemo_rl")), data, f"train_data_step{step}.jsonl")
    return expected_of(rows)


def make_areal(source, out):
    import aiofiles
    import aiofiles.os
    import os
    import torch
    from typing import Any

    dump = function_of(source / "areal/infra/workflow_executor.py", "_dump_trajectory",
                       {"aiofiles": aiofiles, "os": os, "json": json, "Any": Any})

    class Bytes:
        @staticmethod
        def decode(ids, skip_special_tokens):
            return bytes(ids).decode()

    fake = types.SimpleNamespace(_get_dump_dir=lambda is_eval: str(out / "areal"), _get_tokenizer=lambda: Bytes)
    rows, task = [], 0
    for step, problems in STEPS.items():
        for p, label, rollouts in problems:
            prompt = p.encode()
            texts = [text.encode() or b"\n" for text, _ in rollouts]
            width = len(prompt) + max(map(len, texts))
            ids, loss, attention = (torch.zeros(len(texts), width, dtype=torch.int64) for _ in range(3))
            for i, text in enumerate(texts):
                n = len(prompt) + len(text)
                ids[i, :n] = torch.tensor(list(prompt + text))
                loss[i, len(prompt):n] = 1
                attention[i, :n] = 1
            rewards = torch.tensor([float(label is not None and a == label) for _, a in rollouts])
            versions = torch.full_like(ids, step)
            done, why = asyncio.run(dump(fake, {"input_ids": ids, "rewards": rewards, "loss_mask": loss,
                                                "attention_mask": attention, "versions": versions}, task, False))
            if not done:
                raise SystemExit(why)
            task += 1
            rows += [(step, p, a) for _, a in rollouts]
    return expected_of(rows)


def make_trl(model_path, out, chat):
    import pandas
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import GRPOConfig, GRPOTrainer

    tokenizer = AutoTokenizer.from_pretrained(model_path)
    tokenizer.pad_token = tokenizer.eos_token
    tokenizer.chat_template = "{% for m in messages %}{{ m['content'] }}{% endfor %}"
    prompts = ["7402?", "9183726?", "55021?", "31?", "86420975?", "110?", "4096?", "271828?"]
    data = [{"prompt": [{"role": "user", "content": p}] if chat else p, "digits": p[:-1]} for p in prompts]

    def sorted_reward(completions, digits, **_):
        texts = [c if isinstance(c, str) else c[0]["content"] for c in completions]
        return [float(t == "#" + "".join(sorted(d))) for t, d in zip(texts, digits)]

    def unknown(completions, **_):  # a reward that does not apply
        return [None] * len(completions)

    with tempfile.TemporaryDirectory() as folder:
        config = GRPOConfig(output_dir=folder, per_device_train_batch_size=8, num_generations=4,
                            max_completion_length=16, max_steps=2, logging_steps=1,
                            log_completions=True, report_to=[], use_cpu=True, seed=3,
                            temperature=1.6, save_strategy="no", disable_tqdm=True, learning_rate=1e-4)
        trainer = GRPOTrainer(AutoModelForCausalLM.from_pretrained(model_path), [sorted_reward, unknown], config,
                              train_dataset=Dataset.from_list(data), processing_class=tokenizer)
        trainer.train()
        name = "trl_chat" if chat else "trl"
        (out / name).mkdir()
        if not chat:
            for file in sorted(pathlib.Path(folder, "completions").glob("*.parquet")):
                shutil.copy(file, out / "trl_parquet" / file.name)
        frame = pandas.read_parquet(pathlib.Path(folder, "completions"))
        with open(out / name / "completions.jsonl", "w") as file:
            frame.to_json(file, orient="records", lines=True, double_precision=15)
    rows = []
    for step, prompt, completion in zip(frame["step"], frame["prompt"], frame["completion"]):
        prompt = prompt[0]["content"] if chat else prompt
        text = completion[0]["content"] if chat else completion
        found = re.fullmatch(r"#(\d+)", text)
        rows.append((int(step), prompt, found[1] if found else None))
    return expected_of(rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("verl", "nemo-rl", "areal", "model", "out"):
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    shutil.rmtree(arguments.out, ignore_errors=True)
    (arguments.out / "trl_parquet").mkdir(parents=True)
    expected = {
        "verl": make_verl(arguments.verl, arguments.out),
        "nemo_rl": make_nemo_rl(arguments.nemo_rl, arguments.out),
        "areal": make_areal(arguments.areal, arguments.out),
        "trl": make_trl(str(arguments.model), arguments.out, chat=False),
        "trl_chat": make_trl(str(arguments.model), arguments.out, chat=True),
    }
    (arguments.out / "expected.json").write_text(json.dumps(expected, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
