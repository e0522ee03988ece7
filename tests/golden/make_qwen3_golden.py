"""Writes two tiny random Qwen3 checkpoints and what transformers computes with them.

    pip install torch==2.13.0 transformers==5.24.0 tokenizers==0.23.3
    python tests/golden/make_qwen3_golden.py

Each of tests/golden/qwen3_{untied,tied} is a Hugging Face folder as transformers saves it (float32), and beside it
  expected.json                   the sequences, their logits and the loss
  expected_gradients.safetensors  dLoss/dweight of every weight in the file, under its name
The values are computed in float64 from the float32 weights, one sequence at a time (no padding). transformers casts to
float32 inside norms and rotary positions even in a float64 model, so those casts are lifted while it computes; the
plain float32 model must agree within float32's accuracy or nothing is written. The loss is the mean over all next
tokens of all sequences of -log p(next token).
"""

import contextlib
import json
import pathlib
import platform

import tokenizers
import torch
import transformers
from safetensors.torch import save_file

HERE = pathlib.Path(__file__).parent
SEQUENCES = [
    [0, 5, 17, 17, 46, 3, 29, 11, 40],
    [47, 1, 2, 33],
    [8, 21, 13, 34, 8, 21, 13, 34, 8, 21, 13, 34, 2],
]


def sigfig(value, digits=12):
    return float(f"{value:.{digits}g}")


@contextlib.contextmanager
def casts_to_float32_are_to_float64():
    saved = torch.float32, torch.float, torch.Tensor.float
    torch.float32 = torch.float = torch.float64
    torch.Tensor.float = torch.Tensor.double
    try:
        yield
    finally:
        torch.float32, torch.float, torch.Tensor.float = saved


def run(model):
    """Logits of each sequence, and the loss."""
    logits, losses, count = [], [], 0
    for sequence in SEQUENCES:
        ids = torch.tensor([sequence])
        out = model(input_ids=ids, use_cache=False).logits[0]
        logits.append(out)
        log_p = torch.log_softmax(out[:-1], dim=-1)
        losses.append(-log_p.gather(1, ids[0, 1:, None]).sum())
        count += len(sequence) - 1
    return logits, torch.stack(losses).sum() / count


def make(name, tied, seed):
    torch.manual_seed(seed)
    config = transformers.Qwen3Config(
        vocab_size=48,
        hidden_size=32,
        intermediate_size=56,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=12,
        max_position_embeddings=64,
        rope_parameters={"rope_type": "default", "rope_theta": 1e6},
        rms_norm_eps=1e-5,
        tie_word_embeddings=tied,
        eos_token_id=0,
        # Large enough that attention and probabilities are far from uniform, so that a mistake shows.
        initializer_range=0.15,
    )
    model = transformers.Qwen3ForCausalLM(config)
    with torch.no_grad():
        for parameter_name, parameter in model.named_parameters():
            if parameter.dim() == 1:  # norms: away from their initial 1
                parameter.copy_(1 + 0.3 * torch.randn_like(parameter))
    model.generation_config.eos_token_id = [0, 7]

    folder = HERE / name
    folder.mkdir(exist_ok=True)
    model.save_pretrained(folder)

    model.eval()
    plain_logits, plain_loss = run(model)
    plain_loss.backward()
    plain_gradients = {n: p.grad.clone() for n, p in model.named_parameters()}
    model.zero_grad()

    model = model.double()
    exponent = torch.arange(0, config.head_dim, 2, dtype=torch.float64) / config.head_dim
    model.model.rotary_emb.inv_freq = 1.0 / (1e6**exponent)
    with casts_to_float32_are_to_float64():
        logits, loss = run(model)
        loss.backward()
    assert all(out.dtype == torch.float64 for out in logits)
    worst = max((a - b).abs().max().item() for a, b in zip(logits, plain_logits))
    worst_gradient = max((p.grad - plain_gradients[n]).abs().max().item() for n, p in model.named_parameters())
    assert worst < 2e-5 and worst_gradient < 2e-5, (worst, worst_gradient)
    print(f"{name}: largest difference to float32: logits {worst:.1e}, gradients {worst_gradient:.1e}")

    gradients = {n: p.grad.float().contiguous() for n, p in model.named_parameters()}
    made_by = {
        "generator": "tests/golden/make_qwen3_golden.py",
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "tokenizers": tokenizers.__version__,
        "python": platform.python_version(),
    }
    # One entry of metadata: the library writes several in random order.
    save_file(gradients, folder / "expected_gradients.safetensors", metadata={"made_by": json.dumps(made_by)})
    expected = {
        "made_by": made_by,
        "sequences": SEQUENCES,
        "loss": sigfig(loss.item(), 15),
        "logits": [[[sigfig(x) for x in row] for row in out.tolist()] for out in logits],
    }
    (folder / "expected.json").write_text(json.dumps(expected, separators=(",", ":")) + "\n")
    print(name, "loss", loss.item())


if __name__ == "__main__":
    make("qwen3_untied", tied=False, seed=1)
    make("qwen3_tied", tied=True, seed=2)
