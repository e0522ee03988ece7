"""A Qwen3-shaped decoder in plain PyTorch: the model that the peers in this folder run.

Written as an engineer would who cares for speed but writes no kernels: one product for queries, keys and values, one
for the MLP's gate and up halves, PyTorch's own attention, a preallocated cache. Weights are those of a Hugging Face
model folder. Shapes: B sequences, S positions, d hidden size, H heads, K key-value heads, D head size.
"""
import json
import pathlib
import struct

import torch
import torch.nn.functional as F
from torch import nn

DTYPES = {"F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16}


def read_safetensors(path):
    """name -> float32 tensor: an 8-byte header length, a JSON header of offsets, then the bytes."""
    data = bytearray(pathlib.Path(path).read_bytes())
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8:8 + length])
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        tensor = torch.frombuffer(data[begin:end], dtype=DTYPES[entry["dtype"]])
        tensors[name] = tensor.reshape(entry["shape"]).float()
    return tensors


def rope_theta(config):
    """Newer versions of transformers write it inside rope_parameters."""
    return config["rope_theta"] if "rope_theta" in config else config["rope_parameters"]["rope_theta"]


class RMSNorm(nn.Module):
    def __init__(self, size, epsilon):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.epsilon = epsilon

    def forward(self, x):
        return F.rms_norm(x, (x.shape[-1],), self.weight, self.epsilon)


class Rotary(nn.Module):
    """cos and sin of every position, made once; rotate() pairs dimension i with i + D/2, as Hugging Face does."""

    def __init__(self, head_dim, positions, theta):
        super().__init__()
        frequency = theta ** (-torch.arange(0, head_dim, 2, dtype=torch.float64) / head_dim)
        angle = torch.outer(torch.arange(positions, dtype=torch.float64), frequency)
        self.register_buffer("cos", angle.cos().float().repeat(1, 2), persistent=False)
        sin = angle.sin().float()
        # The sign of the first half's sine is folded in, so that a rotation is two products and one roll.
        self.register_buffer("sin", torch.cat([-sin, sin], 1), persistent=False)

    def forward(self, positions):  # [S] or [B, S] -> two of [.., S, 1, D]
        return self.cos[positions].unsqueeze(-2), self.sin[positions].unsqueeze(-2)


def rotate(x, cos, sin):
    return x * cos + x.roll(x.shape[-1] // 2, -1) * sin


class Cache:
    """Keys and values of every layer, [L][B, K, S, D], allocated once for the longest sequence."""

    def __init__(self, config, batch, length):
        shape = (batch, config["num_key_value_heads"], length, config["head_dim"])
        self.keys = [torch.zeros(shape) for _ in range(config["num_hidden_layers"])]
        self.values = [torch.zeros(shape) for _ in range(config["num_hidden_layers"])]
        self.used = 0

    def append(self, layer, k, v):
        end = self.used + k.shape[2]
        self.keys[layer][:, :, self.used:end] = k
        self.values[layer][:, :, self.used:end] = v
        return self.keys[layer][:, :, :end], self.values[layer][:, :, :end]

    def fan_out(self, other, copies):
        """Fills this cache with each sequence of `other`, repeated."""
        self.used = other.used
        for mine, theirs in zip(self.keys + self.values, other.keys + other.values):
            batch, heads, length, size = theirs.shape
            mine.view(batch, copies, heads, -1, size)[:, :, :, :length] = theirs[:, None]

    def keep(self, rows):
        """Drops every sequence but these."""
        for tensors in (self.keys, self.values):
            for layer, tensor in enumerate(tensors):
                kept = torch.empty(len(rows), *tensor.shape[1:])
                kept[:, :, :self.used] = tensor[rows, :, :self.used]
                tensors[layer] = kept


class Layer(nn.Module):
    def __init__(self, config, index):
        super().__init__()
        d, inner, epsilon = config["hidden_size"], config["intermediate_size"], config["rms_norm_eps"]
        self.index = index
        self.heads, self.kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
        self.head_dim = config["head_dim"]
        self.attention_norm = RMSNorm(d, epsilon)
        self.qkv = nn.Linear(d, (self.heads + 2 * self.kv_heads) * self.head_dim, bias=False)
        self.q_norm, self.k_norm = RMSNorm(self.head_dim, epsilon), RMSNorm(self.head_dim, epsilon)
        self.out = nn.Linear(self.heads * self.head_dim, d, bias=False)
        self.mlp_norm = RMSNorm(d, epsilon)
        self.gate_up = nn.Linear(d, 2 * inner, bias=False)
        self.down = nn.Linear(inner, d, bias=False)

    def forward(self, x, rotary, mask, cache):
        batch, length, _ = x.shape
        qkv = self.qkv(self.attention_norm(x)).view(batch, length, -1, self.head_dim)
        q, k, v = qkv.split([self.heads, self.kv_heads, self.kv_heads], 2)
        q = rotate(self.q_norm(q), *rotary).transpose(1, 2)  # [B, H, S, D]
        k = rotate(self.k_norm(k), *rotary).transpose(1, 2)
        v = v.transpose(1, 2)
        if cache is not None:
            k, v = cache.append(self.index, k, v)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None and length > 1,
                                           enable_gqa=self.heads != self.kv_heads)
        x = x + self.out(y.transpose(1, 2).reshape(batch, length, -1))
        gate, up = self.gate_up(self.mlp_norm(x)).chunk(2, -1)
        return x + self.down(F.silu(gate) * up)


