"""LoRA adapters: sound but for a thing or two in their headers, or damaged bytes."""

from __future__ import annotations

import random
from pathlib import Path

from policy import tiny

from edge_ttp.paths import locate
from edge_ttp.policy.llama import LlamaPolicy
from edge_ttp.policy.request import Control, Request
from edge_ttp.registry import Registry
from edge_ttp.schema import LoraAdapter, Sampling

from ..case import Case
from ..gguf_parts import TEXT, Parts, apart, together
from .gguf import ARCHITECTURES, FLOATS, alignment, counts, flipped, kind, missing, scalar, tensor


def alpha(chance: random.Random, parts: Parts) -> str:
    """An alpha that is no number, or no usual one."""
    made = chance.choice([(TEXT, b"8.0"), (4, 8), (12, 8.0), *((6, value) for value in FLOATS)])
    parts.put("adapter.lora.alpha", *made)
    return f"alpha {made}"


def form(chance: random.Random, parts: Parts) -> str:
    """Another kind of adapter, or one for another model."""
    key, value = chance.choice(
        [("adapter.type", "control"), ("adapter.type", ""), ("general.type", "model"), ("general.type", "")]
        + [("general.architecture", name) for name in ARCHITECTURES[:4]]
    )
    parts.put(key, TEXT, value.encode())
    return f"{key}={value}"


def half(chance: random.Random, parts: Parts) -> str:
    """Only one part of a change, or parts that do not fit."""
    one = chance.choice(parts.tensors)
    which = chance.randrange(4)
    if which == 0:
        parts.tensors.remove(one)
        return f"no {one.name}"
    if which == 1:
        one.shape[chance.randrange(2)] = (size := chance.choice((0, 1, 3, 32, 97, 2**20)))
        return f"{one.name} with {size}"
    if which == 2:
        one.name = one.name.replace("blk.0", chance.choice(["blk.9", "blk.-1", "blk.x", "output"]))
        return f"named {one.name}"
    for each in parts.tensors:
        each.kind = (type := chance.choice((1, 24, 25, 26, 27, 28, 30, 2, 8, 39)))
    return f"all of type {type}"


CHANGES = (alpha, form, half, half, half, scalar, kind, missing, alignment, tensor, tensor, counts)


class _Adapters:
    deadline_s = 50.0
    budget_bytes = 0

    def __init__(self, home: Path) -> None:
        registry = self._registry = Registry(locate(home))
        path = tiny.language_model(home / "tiny.gguf")
        self._policy = registry.locate(path)
        tiny.adapter(home / "style.gguf", seed=1)
        self._sound = (home / "style.gguf").read_bytes()

    def case(self, chance: random.Random, folder: Path) -> Case:
        if chance.random() < 0.15:
            data, what = flipped(chance, self._sound)
        else:
            parts = apart(self._sound)
            changes = [chance.choice(CHANGES)(chance, parts) for _ in range(chance.choice((1, 1, 2)))]
            data, what = together(parts), "; ".join(changes)
        path = folder / "x.gguf"
        path.write_bytes(data)
        return Case(what, lambda: self._use(path))

    def _use(self, path: Path) -> None:
        self._registry.try_adapter(path, self._policy)
        policy = LlamaPolicy(self._policy.path, threads=1)
        try:
            sampling = Sampling(adapters=(LoraAdapter(path=str(path)),))
            policy.sample(Request((4, 5), n=3, sampling=sampling, seed=1, max_tokens=3), Control())
        finally:
            policy.close()


def open(home: Path) -> _Adapters:
    return _Adapters(home)
