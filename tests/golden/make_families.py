"""Writes tiny random checkpoints of every family and variant, and what transformers computes with them.

    pip install torch==2.13.0 transformers==5.24.0 safetensors==0.8.0
    python tests/golden/make_families.py

Each of tests/golden/families/NAME is a Hugging Face folder as transformers saves it, and beside it
  expected.safetensors  logits.0, logits.1, ... of the sequences; gradient.WEIGHT, dLoss/dWEIGHT of every weight of the file;
                        in the metadata the sequences, the loss and the versions
The values are computed in float64 from the weights of the file, one sequence at a time (no padding), with the casts to
float32 that transformers makes inside norms lifted (make_qwen3_golden.py); its plain float32 model must agree within
float32's accuracy or nothing is written. The loss is the mean over all next tokens of all sequences of -log p(next token).

tests/engine/families_peer_test.py imports VARIANTS and runs the same models, with other weights, live.
"""

import json
import pathlib
import platform
import shutil

import torch
import transformers
from safetensors.torch import save_file

from make_qwen3_golden import casts_to_float32_are_to_float64

HERE = pathlib.Path(__file__).parent
# The second and third are longer than every window below, and longer than the original lengths of the scaled positions.
SEQUENCES = [
    [0, 5, 17, 26, 3],
    [27, 1, 2, 13, 22, 9, 8, 3, 3, 14, 5, 19, 28, 6],
    [8, 21, 13, 4, 8, 21, 13, 4, 8, 21, 13, 4, 2, 11, 24, 7, 18, 20, 10, 15, 12],
]

SIZES = dict(
    vocab_size=29,
    hidden_size=16,
    intermediate_size=18,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    max_position_embeddings=48,
    rms_norm_eps=1e-5,
    bos_token_id=1,
    eos_token_id=0,
    pad_token_id=None,  # nn.Embedding gives a padding token no gradient; this engine never pads
    # Large enough that attention and probabilities are far from uniform, so that a mistake shows.
    initializer_range=0.3,
)
LLAMA3 = dict(
    rope_type="llama3", factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=12
)

# name: (family, fields that differ from SIZES, dtype of the file, maximal shard size)
VARIANTS = {
    "qwen2": ("Qwen2", {}, "float32", None),
    "qwen2_tied_bfloat16": ("Qwen2", dict(tie_word_embeddings=True), "bfloat16", None),
    "qwen2_window": (
        "Qwen2",
        dict(use_sliding_window=True, sliding_window=5, max_window_layers=1, num_hidden_layers=3),
        "float16",
        None,
    ),
    "qwen3_window": (
        "Qwen3",
        dict(
            use_sliding_window=True,
            sliding_window=3,
            layer_types=["sliding_attention", "full_attention"],
            head_dim=6,
            attention_bias=True,
        ),
        "float32",
        None,
    ),
    "llama": ("Llama", {}, "float32", None),  # as TinyLlama
    "llama_tied": ("Llama", dict(tie_word_embeddings=True, num_attention_heads=2, num_key_value_heads=1), "float16", None),
    "llama_llama3": ("Llama", dict(rope_parameters=dict(LLAMA3, rope_theta=5e5), head_dim=8), "bfloat16", "6KB"),
    "llama_linear": ("Llama", dict(rope_parameters=dict(rope_type="linear", factor=2.5, rope_theta=1e4)), "float32", None),
    "llama_dynamic": ("Llama", dict(rope_parameters=dict(rope_type="dynamic", factor=2.0, rope_theta=1e4)), "float16", None),
    "llama_biases": ("Llama", dict(attention_bias=True, mlp_bias=True), "float32", None),
    "qwen2_yarn": (
        "Qwen2",
        dict(
            rope_parameters=dict(
                rope_type="yarn", factor=4.0, original_max_position_embeddings=12, rope_theta=1e4
            ),
            num_attention_heads=2,
            num_key_value_heads=2,
            head_dim=12,
        ),
        "bfloat16",
        None,
    ),
    "qwen3_yarn_options": (
        "Qwen3",
        dict(
            rope_parameters=dict(
                rope_type="yarn",
                factor=3.0,
                original_max_position_embeddings=16,
                rope_theta=2e4,
                beta_fast=4.0,
                beta_slow=0.5,
                mscale=0.8,
                mscale_all_dim=0.3,
                truncate=False,
            ),
            head_dim=10,
        ),
        "float16",
        None,
    ),
    "mistral": ("Mistral", dict(sliding_window=None, head_dim=6), "float32", None),
    "mistral_window": ("Mistral", dict(sliding_window=4), "bfloat16", None),
    "olmo2": ("Olmo2", {}, "float32", None),
    "olmo2_tied": ("Olmo2", dict(tie_word_embeddings=True, num_key_value_heads=4, attention_bias=True), "bfloat16", "5KB"),
    "qwen3_tied_bfloat16": ("Qwen3", dict(tie_word_embeddings=True, head_dim=6), "bfloat16", None),
}


