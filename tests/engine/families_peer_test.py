"""The engine against transformers, live: random checkpoints of every family and variant, written by transformers.

Needs a Python that can import transformers and torch: this one, the project's .venv, or $WHET_PEER_PYTHON. Without one the
test is skipped. With arguments it is that Python's part, and prints the parity table of docs/models.md:

    python tests/engine/families_peer_test.py --tool build/whet_peer_tool [--seeds 3]
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
LIMIT = 1e-4  # largest difference, relative to the largest magnitude of the tensor


def python_with_transformers():
    for candidate in (os.environ.get("WHET_PEER_PYTHON"), sys.executable, str(SOURCE / ".venv/bin/python")):
        if not candidate or not os.path.exists(candidate):
            continue
        probe = subprocess.run([candidate, "-c", "import transformers, torch"], capture_output=True)
        if probe.returncode == 0:
            return candidate
    return None


class PeerTest(unittest.TestCase):
    def test_the_engine_computes_what_transformers_computes(self):
        python = python_with_transformers()
        if python is None:
            self.skipTest("no Python with transformers found (set WHET_PEER_PYTHON to one)")
        tool = pathlib.Path(os.environ["WHET_BINARY_DIR"]) / "whet_peer_tool"
        if not tool.exists():
            self.skipTest("built without the engine: there is no whet_peer_tool")
        done = subprocess.run([python, __file__, "--tool", tool], capture_output=True, text=True)
        print(done.stdout)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


def relative(got, wanted):
    return ((got.double() - wanted.double()).abs().max() / wanted.double().abs().max().clamp_min(1e-30)).item()


def compare(families, name, seed, tool, folder):
    """Largest relative differences of one random checkpoint."""
    import torch
    import transformers
    from safetensors.torch import load_file

    folder = pathlib.Path(folder)
    model = families.random_model(name, seed)
    families.save(model, name, folder / "model")
    generator = torch.Generator().manual_seed(seed)
    vocabulary = families.SIZES["vocab_size"]
    sequences = [torch.randint(vocabulary, (length,), generator=generator).tolist() for length in (2, 9, 24, 31)]
    (folder / "sequences.json").write_text(json.dumps(sequences))
    subprocess.run([tool, folder / "model", folder / "sequences.json", folder / "out", "9000"], check=True)

    actual = load_file(folder / "out/actual.safetensors")
    logits, loss = families.run(model, sequences)
    gradients = families.gradients(model, loss)
    found = {
        "logits": max(relative(actual[f"logits.{i}"], wanted) for i, wanted in enumerate(logits)),
        "gradients": max(relative(actual[f"gradient.{weight}"], wanted) for weight, wanted in gradients.items()),
        "sampled": actual["sampled"].item(),
    }
    unknown = {key for key in actual if key.startswith("gradient.")} - {f"gradient.{weight}" for weight in gradients}
    assert not unknown, unknown

    def logits_of(saved):
        loaded, report = transformers.AutoModelForCausalLM.from_pretrained(
            folder / "out" / saved, dtype=torch.float32, output_loading_info=True
        )
        assert not any(report.values()), report
        return families.run(loaded.eval(), sequences)[0]

    found["saved"] = max(relative(a, b) for a, b in zip(logits_of("saved"), logits))
    stored = {tensor.dtype for file in (folder / "out/saved_bfloat16").glob("*.safetensors") for tensor in load_file(file).values()}
    assert stored == {torch.bfloat16}, stored
    found["bfloat16"] = max(relative(actual[f"bfloat16.{i}"], wanted) for i, wanted in enumerate(logits_of("saved_bfloat16")))
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tool", required=True)
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args()
    sys.path.insert(0, str(SOURCE / "tests/golden"))
    os.environ["TQDM_DISABLE"] = "1"
    import make_families as families
    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    torch.set_num_threads(1)
    print(f"transformers {transformers.__version__}, PyTorch {torch.__version__}, {options.seeds} random checkpoints each\n")
    print("| checkpoint | file | logits | gradients | sampler to update | written, then read by transformers | in bfloat16 |")
    print("|---|---|---|---|---|---|---|")
    good = True
    for name, (_, _, dtype, shard) in families.VARIANTS.items():
        worst = {}
        for seed in range(1001, 1001 + options.seeds):
            with tempfile.TemporaryDirectory() as folder:
                for key, value in compare(families, name, seed, options.tool, folder).items():
                    worst[key] = max(value, worst.get(key, 0.0))
        file = dtype + (", shards" if shard else "")
        print(f"| {name} | {file} | " + " | ".join(f"{worst[k]:.1e}" for k in ("logits", "gradients", "sampled")) + " | "
              + ("equal" if worst["saved"] == 0 else f"{worst['saved']:.1e}") + f" | {worst['bfloat16']:.1e} |", flush=True)
        good = good and all(value <= LIMIT for value in worst.values()) and worst["saved"] == 0
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    if "--tool" in sys.argv:
        main()
    else:
        unittest.main()
