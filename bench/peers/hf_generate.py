"""The peer: transformers' generate for the rollouts of a step: one batch, cache of keys and values, temperature 1.

    hf_generate.py --model DIR --problems FILE --max-new-tokens 24 --steps 5

Prints one JSON object.
"""
import argparse
import os
import statistics
import time

os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_VERBOSITY="error", CUDA_VISIBLE_DEVICES="")
from peer_common import read_problems, report

import torch
import transformers


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--problems", required=True, help="JSON lines {prompt}")
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--max-new-tokens", type=int, default=24)
    parser.add_argument("--steps", type=int, default=5, help="batches that are timed")
    parser.add_argument("--warm-up", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cache", default=None, help="generate's cache_implementation")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    transformers.utils.logging.disable_progress_bar()
    model = transformers.AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.float32, attn_implementation="sdpa").eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(options.model, padding_side="left")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    prompts = read_problems(options.problems)
    seconds, cpu_seconds, counts = [], [], []
    for step in range(options.warm_up + options.steps):
        began = time.perf_counter(), time.process_time()
        batch = tokenizer(prompts, return_tensors="pt", padding=True)
        with torch.inference_mode():
            done = model.generate(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], do_sample=True,
                                  temperature=1.0, top_p=1.0, top_k=0, num_return_sequences=options.samples,
                                  max_new_tokens=options.max_new_tokens, pad_token_id=tokenizer.pad_token_id,
                                  cache_implementation=options.cache, disable_compile=True)
        responses = done[:, batch["input_ids"].shape[1]:]
        ended = (responses == tokenizer.eos_token_id).int().cumsum(1)
        counts.append(int((ended == 0).sum() + (ended[:, -1] > 0).sum()))
        seconds.append(time.perf_counter() - began[0])
        cpu_seconds.append(time.process_time() - began[1])
    report(peer="generate", versions={"transformers": transformers.__version__, "torch": torch.__version__},
           seconds=seconds[options.warm_up:], cpu_seconds=cpu_seconds[options.warm_up:],
           rollout_seconds=statistics.median(seconds[options.warm_up:]),
           sampled_tokens=counts[options.warm_up:], threads=options.threads)


if __name__ == "__main__":
    main()