def config_of(name):
    family, fields, _, _ = VARIANTS[name]
    return getattr(transformers, family + "Config")(**{**SIZES, **fields})


def random_model(name, seed):
    """A model with the variant's file's precision: its float32 weights are exactly representable there."""
    torch.manual_seed(seed)
    config = config_of(name)
    model = getattr(transformers, VARIANTS[name][0] + "ForCausalLM")(config)
    with torch.no_grad():
        for parameter_name, parameter in model.named_parameters():
            if parameter.dim() == 1:  # norms away from their initial 1, biases from 0
                start = 0.0 if parameter_name.endswith("bias") else 1.0
                parameter.copy_(start + 0.3 * torch.randn_like(parameter))
            parameter.copy_(parameter.to(getattr(torch, VARIANTS[name][2])).float())
    return model.eval()


def save(model, name, folder):
    _, _, dtype, shard = VARIANTS[name]
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    stored = type(model)(model.config).to(getattr(torch, dtype))
    stored.load_state_dict(model.state_dict())
    stored.generation_config.eos_token_id = [0, 7]
    stored.save_pretrained(folder, **({"max_shard_size": shard} if shard else {}))


def run(model, sequences=SEQUENCES):
    """Logits of each sequence, and the loss."""
    logits, losses, count = [], [], 0
    for sequence in sequences:
        ids = torch.tensor([sequence])
        out = model(input_ids=ids, use_cache=False).logits[0]
        logits.append(out)
        log_p = torch.log_softmax(out[:-1], dim=-1)
        losses.append(-log_p.gather(1, ids[0, 1:, None]).sum())
        count += len(sequence) - 1
    return logits, torch.stack(losses).sum() / count


def gradients(model, loss):
    model.zero_grad()
    loss.backward()
    return {name: parameter.grad.clone() for name, parameter in model.named_parameters()}


def make(name, seed):
    folder = HERE / "families" / name
    model = random_model(name, seed)
    save(model, name, folder)
    plain_logits, plain_loss = run(model)
    plain_gradients = gradients(model, plain_loss)
    model = model.double()
    with casts_to_float32_are_to_float64():
        logits, loss = run(model)
        exact_gradients = gradients(model, loss)
    assert all(out.dtype == torch.float64 for out in logits)
    largest = lambda tensors: max(t.abs().max().item() for t in tensors)
    worst = max((a - b).abs().max().item() for a, b in zip(logits, plain_logits)) / largest(logits)
    worst_gradient = max(
        (exact_gradients[n] - g).abs().max().item() / exact_gradients[n].abs().max().item()
        for n, g in plain_gradients.items()
    )
    assert worst < 1e-5 and worst_gradient < 1e-4, (name, worst, worst_gradient)
    expected = {f"logits.{i}": out.detach().float().contiguous() for i, out in enumerate(logits)}
    for weight, gradient in exact_gradients.items():
        expected[f"gradient.{weight}"] = gradient.float().contiguous()
    about = {
        "generator": "tests/golden/make_families.py",
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "python": platform.python_version(),
        "sequences": SEQUENCES,
        "loss": loss.item(),
    }
    # One entry of metadata: the library writes several in random order.
    save_file(expected, folder / "expected.safetensors", metadata={"about": json.dumps(about)})
    size = sum(file.stat().st_size for file in folder.iterdir())
    print(f"{name}: {size} bytes, loss {loss.item():.6f}, float32 differs by {worst:.1e} (logits), {worst_gradient:.1e} (gradients)")
    return size


if __name__ == "__main__":
    print(sum(make(name, seed) for seed, name in enumerate(VARIANTS, start=1)), "bytes in all")
