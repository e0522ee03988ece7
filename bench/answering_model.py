"""Writes a model of Qwen3's shape that answers: random in its layers, a table of what follows what in its head.

Random weights never write an answer, so nothing behind the sampler is exercised by them. Here the output projections of all
layers are zero, and a hidden state is the embedding of the current token, which has a 1 in the column of its state: one for
each token of CHAIN, and START for all others, so that every prompt leads to the beginning. The head's rows hold the
logarithms of CHAIN's probabilities. How likely every answer is at temperature 1 is therefore known exactly (paths()).
"""
import array
import json
import math
import pathlib
import random
import re
import struct

START, END = "<start>", "<end>"
LETTERS = "ABCD"


def _each(texts, share):
    return {text: share / len(texts) for text in texts}


# Token -> what follows it. 3 and 7 stand without a box only, all other digits within: a token is all that the model remembers.
CHAIN = {
    START: {"\\": .60, "The": .17, "####": .08, "I": .07, " and": .08},
    "\\": {"boxed": 1}, "boxed": {"{": 1},
    "{": {**_each(LETTERS, .30), "1": .22, "2": .22, "4": .06, "5": .05, "6": .04, "8": .04, "9": .01, "0": .01, " unknown": .05},
    "1": {"0": .5, "2": .1, "6": .05, "}": .35}, "2": {"0": .5, "4": .05, "5": .05, "}": .4}, "0": {"4": .7, "}": .3},
    "4": {"0": .05, "}": .95}, "5": {"4": .1, "}": .9}, "6": {"}": 1}, "8": {"0": .2, "}": .8}, "9": {"6": .2, "}": .8},
    **{letter: {"}": 1} for letter in LETTERS},
    "}": {END: .85, " so": .15},
    "The": {" answer": 1}, " answer": {" is": 1},
    " is": {" ": .45, **_each([" " + letter for letter in LETTERS], .35), " seven": .2},
    "####": {" ": .5, **_each([" " + letter for letter in LETTERS], .5)},
    " ": {"3": .5, "7": .5}, "3": {".": 1}, "7": {".": 1}, " seven": {".": 1},
    **{" " + letter: {".": 1} for letter in LETTERS},
    "I": {" cannot": 1}, " cannot": {" say": 1}, " say": {".": 1}, ".": {END: 1},
    # To the length limit: without an answer, behind a box that is closed, in one that is not.
    " and": {" and": 1}, " so": {" so": 1}, " unknown": {" unknown": 1},
}
KINDS = ("number in a box", "letter in a box", "box, then cut", "number in words", "letter in words", "word",
         "number behind ####", "letter behind ####", "no answer", "no answer, cut", "open box, cut")
_LOGIT = 40.0  # of what may follow, before the logarithm of its probability; what may not has 0: 1e-12 with all its words


def read_response(text, is_cut):
    """(kind, answer in canonical form or None) of a text that CHAIN writes; written for it alone, apart from whet's rules."""
    def form(answer):
        return str(int(answer)) if answer.isdigit() else answer

    if box := re.search(r"\\boxed\{(\w+)\}", text):
        kind = "box, then cut" if is_cut else "number in a box" if box[1].isdigit() else "letter in a box"
        return kind, form(box[1])
    if said := re.fullmatch(r"(The answer is|####) (\w+)\.", text):
        where = "in words" if said[1] != "####" else "behind ####"
        return "word" if len(said[2]) > 1 else f"{'number' if said[2].isdigit() else 'letter'} {where}", form(said[2])
    if is_cut:
        return ("open box, cut" if "boxed{" in text else "no answer, cut"), None
    return "no answer", None


def paths(least=1e-12):
    """Every response as (probability, kind, answer, is_cut), for limits of some 30 tokens on, without those rarer than `least`."""
    found, open_paths = [], [("", START, 1.0)]
    while open_paths:
        text, state, probability = open_paths.pop()
        for token, share in CHAIN[state].items():
            if probability * share < least:
                continue
            is_cut = CHAIN.get(token) == {token: 1}
            if is_cut or token == END:
                found.append((probability * share, *read_response(text, is_cut), is_cut))
            else:
                open_paths.append((text + token, token, probability * share))
    return found


def _tokens(tokenizer):
    """Ids of CHAIN's tokens and of the end, from a folder's tokenizer.json and tokenizer_config.json."""
    definition = json.loads((tokenizer / "tokenizer.json").read_text())
    config = json.loads((tokenizer / "tokenizer_config.json").read_text())
    end = config["eos_token"] if isinstance(config["eos_token"], str) else config["eos_token"]["content"]
    added = {token["content"]: token["id"] for token in definition["added_tokens"]}
    vocabulary = definition["model"]["vocab"]
    ids = {}
    for text in CHAIN:
        if text != START:
            written = text.replace(" ", "Ġ")  # as byte-level vocabularies write a blank
            if written not in vocabulary:
                raise SystemExit(f"[{tokenizer / 'tokenizer.json'}] no token {written!r}, want one: a byte-level vocabulary")
            ids[text] = vocabulary[written]
    ids[END] = added.get(end, vocabulary.get(end))
    return ids, max(max(vocabulary.values()), max(added.values(), default=0)) + 1