class Qwen3(nn.Module):
    """forward() gives final hidden states; logits() is separate so that a caller asks only for positions it needs."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config["vocab_size"], config["hidden_size"])
        self.layers = nn.ModuleList(Layer(config, index) for index in range(config["num_hidden_layers"]))
        self.norm = RMSNorm(config["hidden_size"], config["rms_norm_eps"])
        self.rotary = Rotary(config["head_dim"], config["max_position_embeddings"], rope_theta(config))
        self.head = self.embedding if config["tie_word_embeddings"] else nn.Linear(config["hidden_size"], config["vocab_size"], bias=False)
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.normal_(parameter, std=config.get("initializer_range", 0.02))

    def forward(self, tokens, positions=None, mask=None, cache=None):
        """tokens [B, S] -> hidden states [B, S, d]. Without a mask attention is causal, and padding belongs at the end."""
        if positions is None:
            positions = torch.arange(tokens.shape[1])
        rotary = self.rotary(positions)
        x = self.embedding(tokens)
        for layer in self.layers:
            x = layer(x, rotary, mask, cache)
        if cache is not None:
            cache.used += tokens.shape[1]
        return self.norm(x)

    def logits(self, hidden):
        return F.linear(hidden, self.head.weight)

    def load(self, tensors):
        """Takes Hugging Face's names; q, k, v and gate, up are joined."""
        mine = {"embedding.weight": tensors["model.embed_tokens.weight"], "norm.weight": tensors["model.norm.weight"]}
        mine["head.weight"] = mine["embedding.weight"] if self.head is self.embedding else tensors["lm_head.weight"]
        for index in range(len(self.layers)):
            old, new = f"model.layers.{index}.", f"layers.{index}."
            join = lambda *names: torch.cat([tensors[f"{old}{name}.weight"] for name in names])
            mine[new + "attention_norm.weight"] = join("input_layernorm")
            mine[new + "qkv.weight"] = join("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")
            mine[new + "q_norm.weight"] = join("self_attn.q_norm")
            mine[new + "k_norm.weight"] = join("self_attn.k_norm")
            mine[new + "out.weight"] = join("self_attn.o_proj")
            mine[new + "mlp_norm.weight"] = join("post_attention_layernorm")
            mine[new + "gate_up.weight"] = join("mlp.gate_proj", "mlp.up_proj")
            mine[new + "down.weight"] = join("mlp.down_proj")
        self.load_state_dict(mine)


def open_model(folder):
    folder = pathlib.Path(folder)
    model = Qwen3(json.loads((folder / "config.json").read_text()))
    model.load(read_safetensors(folder / "model.safetensors"))
    return model
