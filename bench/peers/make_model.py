"""Writes the model that all programs of a comparison run: a Hugging Face folder with random weights, seed 0.

    make_model.py DIR --hidden-size 320 --layers 8 --heads 10 --key-value-heads 5 --head-dim 32 \
        --intermediate-size 832 --vocabulary 4096

A response must have the same length in every program, whatever it draws, and none of them shall be told to forbid the end. So
the weights forbid it: the first number of a hidden state says nothing but "here is a token" (every embedding has the same
one, no layer reads or writes it), and the end token's row of the head points the other way. Its probability is below 1e-9
everywhere; all other tokens stay as random weights have them.
"""
import argparse
import json
import pathlib

import torch
import transformers

CHARACTERS = "#0123456789=?FTv"
END = "<|endoftext|>"
CONSTANT, AWAY = 0.5, -4.0


def write_tokenizer(folder, size):
    """The characters of the sorting task, the end at 0, and words that no text contains up to the vocabulary's size."""
    vocabulary = {END: 0, **{character: 1 + index for index, character in enumerate(CHARACTERS)}}
    vocabulary.update({f"w{number:06d}": number for number in range(len(vocabulary), size)})
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    (folder / "tokenizer.json").write_text(json.dumps({
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [{"id": 0, "content": END, "single_word": False, "lstrip": False, "rstrip": False,
                          "normalized": False, "special": True}],
        "normalizer": None, "pre_tokenizer": byte_level, "post_processor": None, "decoder": byte_level,
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                  "vocab": vocabulary, "merges": []}}))
    (folder / "tokenizer_config.json").write_text(json.dumps({
        "tokenizer_class": "PreTrainedTokenizerFast", "eos_token": END, "pad_token": END,
        "clean_up_tokenization_spaces": False}))


@torch.no_grad()
def forbid_end(model):
    constant = 0
    embedding, head = model.model.embed_tokens.weight, model.lm_head.weight
    embedding[:, constant] = CONSTANT
    for layer in model.model.layers:
        for norm in (layer.input_layernorm, layer.post_attention_layernorm):
            norm.weight[constant] = 0
        for product in (layer.self_attn.o_proj, layer.mlp.down_proj):
            product.weight[constant] = 0
    head[0] = 0
    head[0, constant] = AWAY


def make(folder, shape):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    model = transformers.Qwen3ForCausalLM(transformers.Qwen3Config(
        vocab_size=shape["vocabulary"], hidden_size=shape["hidden_size"], intermediate_size=shape["intermediate_size"],
        num_hidden_layers=shape["layers"], num_attention_heads=shape["heads"],
        num_key_value_heads=shape["key_value_heads"], head_dim=shape["head_dim"], max_position_embeddings=2048,
        tie_word_embeddings=shape["tied"], initializer_range=0.02, rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
        eos_token_id=0, bos_token_id=None, pad_token_id=None, dtype=torch.float32))
    forbid_end(model)
    model.save_pretrained(folder)
    (folder / "generation_config.json").write_text('{"eos_token_id": 0}\n')
    write_tokenizer(folder, shape["vocabulary"])
    return sum(parameter.numel() for parameter in model.parameters())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder")
    for name in ("hidden-size", "layers", "heads", "key-value-heads", "head-dim", "intermediate-size", "vocabulary"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--tied", action="store_true", help="the head is the embedding")
    options = vars(parser.parse_args())
    print(f"{make(options.pop('folder'), options)} parameters")


if __name__ == "__main__":
    main()