def texts_of(tokenizer):
    """{id: text} of the tokens that the model writes, the end among them."""
    return {token: text for text, token in _tokens(pathlib.Path(tokenizer))[0].items()}


def write_model(folder, tokenizer, hidden_size, layers, heads, key_value_heads, head_dim, intermediate_size, vocabulary=0,
                max_positions=4096):
    """Writes the Hugging Face folder; `vocabulary` rows (0: as many as there are tokens). Returns the number of parameters."""
    folder, tokenizer = pathlib.Path(folder), pathlib.Path(tokenizer)
    folder.mkdir(parents=True, exist_ok=True)
    ids, tokens = _tokens(tokenizer)
    rows = vocabulary or tokens
    if rows < tokens or hidden_size <= len(CHAIN):
        raise SystemExit(f"[{folder}] {rows} rows of {hidden_size}, want {tokens} or more of more than {len(CHAIN)}")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_bytes((tokenizer / name).read_bytes())
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": ids[END]}))
    (folder / "config.json").write_text(json.dumps({
        "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "vocab_size": rows, "hidden_size": hidden_size,
        "intermediate_size": intermediate_size, "num_hidden_layers": layers, "num_attention_heads": heads,
        "num_key_value_heads": key_value_heads, "head_dim": head_dim, "max_position_embeddings": max_positions,
        "hidden_act": "silu", "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "attention_bias": False, "attention_dropout": 0.0,
        "tie_word_embeddings": False, "use_sliding_window": False, "bos_token_id": None, "eos_token_id": ids[END],
        "torch_dtype": "float32"}))

    draws = random.Random(0)
    drawn = array.array("f", (draws.gauss(0, .02) for _ in range(1 << 18))).tobytes()

    def noise(count):
        """Numbers from a place of its own in what was drawn, which is repeated: drawing them all would take minutes."""
        begin = 4 * draws.randrange(1 << 18)
        return (drawn[begin:] + drawn * (4 * count // len(drawn) + 1))[:4 * count]

    # The columns behind the states' have signs alone, so that every embedding has one length, and the head does not read them.
    states = {state: column for column, state in enumerate(CHAIN)}
    rest, size = hidden_size - len(states), .02
    marks = {state: array.array("f", [float(column == at) for at in range(len(states))]).tobytes()
             for state, column in states.items()}
    signs = [array.array("f", (draws.choice((-size, size)) for _ in range(rest))).tobytes() for _ in range(97)]
    read = 1 / math.sqrt((1 + rest * size * size) / hidden_size + 1e-6)  # a state's 1 behind the last norm
    state_of = {ids[text]: text for text in CHAIN if text != START}
    followers = {ids[text]: text for text in (*CHAIN, END) if text != START}

    def embedding():
        return b"".join(marks[state_of.get(row, START)] + signs[row % 97] for row in range(rows))

    def head():
        blank = bytes(4 * hidden_size)
        return b"".join(blank if row not in followers else array.array("f", [
            (_LOGIT + math.log(CHAIN[state][followers[row]])) / read if followers[row] in CHAIN[state] else 0.0
            for state in states] + [0.0] * rest).tobytes() for row in range(rows))

    def ones(count):
        return array.array("f", [1.0] * count).tobytes()

    def zeros(count):
        return bytes(4 * count)

    query, key = heads * head_dim, key_value_heads * head_dim
    tensors = {"model.embed_tokens.weight": ([rows, hidden_size], lambda _: embedding())}
    for layer in range(layers):
        for name, shape, content in (
                ("input_layernorm", [hidden_size], ones), ("post_attention_layernorm", [hidden_size], ones),
                ("self_attn.q_norm", [head_dim], ones), ("self_attn.k_norm", [head_dim], ones),
                ("self_attn.q_proj", [query, hidden_size], noise), ("self_attn.k_proj", [key, hidden_size], noise),
                ("self_attn.v_proj", [key, hidden_size], noise), ("self_attn.o_proj", [hidden_size, query], zeros),
                ("mlp.gate_proj", [intermediate_size, hidden_size], noise),
                ("mlp.up_proj", [intermediate_size, hidden_size], noise),
                ("mlp.down_proj", [hidden_size, intermediate_size], zeros)):
            tensors[f"model.layers.{layer}.{name}.weight"] = (shape, content)
    tensors["model.norm.weight"] = ([hidden_size], ones)
    tensors["lm_head.weight"] = ([rows, hidden_size], lambda _: head())

    header, at = {}, 0
    for name, (shape, _) in tensors.items():
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + 4 * math.prod(shape)]}
        at += 4 * math.prod(shape)
    text = json.dumps(header).encode()
    with open(folder / "model.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for shape, content in tensors.values():
            file.write(content(math.prod(shape)))
    return at // 4
