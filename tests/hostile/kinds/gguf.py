"""GGUF policies: sound but for one to three things in their headers, or damaged bytes."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

from policy import tiny

from edge_ttp.paths import locate
from edge_ttp.policy.llama import LlamaPolicy
from edge_ttp.policy.request import Control, Request
from edge_ttp.registry import Registry
from edge_ttp.schema import Sampling

from ..case import Case
from ..gguf_parts import ARRAY, SCALARS, TEXT, Entry, Parts, apart, together

Change = Callable[[random.Random, Parts], str]

NUMBERS = (
    0,
    1,
    2,
    3,
    7,
    8,
    16,
    31,
    63,
    64,
    65,
    127,
    255,
    256,
    512,
    513,
    1000,
    65535,
    2**20,
    2**31 - 1,
    2**31,
    2**32 - 1,
)
FLOATS = (float("nan"), float("inf"), float("-inf"), 0.0, -1.0, 1e-45, 1e38, 1e-5)
ARCHITECTURES = """
llama llama4 deci falcon grok gpt2 gptj gptneox mpt baichuan starcoder refact bert nomic-bert jina-bert-v2
bloom stablelm qwen qwen2 qwen2moe qwen2vl qwen3 qwen3moe qwen3next phi2 phi3 phimoe plamo plamo2 codeshell
orion internlm2 minicpm minicpm3 gemma gemma2 gemma3 gemma3n starcoder2 mamba mamba2 jamba falcon-h1 xverse
command-r cohere2 dbrx olmo olmo2 olmoe openelm arctic deepseek deepseek2 chatglm glm4 glm4moe bitnet t5
t5encoder jais nemotron nemotron_h exaone exaone4 rwkv6 rwkv6qwen2 rwkv7 arwkv7 granite granitemoe
granitehybrid chameleon wavtokenizer-dec plm bailingmoe bailingmoe2 dots1 arcee ernie4_5 ernie4_5-moe
hunyuan-moe hunyuan-dense smollm3 gpt-oss lfm2 lfm2moe dream smallthinker llada llada-moe seed_oss apertus
minimax-m2 cogvlm rnd1 pangu-embedded mistral3 nosuch
""".split()  # noqa: SIM905
TOKENIZERS = ("none", "no_vocab", "llama", "bert", "gpt2", "t5", "rwkv", "plamo2", "", "nosuch")
PRE = ("default", "llama-bpe", "deepseek-llm", "gpt-2", "qwen2", "smollm", "tekken", "chatglm-bpe", "nosuch", "")


def scalar(chance: random.Random, parts: Parts) -> str:
    """One number becomes another."""
    numbers = [one for one in parts.entries if one.kind in SCALARS and one.kind != 7]
    if not numbers:  # an earlier change took them all
        return "no number left"
    entry = chance.choice(numbers)
    if entry.kind in (6, 12):
        entry.value = chance.choice(FLOATS)
    else:
        entry.value = chance.choice(NUMBERS)
    return f"{entry.key}={entry.value}"


def kind(chance: random.Random, parts: Parts) -> str:
    """One value becomes one of another type."""
    entry = chance.choice(parts.entries)
    made = chance.choice(
        [(TEXT, b"8"), (4, 8), (5, -8), (6, 8.0), (7, True), (10, 2**63), (12, 8.0), (0, 1), (ARRAY, (4, [8, 8])),
         (ARRAY, (TEXT, [b"a"])), (ARRAY, (6, [])), (ARRAY, (4, []))]
    )  # fmt: skip
    entry.kind, entry.value = made
    return f"{entry.key} of type {made[0]}"


def missing(chance: random.Random, parts: Parts) -> str:
    """One entry is gone, or there twice."""
    entry = chance.choice(parts.entries)
    if chance.random() < 0.3:
        parts.entries.append(Entry(entry.key, entry.kind, entry.value))
        return f"{entry.key} twice"
    parts.entries.remove(entry)
    return f"no {entry.key}"


def architecture(chance: random.Random, parts: Parts) -> str:
    """Another architecture, its keys renamed with it."""
    name = chance.choice(ARCHITECTURES)
    for entry in parts.entries:
        if entry.key.startswith("llama."):
            entry.key = entry.key.replace("llama.", f"{name}.", 1)
    parts.put("general.architecture", TEXT, name.encode())
    return f"architecture {name}"


def hyperparameter(chance: random.Random, parts: Parts) -> str:
    """An entry that this model does not need."""
    name, value = chance.choice(
        [("expert_count", chance.choice((4, 1, 300, 1024))), ("expert_used_count", 8), ("attention.key_length", 24),
         ("attention.value_length", 0), ("attention.sliding_window", 0), ("pooling_type", 1),
         ("rope.scaling.factor", 0),
         ("attention.head_count_kv", chance.choice((0, 1, 3, 2**31))), ("vocab_size", chance.choice(NUMBERS)),
         ("ssm.conv_kernel", 4), ("leading_dense_block_count", 9), ("attention.causal", 0), ("nextn_predict_layers", 5),
         ("rope.dimension_count", chance.choice((0, 1, 31, 4096))), ("decoder_start_token_id", 2**31)]
    )  # fmt: skip
    parts.put(f"llama.{name}", 4, value)
    return f"{name}={value}"


def by_layer(chance: random.Random, parts: Parts) -> str:
    """Counts of heads or of widths by layer."""
    name = chance.choice(["attention.head_count", "attention.head_count_kv", "feed_forward_length"])
    values = [chance.choice((0, 1, 2, 3, 96, 9)) for _ in range(chance.choice((0, 1, 2, 3, 600)))]
    parts.put(f"llama.{name}", ARRAY, (chance.choice((4, 5)), values))
    return f"{name}={values[:3]} of {len(values)}"


def vocabulary(chance: random.Random, parts: Parts) -> str:
    """Tokens that are equal, empty, missing, of odd types, or numbers of tokens that there are not."""
    which = chance.randrange(7)
    found = [one.value for one in parts.entries if one.key == "tokenizer.ggml.tokens" and one.kind == ARRAY]
    inner, tokens = found[0] if found else (TEXT, [b"a"])
    tokens = tokens or [b"a"]
    if which == 0:
        parts.put("tokenizer.ggml.tokens", ARRAY, (inner, [b"a"] * len(tokens)))
        return "all tokens equal"
    if which == 1:
        tokens[chance.randrange(len(tokens))] = tokens[chance.randrange(len(tokens))]
        return "two tokens equal"
    if which == 2:
        parts.put("tokenizer.ggml.tokens", ARRAY, (inner, tokens[: chance.choice((0, 1, 100))]))
        return "fewer tokens"
    if which == 3:
        tokens[chance.randrange(len(tokens))] = chance.choice([b"", b"\xff\xfe", b"\0", b"x" * 70_000, b"<0xZZ>"])
        return "an odd token"
    if which == 4:
        types = [chance.choice((0, 1, 2, 3, 4, 5, 6, 7, -1, 99)) for _ in tokens]
        parts.put("tokenizer.ggml.token_type", ARRAY, (5, types))
        return "odd token types"
    if which == 5:
        name = chance.choice(["bos", "eos", "unknown", "padding", "eot", "eom", "fim_pre", "seperator", "mask"])
        parts.put(f"tokenizer.ggml.{name}_token_id", 4, number := chance.choice(NUMBERS))
        return f"{name} token {number}"
    parts.put("tokenizer.ggml.scores", ARRAY, (6, [chance.choice(FLOATS) for _ in tokens]))
    return "odd scores"


def tokenizer(chance: random.Random, parts: Parts) -> str:
    """Another tokenizer for the same tokens."""
    parts.put("tokenizer.ggml.model", TEXT, (name := chance.choice(TOKENIZERS)).encode())
    if chance.random() < 0.5:
        parts.put("tokenizer.ggml.pre", TEXT, chance.choice(PRE).encode())
    if chance.random() < 0.5:
        parts.put(
            "tokenizer.ggml.merges", ARRAY, (TEXT, [chance.choice([b"a b", b"", b"a", b" ", b"\xff \xff", b"a b c"])])
        )
    if chance.random() < 0.3:
        parts.put("tokenizer.ggml.precompiled_charsmap", ARRAY, (0, [255] * chance.choice((0, 3, 4, 100))))
    return f"tokenizer {name!r}"


def template(chance: random.Random, parts: Parts) -> str:
    """A chat template that is odd."""
    text = chance.choice(
        [b"{{", b"<|im_start|>" * 1000, b"\xff", b"[INST]", b"", b"{% for %}" * 5000, b"<start_of_turn>"]
    )
    parts.put("tokenizer.chat_template", TEXT, text)
    return f"a template of {len(text)} bytes"


def alignment(chance: random.Random, parts: Parts) -> str:
    """Another alignment of the tensors."""
    parts.put("general.alignment", 4, value := chance.choice((0, 1, 2, 3, 8, 16, 33, 64, 4096, 2**31)))
    return f"alignment {value}"


def tensor(chance: random.Random, parts: Parts) -> str:
    """A tensor of another type, shape, place or name."""
    one = chance.choice(parts.tensors)
    which = chance.randrange(6)
    if which == 0:
        one.kind = chance.choice((*range(42), 99, 2**31))
        return f"{one.name} of type {one.kind}"
    if which == 1:
        one.shape = [
            chance.choice((0, 1, 32, 64, 63, 96, 2**20, 2**33)) for _ in range(chance.choice((0, 1, 2, 3, 4, 5)))
        ]
        return f"{one.name} of shape {one.shape}"
    if which == 2:
        one.offset = chance.choice((1, 32, 2**20, 2**40, 2**64 - 32))
        return f"{one.name} at {one.offset}"
    if which == 3:
        one.name = chance.choice(["", "x", "blk.999.attn_q.weight", "blk.0.attn_k.bias", "a" * 70, "output.weight"])
        return f"a tensor named {one.name[:20]!r}"
    if which == 4:
        parts.tensors.remove(one)
        return f"no {one.name}"
    one.shape.reverse()
    return f"{one.name} turned"


def counts(chance: random.Random, parts: Parts) -> str:
    """Counts in front that are not those of what follows."""
    parts.extra = {chance.choice(["entries", "tensors"]): chance.choice((-1, 1, 5, 2**40))}
    return f"counts off by {parts.extra}"


CHANGES: tuple[Change, ...] = (
    scalar, scalar, kind, missing, architecture, architecture, hyperparameter, hyperparameter, by_layer, vocabulary,
    vocabulary, tokenizer, tokenizer, template, alignment, tensor, tensor, tensor, counts,
)  # fmt: skip


def flipped(chance: random.Random, data: bytes) -> tuple[bytes, str]:
    """`data` with bytes changed, cut off or put in."""
    changed = bytearray(data)
    which = chance.randrange(3)
    if which == 0:
        for _ in range(count := chance.choice((1, 2, 8, 40))):
            changed[chance.randrange(min(len(changed), 12_000))] = chance.randrange(256)
        return bytes(changed), f"{count} bytes changed"
    if which == 1:
        return bytes(changed[: (length := chance.randrange(len(changed)))]), f"cut to {length} bytes"
    at = chance.randrange(min(len(changed), 12_000))
    changed[at:at] = bytes(chance.randrange(256) for _ in range(chance.choice((1, 4, 100))))
    return bytes(changed), f"bytes put in at {at}"


class _Policies:
    deadline_s = 50.0  # what a trial may take at the most (registry/trials.py)
    budget_bytes = 0

    def __init__(self, home: Path) -> None:
        self._registry = Registry(locate(home))
        self._sound = tiny.language_model(home / "tiny.gguf").read_bytes()

    def case(self, chance: random.Random, folder: Path) -> Case:
        if chance.random() < 0.15:
            data, what = flipped(chance, self._sound)
        else:
            parts = apart(self._sound)
            changes = [chance.choice(CHANGES)(chance, parts) for _ in range(chance.choice((1, 1, 1, 2, 3)))]
            data, what = together(parts), "; ".join(changes)
        path = folder / "x.gguf"
        path.write_bytes(data)
        return Case(what, lambda: self._use(path))

    def _use(self, path: Path) -> None:
        policy = LlamaPolicy(self._registry.locate(path, kind="policy").path, threads=1)
        try:
            prompt = policy.encode_text("ab c") or (1,)
            policy.measure()
            policy.sample(Request(prompt, n=3, sampling=Sampling(), seed=1, max_tokens=3), Control())
        finally:
            policy.close()


def open(home: Path) -> _Policies:
    return _Policies(home)
