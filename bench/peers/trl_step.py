"""The peer: whole steps of TRL's GRPOTrainer on the CPU, on-policy, float32, with the settings that were fastest here.

    trl_step.py --model DIR --problems FILE --reward majority-vote|random --max-new-tokens 24 --steps 5

Prints one JSON object. What of TRL's defaults is changed, and why, stands at GRPOConfig below.
"""
import argparse
import os
import random
import statistics
import tempfile
import time

os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_VERBOSITY="error", HF_DATASETS_DISABLE_PROGRESS_BARS="1",
                  TRL_EXPERIMENTAL_SILENCE="1", CUDA_VISIBLE_DEVICES="")
from peer_common import majority_vote, read_problems, report

import datasets
import torch
import transformers
import trl


class StepClock(transformers.TrainerCallback):
    """Seconds from the end of one step to the end of the next: everything that a user waits for."""

    def __init__(self):
        self.seconds, self.cpu_seconds, self.last = [], [], None

    def on_train_begin(self, *_, **__):
        self.last = time.perf_counter(), time.process_time()

    def on_step_end(self, *_, **__):
        now = time.perf_counter(), time.process_time()
        self.seconds.append(now[0] - self.last[0])
        self.cpu_seconds.append(now[1] - self.last[1])
        self.last = now


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--problems", required=True, help="JSON lines {prompt}: the problems of every step")
    parser.add_argument("--reward", choices=["majority-vote", "random"], default="majority-vote")
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--max-new-tokens", type=int, default=24)
    parser.add_argument("--micro-batch", type=int, default=64, help="sequences in a backward pass")
    parser.add_argument("--steps", type=int, default=5, help="steps that are timed")
    parser.add_argument("--warm-up", type=int, default=1)
    parser.add_argument("--learning-rate", type=float, default=1e-6)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cache", default=None, help="generate's cache_implementation")
    parser.add_argument("--bfloat16", action="store_true", help="TRL's default precision, by autocast")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    transformers.utils.logging.disable_progress_bar()
    datasets.disable_progress_bars()

    prompts = read_problems(options.problems)
    rollouts = len(prompts) * options.samples
    micro_batch = min(options.micro_batch, rollouts)
    coin = random.Random(0)
    counts = []

    def reward(completions, completion_ids, **_):
        counts.append(sum(map(len, completion_ids)))
        if options.reward == "random":
            return [float(coin.random() < 0.5) for _ in completions]
        return majority_vote(completions, options.samples)

    clock = StepClock()
    steps = options.warm_up + options.steps
    with tempfile.TemporaryDirectory() as folder:
        trainer = trl.GRPOTrainer(
            model=transformers.AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.float32, attn_implementation="sdpa"),
            processing_class=transformers.AutoTokenizer.from_pretrained(options.model),
            reward_funcs=reward,
            train_dataset=datasets.Dataset.from_dict({"prompt": prompts}),
            callbacks=[clock],
            args=trl.GRPOConfig(
                output_dir=folder, max_steps=steps, use_cpu=True, seed=0,
                # One update on one generation of all rollouts: on-policy, so that TRL needs no second forward pass.
                per_device_train_batch_size=micro_batch, gradient_accumulation_steps=rollouts // micro_batch,
                steps_per_generation=rollouts // micro_batch, num_generations=options.samples, num_iterations=1,
                max_completion_length=options.max_new_tokens, temperature=1.0, top_p=1.0, top_k=0, beta=0.0,
                cache_implementation=options.cache,
                # Defaults that cost time on a CPU: mixed precision, gradients computed anew, logs, checkpoints.
                bf16=options.bfloat16, gradient_checkpointing=False, logging_strategy="no", save_strategy="no", report_to="none",
                disable_tqdm=True, dataloader_pin_memory=False,
                optim="adamw_torch_fused", learning_rate=options.learning_rate, lr_scheduler_type="constant",
                weight_decay=0.01, max_grad_norm=1.0))
        # Every trainer logs what it trained at the end; nobody reads it here.
        trainer.remove_callback(transformers.trainer_callback.PrinterCallback)
        trainer.train()
    if len(clock.seconds) != steps or len(counts) != steps:
        raise SystemExit(f"wanted {steps} steps with one generation each, got {len(clock.seconds)} and {len(counts)}")
    report(peer="trl", versions={"trl": trl.__version__, "transformers": transformers.__version__, "torch": torch.__version__},
           seconds=clock.seconds[options.warm_up:], cpu_seconds=clock.cpu_seconds[options.warm_up:],
           step_seconds=statistics.median(clock.seconds[options.warm_up:]),
           sampled_tokens=counts[options.warm_up:], rollouts=rollouts, micro_batch=micro_batch, threads=options.threads)


if __name__ == "__main__":
    main()
