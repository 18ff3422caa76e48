"""LoRA adapters: they change the model as trained, by the call, and leave no trace in the next one."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_ttp.budget.timed import CHUNK
from edge_ttp.errors import InvalidInput, ModelUnavailable, OutOfCapacity
from edge_ttp.policy import bindings
from edge_ttp.policy.llama import LlamaPolicy
from edge_ttp.policy.loaded_loras import KEPT, Loras
from edge_ttp.policy.request import Control, Request, Sampled
from edge_ttp.policy.seats import Seats
from edge_ttp.schema import LoraAdapter, Sampling

from . import tiny

FREE = Control()
PROMPT = tuple(range(3, 3 + CHUNK + 20))


@pytest.fixture
def policy(tmp_path: Path) -> Iterator[LlamaPolicy]:
    policy = LlamaPolicy(tiny.language_model(tmp_path / "tiny.gguf"), threads=1)
    yield policy
    policy.close()


def draw(policy: LlamaPolicy, *adapters: LoraAdapter, memory_bytes: int | None = None) -> Sampled:
    asked = Request(PROMPT, n=8, sampling=Sampling(adapters=adapters), seed=1, max_tokens=12)
    return policy.sample(asked, FREE, memory_bytes=memory_bytes)


def essence(sampled: Sampled) -> list[tuple[tuple[int, ...], float]]:
    return [(ids, one.logprob) for ids, one in zip(sampled.token_ids, sampled.candidates, strict=True)]


@pytest.mark.parametrize("scale", [1.0, 0.5, -1.0])
def test_an_adapter_acts_as_if_it_were_merged_into_the_weights(
    policy: LlamaPolicy, tmp_path: Path, scale: float
) -> None:
    changes = tiny.adapter(tmp_path / "lora.gguf", seed=1)
    scaled = {name: change * scale for name, change in changes.items()}
    merged = LlamaPolicy(tiny.language_model(tmp_path / "merged.gguf", changes=scaled), threads=1)
    adapted, expected = draw(policy, LoraAdapter(path=str(tmp_path / "lora.gguf"), scale=scale)), draw(merged)
    merged.close()
    assert adapted.token_ids == expected.token_ids
    for one, other in zip(adapted.candidates, expected.candidates, strict=True):
        assert one.logprob == pytest.approx(other.logprob, abs=1e-3)
    assert essence(adapted) != essence(draw(policy))


def test_adapters_are_switched_by_the_call_and_the_prompt_is_read_anew(policy: LlamaPolicy, tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}.gguf" for name in "abcdef"]
    for seed, path in enumerate(paths):
        tiny.adapter(path, seed=seed)
    one, two = LoraAdapter(path=str(paths[0])), LoraAdapter(path=str(paths[1]), scale=0.7)
    plain, first, both = draw(policy), draw(policy, one), draw(policy, one, two)
    assert first.cached_tokens == both.cached_tokens == 0
    again = draw(policy, one, two)
    assert (again.cached_tokens, essence(again)) == (again.prompt_tokens, essence(both))
    bare = draw(policy)
    assert (bare.cached_tokens, essence(bare)) == (bare.prompt_tokens, essence(plain))  # its state was kept
    for path in paths:  # more than are kept in memory
        draw(policy, LoraAdapter(path=str(path)))
    assert essence(draw(policy, one)) == essence(first)  # loaded anew, what was read with it is the same


def test_an_adapter_file_that_changed_is_read_anew(policy: LlamaPolicy, tmp_path: Path) -> None:
    path = tmp_path / "lora.gguf"
    tiny.adapter(path, seed=1)
    first = draw(policy, LoraAdapter(path=str(path)))
    tiny.adapter(tmp_path / "other.gguf", seed=2)
    os.replace(tmp_path / "other.gguf", path)
    assert essence(draw(policy, LoraAdapter(path=str(path)))) != essence(first)


def test_adapters_count_as_memory(policy: LlamaPolicy, tmp_path: Path) -> None:
    path = tmp_path / "lora.gguf"
    tiny.adapter(path, seed=1, rank=600)
    before = policy.held_bytes()
    with pytest.raises(OutOfCapacity, match="model and its adapters need"):
        draw(policy, LoraAdapter(path=str(path)), memory_bytes=before)
    draw(policy, LoraAdapter(path=str(path)))
    assert policy.held_bytes() >= before + path.stat().st_size


@pytest.mark.parametrize("what", ["missing", "a folder", "garbage", "truncated", "a model", "another architecture"])
def test_what_is_no_adapter_for_this_model_is_refused(policy: LlamaPolicy, tmp_path: Path, what: str) -> None:
    path = tmp_path / "lora.gguf"
    tiny.adapter(path, seed=1, architecture="gemma3" if what == "another architecture" else "llama")
    if what == "missing":
        path.unlink()
    elif what == "a folder":
        path = tmp_path
    elif what == "garbage":
        path.write_bytes(random.Random(0).randbytes(1000))
    elif what == "truncated":
        path.write_bytes(path.read_bytes()[:-500])
    elif what == "a model":
        path = tiny.language_model(tmp_path / "model.gguf")
    with pytest.raises(ModelUnavailable, match="adapter") as caught:
        draw(policy, LoraAdapter(path=str(path)))
    assert "\n" not in str(caught.value)
    assert len(draw(policy).candidates) == 8


def test_a_scale_that_is_no_number_is_refused() -> None:
    with pytest.raises(InvalidInput, match="scale"):
        LoraAdapter(path="a.gguf", scale=float("nan"))


class Counted:
    """Adapters of the random model in memory, and the bytes that were asked for."""

    def __init__(self, folder: Path, count: int) -> None:
        self.model = bindings.Model(tiny.language_model(folder / "counted.gguf"))
        self.loras = Loras(self.model, Seats(self.model, chunk=CHUNK, threads=1, pool=None))
        self.admitted: list[int] = []
        self.adapters = [LoraAdapter(path=str(folder / f"{seed}.gguf"), scale=seed / 2) for seed in range(count)]
        for seed, adapter in enumerate(self.adapters):
            tiny.adapter(Path(adapter.path), seed=seed)
        self.size = Path(self.adapters[0].path).stat().st_size

    def load(self, *which: int) -> list[float]:
        return [scale for _, scale in self.loras.load([self.adapters[at] for at in which], self.admitted.append)]

    def close(self) -> None:
        self.loras.close()
        self.model.close()


@pytest.fixture
def counted(tmp_path: Path) -> Iterator[Counted]:
    counted = Counted(tmp_path, KEPT + 2)
    yield counted
    counted.close()


def test_one_that_is_in_memory_is_not_loaded_again(counted: Counted) -> None:
    assert counted.load(1, 2, 1) == [0.5, 1.0, 0.5]
    assert len(counted.loras.loaded) == 2
    before = counted.loras.loaded
    assert counted.load(2) == [1.0]
    assert counted.loras.loaded == before
    assert counted.admitted == [2 * counted.size]


def test_beyond_some_those_that_are_not_asked_for_go(counted: Counted) -> None:
    counted.load(*range(KEPT))
    kept = counted.loras.load([counted.adapters[0]], counted.admitted.append)[0][0]
    counted.load(0, KEPT)
    assert len(counted.loras.loaded) == 2
    assert kept in counted.loras.loaded
    assert counted.admitted[-1] == 2 * counted.size


def test_where_there_is_no_room_none_is_loaded(counted: Counted) -> None:
    def refuse(size: int) -> None:
        raise OutOfCapacity(f"{size} bytes are too much", "use fewer")

    with pytest.raises(OutOfCapacity):
        counted.loras.load(counted.adapters[:2], refuse)
    assert counted.loras.loaded == frozenset()
    assert counted.loras.load([], refuse) == []


def test_a_file_that_is_not_there_is_named_before_anything_is_loaded(counted: Counted, tmp_path: Path) -> None:
    gone = LoraAdapter(path=str(tmp_path / "gone.gguf"))
    with pytest.raises(ModelUnavailable, match=r"no adapter file .*gone\.gguf"):
        counted.loras.load([counted.adapters[0], gone], counted.admitted.append)
    assert counted.admitted == []
