"""What was read of a user: put back to the bit, for them alone, across processes, and gone when they say so."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from edge_ttp.budget.timed import CHUNK
from edge_ttp.policy import bindings
from edge_ttp.policy.job import Claim
from edge_ttp.policy.llama import LlamaPolicy
from edge_ttp.policy.reading import GRAIN
from edge_ttp.policy.request import Control, Request, Sampled
from edge_ttp.schema import LoraAdapter, Sampling

from . import tiny

FREE = Control()
CORE = tuple(range(3, 203))


def with_states(model: Path, home: Path, *, sha256: str = "sha") -> LlamaPolicy:
    return LlamaPolicy(model, threads=1, states=(sha256, lambda user: home / "states" / user))


def ask(*tokens: int, core: int = 0, adapters: tuple[LoraAdapter, ...] = ()) -> Request:
    sampling = Sampling(adapters=adapters)
    return Request((*CORE, *tokens), n=4, sampling=sampling, seed=5, max_tokens=8, core=core)


def draw(policy: LlamaPolicy, asked: Request, user: str = "ada") -> Sampled:
    return policy.sample(asked, FREE, claim=Claim(user=user))


def test_nobody_gets_what_was_read_for_somebody_else(policy: LlamaPolicy) -> None:
    draw(policy, ask(9, 9), "ada")
    assert policy.resident(ask(9, 9).prompt, "ada") == len(CORE) + 2
    assert policy.resident(ask(9, 9).prompt, "bob") == 0
    assert draw(policy, ask(9, 9), "bob").cached_tokens == 0
    assert draw(policy, ask(9, 9), "ada").cached_tokens == len(CORE) + 2


@pytest.mark.parametrize("shared", [1, 7, 8, 9, 120, 127, 128, 129, 136, 190])
def test_a_prompt_that_goes_on_differently_is_reused_to_the_grain_and_says_the_same(
    policy: LlamaPolicy, tiny_path: Path, shared: int
) -> None:
    draw(policy, ask())
    other = Request((*CORE[:shared], *[7] * 30), n=4, sampling=Sampling(), seed=5, max_tokens=8)
    warm = draw(policy, other)
    assert warm.cached_tokens == shared - shared % GRAIN
    fresh = LlamaPolicy(tiny_path, threads=1)
    cold = draw(fresh, other)
    fresh.close()
    assert (warm.candidates, warm.token_ids) == (cold.candidates, cold.token_ids)


def test_a_users_core_outlives_the_process_and_says_the_same(tiny_path: Path, tmp_path: Path) -> None:
    first = with_states(tiny_path, tmp_path)
    draw(first, ask(50, 51, 52, core=len(CORE)))
    first.close()
    second = with_states(tiny_path, tmp_path)
    asked = ask(*range(60, 90), core=len(CORE))
    assert second.resident(asked.prompt, "ada") == len(CORE)
    warm = draw(second, asked)
    second.close()
    plain = LlamaPolicy(tiny_path, threads=1)
    cold = draw(plain, asked)
    plain.close()
    assert (warm.cached_tokens, cold.cached_tokens) == (len(CORE), 0)
    assert (warm.candidates, warm.token_ids) == (cold.candidates, cold.token_ids)


@pytest.mark.parametrize("why", ["another model", "another user", "damaged", "another adapter"])
def test_a_state_that_does_not_belong_here_is_never_loaded(
    tiny_path: Path, tmp_path: Path, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = with_states(tiny_path, tmp_path)
    draw(first, ask(50, core=len(CORE)))
    first.close()
    (file,) = tmp_path.glob("states/ada/*.state")
    if why == "damaged":
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
    monkeypatch.setattr(bindings.Context, "load", lambda *_: pytest.fail("llama.cpp saw it"))
    second = with_states(tiny_path, tmp_path, sha256="other" if why == "another model" else "sha")
    adapters: tuple[LoraAdapter, ...] = ()
    if why == "another adapter":
        tiny.adapter(tmp_path / "lora.gguf", seed=1)
        adapters = (LoraAdapter(path=str(tmp_path / "lora.gguf")),)
    sampled = draw(second, ask(60, adapters=adapters), "bob" if why == "another user" else "ada")
    second.close()
    assert sampled.cached_tokens == 0


def test_a_state_that_llama_cpp_does_not_take_costs_the_context_and_not_the_answer(
    tiny_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = with_states(tiny_path, tmp_path)
    cold = draw(first, ask(50, core=len(CORE)))
    first.close()
    closed: list[bindings.Context] = []
    close = bindings.Context.close
    monkeypatch.setattr(bindings.Context, "load", lambda *_: False)
    monkeypatch.setattr(bindings.Context, "close", lambda self: (closed.append(self), close(self)))
    second = with_states(tiny_path, tmp_path)
    warm = draw(second, ask(50, core=len(CORE)))
    assert len(closed) == 1
    assert closed[0] not in [seat.context for seat in second._seats.all]
    assert (warm.cached_tokens, warm.candidates) == (0, cold.candidates)
    second.close()


def test_the_core_is_written_once_and_a_short_one_never(tiny_path: Path, tmp_path: Path) -> None:
    policy = with_states(tiny_path, tmp_path)
    draw(policy, ask(50, core=20))
    assert not list(tmp_path.glob("states/*/*.state"))
    draw(policy, ask(50, core=len(CORE)))
    (file,) = tmp_path.glob("states/ada/*.state")
    written = file.stat().st_mtime_ns, file.stat().st_ino
    draw(policy, ask(51, core=len(CORE)))
    policy.close()
    assert (file.stat().st_mtime_ns, file.stat().st_ino) == written


def test_what_is_forgotten_is_read_anew_and_others_keep_theirs(policy: LlamaPolicy) -> None:
    for user in ("ada", "bob", "ada"):
        draw(policy, ask(*([4] * 40 if user == "ada" else [5] * 40)), user)
    policy.forget("ada")
    assert policy.resident(ask(*[4] * 40).prompt, "ada") == 0
    assert policy.resident(ask(*[5] * 40).prompt, "bob") == len(CORE) + 40


def test_states_make_way_for_a_call_and_are_part_of_the_memory(policy: LlamaPolicy) -> None:
    for first in range(4):
        draw(policy, ask(*[first + 3] * 60), str(first))
    kept = policy._seats.prefixes.size
    assert kept > 0
    assert policy.held_bytes() >= policy._footprint.fixed + kept
    tight = policy.held_bytes() - kept
    policy.sample(ask(1), FREE, memory_bytes=tight)
    assert policy._seats.prefixes.size == 0


@pytest.mark.parametrize("window", [128, 64])
def test_states_up_to_the_edge_of_a_sliding_window_give_the_same_logits(tmp_path: Path, window: int) -> None:
    model = bindings.Model(tiny.sliding_model(tmp_path / "sliding.gguf", window=window))
    assert model.window == window
    tokens = [3 + (7 * at) % 200 for at in range(3 * CHUNK)]

    def context() -> bindings.Context:
        return bindings.Context(model, cells=1024, sequences=3, chunk=CHUNK, threads=1)

    def read(into: bindings.Context, start: int, end: int) -> np.ndarray:
        logits = None
        for at in range(start, end, GRAIN):
            logits = into.prefill(tokens[at : min(end, at + GRAIN)], at, want_logits=True)
        assert logits is not None
        return logits.copy()

    plain, other = context(), context()
    for edge in (window - 1, window):
        plain.clear()
        read(plain, 0, edge)
        state = plain.save(edge)
        ahead = read(plain, edge, edge + window + 3)
        for one in (state, plain.save(edge)):  # the second is the beginning of a longer sequence
            assert other.load(one, edge)
            assert np.array_equal(read(other, edge, edge + window + 3), ahead), edge
    for one in (plain, other):
        one.close()
    model.close()


@pytest.mark.parametrize("length", [127, 128, 129, 63, 64, 65, 300])
def test_a_sliding_window_changes_nothing_in_what_a_seed_says(tmp_path: Path, length: int) -> None:
    path = tiny.sliding_model(tmp_path / "sliding.gguf", window=64)

    def asked(first: int, core: int = 0) -> Request:
        prompt = (*[3 + (7 * at) % 200 for at in range(length)], *range(first, first + 90))
        return Request(prompt, n=3, sampling=Sampling(), seed=5, max_tokens=8, core=core)

    first = with_states(path, tmp_path)
    cold = [draw(first, asked(start, core=length)) for start in (3, 40)]
    warm = [draw(first, asked(start)) for start in (3, 40)]
    first.close()
    second = with_states(path, tmp_path)
    later = [draw(second, asked(start)) for start in (40, 3)][::-1]
    second.close()
    for one, again, after in zip(cold, warm, later, strict=True):
        assert one.candidates == again.candidates == after.candidates
    assert later[1].cached_tokens > 0


@pytest.mark.real
def test_reuse_and_states_are_exact_on_the_real_model(policy_path: Path, tmp_path: Path) -> None:
    model = bindings.Model(policy_path)
    text = " ".join(f"Line {at}: the meeting is moved to {at % 12} o'clock." for at in range(40))
    tokens = model.tokenize(text, control=False)[:141]

    def context() -> bindings.Context:
        return bindings.Context(model, cells=256, sequences=3, chunk=CHUNK, threads=2)

    def read(into: bindings.Context, *pieces: int) -> np.ndarray:
        logits = None
        for start, end in pairwise(pieces):
            logits = into.prefill(tokens[start:end], start, want_logits=end == len(tokens))
        assert logits is not None
        return logits.copy()

    first, second = context(), context()
    expected = read(first, 0, 128, 141)
    for cut in (8, 120):
        assert first.truncate(cut)
        assert np.array_equal(read(first, cut, 128, 141), expected), cut
    assert second.load(first.save(104), 104)
    assert np.array_equal(read(second, 104, 141), expected)
    first.close()
    second.close()
    model.close()
