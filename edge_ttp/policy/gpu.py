"""How many of a model's layers go to the GPU: pure arithmetic on what is free there."""

from __future__ import annotations

from collections.abc import Sequence

from edge_ttp.budget.device import Gpu
from edge_ttp.policy.memory import MIB

ALL_LAYERS = 999
"""More than any model has: llama.cpp takes it as all of them, the output layer included."""

_SHARE = 0.9  # of what is free; the rest is for the driver and for other programs
_RESERVE = 256 * MIB  # for the cache and buffers of a usual call


def room(gpus: Sequence[Gpu]) -> int:
    """Bytes that a policy may take on these GPUs together; llama.cpp spreads layers over all of them."""
    return int(sum(gpu.memory_free for gpu in gpus) * _SHARE)


def layers_for(weights: int, layers: int, gpus: Sequence[Gpu]) -> int:
    """Layers of a model of `weights` bytes to put on `gpus`: all, as many as fit beside a usual cache, or none."""
    left = room(gpus) - _RESERVE
    if left >= weights:
        return ALL_LAYERS
    return max(0, int(layers * left / weights))


def in_words(placed: int, layers: int, gpus: Sequence[Gpu]) -> str:
    """What decodes, when `placed` of the model's `layers` are on `gpus`."""
    if placed <= 0 or not gpus:
        return "cpu"
    names = ", ".join(dict.fromkeys(gpu.name for gpu in gpus))
    return f"gpu: all {layers} layers on {names}" if placed > layers else f"gpu: {placed} of {layers} layers on {names}"
