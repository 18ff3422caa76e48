"""How many layers go to the GPU, and what is said of it: arithmetic, and a policy that believes it has one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge_ttp.budget.device import Gpu
from edge_ttp.errors import ModelUnavailable
from edge_ttp.policy import bindings
from edge_ttp.policy.gpu import ALL_LAYERS, in_words, layers_for, room
from edge_ttp.policy.llama import LlamaPolicy
from edge_ttp.policy.memory import MIB
from edge_ttp.policy.request import Control, Request
from edge_ttp.schema import Sampling

from . import tiny

GIB = 1024 * MIB
ASKED = Request((5, 6, 7), n=3, sampling=Sampling(), seed=1, max_tokens=4)


def gpu(free: int) -> Gpu:
    return Gpu("Fake 1", 80 * GIB, free)


@pytest.mark.parametrize(
    ("weights", "free", "expected"),
    [
        (1 * GIB, [80 * GIB], ALL_LAYERS),
        (4 * GIB, [4 * GIB], 25),  # (4 * 0.9 - 0.25) / 4 of 30 layers
        (4 * GIB, [3 * GIB, 3 * GIB], ALL_LAYERS),
        (4 * GIB, [200 * MIB], 0),
        (4 * GIB, [0], 0),
        (4 * GIB, [], 0),
    ],
)
def test_as_many_layers_as_fit_beside_a_usual_cache(weights: int, free: list[int], expected: int) -> None:
    assert layers_for(weights, 30, [gpu(one) for one in free]) == expected


def test_what_was_used_in_words() -> None:
    two = [gpu(GIB), gpu(GIB)]
    assert in_words(0, 30, two) == in_words(ALL_LAYERS, 30, []) == "cpu"
    assert in_words(ALL_LAYERS, 30, two) == "gpu: all 30 layers on Fake 1"
    assert in_words(12, 30, [gpu(GIB), Gpu("Fake 2", GIB, GIB)]) == "gpu: 12 of 30 layers on Fake 1, Fake 2"


@pytest.fixture
def placed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The layers that models were loaded with, none of them on a real GPU."""
    seen: list[int] = []
    real = bindings.Model

    def load(path: Path, *, gpu_layers: int = 0, **options: Any) -> bindings.Model:
        seen.append(gpu_layers)
        if gpu_layers == 1:
            raise ModelUnavailable("the GPU is out of memory")
        return real(path, **options)

    monkeypatch.setattr(bindings, "Model", load)
    return seen


def test_a_gpu_with_room_takes_all_layers_and_bounds_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, placed: list[int]
) -> None:
    path = tiny.language_model(tmp_path / "tiny.gguf")
    small = gpu(300 * MIB)
    monkeypatch.setattr(bindings, "gpus", lambda: (small,))
    policy = LlamaPolicy(path, threads=1)
    assert (placed, policy.device) == ([ALL_LAYERS], "gpu: all 2 layers on Fake 1")
    assert policy._limit(None) == room([small])
    assert len(policy.sample(ASKED, Control()).candidates) == 3
    policy.close()


def test_a_gpu_that_takes_no_layers_does_not_cost_the_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, placed: list[int]
) -> None:
    path = tiny.language_model(tmp_path / "tiny.gguf")
    half = path.stat().st_size // 2
    monkeypatch.setattr(bindings, "gpus", lambda: (gpu(int((half + 256 * MIB) / 0.9) + 1000),))
    policy = LlamaPolicy(path, threads=1)
    assert (placed, policy.gpu_layers, policy.device) == ([1, 0], 0, "cpu")
    assert len(policy.sample(ASKED, Control()).candidates) == 3
    policy.close()
    with pytest.raises(ModelUnavailable, match="out of memory"):
        LlamaPolicy(path, threads=1, gpu_layers=1)
