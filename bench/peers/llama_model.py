"""llama.cpp as a peer: the same weights in its file format, and llama-batched-bench at the rollouts of a step."""
import json
import math
import pathlib
import re
import struct

import gguf
import numpy

# llama.cpp holds at most this many sequences at once (LLAMA_MAX_SEQ).
MAX_SEQUENCES = 256
NAMES = {"input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
         "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
         "post_attention_layernorm": "ffn_norm", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down"}
WHOLE = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight", "lm_head.weight": "output.weight"}


def gguf_name(name):
    """Hugging Face's name of a Qwen3 weight -> llama.cpp's."""
    if name in WHOLE:
        return WHOLE[name]
    layer, part = re.fullmatch(r"model\.layers\.(\d+)\.(.*)\.weight", name).groups()
    return f"blk.{layer}.{NAMES[part]}.weight"


def convert(folder, file):
    """Writes float32 weights, without a tokenizer: the bench makes its own tokens."""
    folder = pathlib.Path(folder)
    config = json.loads((folder / "config.json").read_text())
    theta = config["rope_theta"] if "rope_theta" in config else config["rope_parameters"]["rope_theta"]
    writer = gguf.GGUFWriter(str(file), "qwen3")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_key_length(config["head_dim"])
    writer.add_value_length(config["head_dim"])
    writer.add_rope_freq_base(theta)
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_tokenizer_model("none")
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    data = (folder / "model.safetensors").read_bytes()
    (length,) = struct.unpack_from("<Q", data)
    for name, entry in json.loads(data[8:8 + length]).items():
        if name == "__metadata__" or name == "lm_head.weight" and config["tie_word_embeddings"]:
            continue
        if entry["dtype"] != "F32":
            raise SystemExit(f"{folder}: {name} is {entry['dtype']}, want F32")
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        writer.add_tensor(gguf_name(name), numpy.frombuffer(data[begin:end], numpy.float32).reshape(entry["shape"]))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def batched_bench(run, tool, file, work, samples, steps):
    """(seconds of decoding the rollouts of a step, tokens of a step, memory, sequences at once), `steps` times.

    Generous to llama.cpp: neither its prefill nor sampling, which the tool does not do, is counted.
    """
    prompts = [json.loads(line)["prompt"] for line in work.file.read_text().splitlines()]
    prompt = round(sum(map(len, prompts)) / len(prompts))
    sequences = len(prompts) * samples
    parallel = min(sequences, MAX_SEQUENCES)
    goes = math.ceil(sequences / parallel)
    context = parallel * 256 * math.ceil((prompt + work.tokens) / 256)
    output, usage, _ = run(
        [tool, "-m", file, "-c", context, "-b", 2048, "-ub", 512, "-npp", prompt, "-ntg", work.tokens,
         "-npl", ",".join([str(parallel)] * goes * (steps + 1)), "-t", work.threads, "-tb", work.threads, "--output-format", "jsonl"],
        work.limit)
    rows = [json.loads(line) for line in output.splitlines() if line.startswith('{"n_kv_max"')]
    timed = [rows[first:first + goes] for first in range(goes, len(rows), goes)]
    seconds = [sum(row["t_tg"] for row in go) for go in timed]
    return seconds, [sum(row["pl"] * row["tg"] for row in go) for go in timed], usage.memory, parallel
