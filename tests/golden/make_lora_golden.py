"""Writes a LoRA adapter over qwen3_untied as PEFT saves it, and the gradients that PEFT and transformers compute for it.

    pip install torch==2.13.0 transformers==5.24.0 peft==0.21.2
    python tests/golden/make_lora_golden.py

tests/golden/qwen3_lora/expected_gradients.safetensors has dLoss/dA and dLoss/dB under the names of
adapter_model.safetensors; loss.json the loss: the mean over all next tokens of the sequences of make_qwen3_golden.py of
-log p(next token). Computed in float32 by the plain classes.
"""

import json
import pathlib

import peft
import torch
import transformers
from safetensors.torch import load_file, save_file

from make_qwen3_golden import SEQUENCES, run

HERE = pathlib.Path(__file__).parent
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def main():
    torch.manual_seed(3)
    base = transformers.AutoModelForCausalLM.from_pretrained(HERE / "qwen3_untied", dtype=torch.float32)
    config = peft.LoraConfig(r=3, lora_alpha=5, target_modules=TARGETS, task_type="CAUSAL_LM")
    model = peft.get_peft_model(base, config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.copy_(0.2 * torch.randn_like(parameter))
    folder = HERE / "qwen3_lora"
    model.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)
    stored = json.loads((folder / "adapter_config.json").read_text())
    stored["base_model_name_or_path"] = "../qwen3_untied"
    stored["target_modules"] = sorted(stored["target_modules"])  # a set: its order would change from run to run
    (folder / "adapter_config.json").write_text(json.dumps(stored, indent=2, sort_keys=True) + "\n")
    model.eval()
    _, loss = run(model)
    loss.backward()
    gradients = {n.replace(".default", ""): p.grad.contiguous() for n, p in model.named_parameters() if "lora_" in n}
    assert gradients.keys() == load_file(folder / "adapter_model.safetensors").keys()
    made_by = {"generator": "tests/golden/make_lora_golden.py", "torch": torch.__version__,
               "transformers": transformers.__version__, "peft": peft.__version__}
    save_file(gradients, folder / "expected_gradients.safetensors", metadata={"made_by": json.dumps(made_by)})
    (folder / "loss.json").write_text(json.dumps({"made_by": made_by, "loss": loss.item(), "tokens": sum(map(len, SEQUENCES))}) + "\n")


if __name__ == "__main__":
    main()
