"""The caches of one policy: who gets which, what is kept, what goes, and that nobody gets what was read for another."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from edge_ttp.budget.timed import CHUNK
from edge_ttp.policy import bindings, seats
from edge_ttp.policy.job import Claim
from edge_ttp.policy.llama import LlamaPolicy
from edge_ttp.policy.memory import Footprint
from edge_ttp.policy.prefixes import WORTH
from edge_ttp.policy.request import Control, Request, Sampled
from edge_ttp.policy.seats import Seat, Seats, read_with
from edge_ttp.schema import Sampling

from .tiny_calls import FREE, conversation


def test_six_conversations_in_turn_are_all_read_on(policy: LlamaPolicy) -> None:
    prompts = [conversation(first, prompt=CHUNK + 30) for first in (1, 30, 60, 90, 120, 150)]
    first = [policy.sample(one, FREE) for one in prompts]
    again = [policy.sample(one, FREE) for one in prompts]
    assert [one.cached_tokens for one in again] == [CHUNK + 30] * 6
    assert [one.candidates for one in again] == [one.candidates for one in first]
    assert len(policy._seats.all) == 1  # the others are states


def test_more_candidates_of_the_same_prompt_need_a_larger_cache_and_no_second_reading(policy: LlamaPolicy) -> None:
    few, many = conversation(1, n=2, prompt=CHUNK + 30), conversation(1, n=40, prompt=CHUNK + 30)
    fresh = policy.sample(many, FREE)
    policy.forget()
    policy._seats.clear()
    policy.sample(few, FREE)
    sampled = policy.sample(many, FREE)
    assert len(policy._seats.all) == 2
    assert sampled.cached_tokens == CHUNK + 30
    assert sampled.candidates == fresh.candidates
    # Nobody else's prompt is passed on.
    assert policy.sample(conversation(1, n=80, prompt=CHUNK + 30), FREE, claim=Claim(user="bob")).cached_tokens == 0


def test_caches_that_company_needed_go_when_it_is_gone(policy: LlamaPolicy, monkeypatch: pytest.MonkeyPatch) -> None:
    together = threading.Barrier(2 * seats.KEPT)

    def call(first: int) -> None:
        together.wait()
        policy.sample(conversation(first, n=2), FREE, claim=Claim(user=str(first)))

    with ThreadPoolExecutor(2 * seats.KEPT) as threads:
        list(threads.map(call, range(2 * seats.KEPT)))
    assert len(policy._seats.all) <= seats.KEPT
    # Together they may be as large as the model, or 192 MiB where that is more.
    monkeypatch.setattr(seats, "_SMALL", 1)
    policy.sample(conversation(1), FREE)
    assert len(policy._seats.all) == 1


def test_a_crowd_takes_no_more_caches_than_allowed(policy: LlamaPolicy, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = policy.sample(conversation(1, n=2), FREE)
    policy._seats.clear()
    one = policy._footprint.total(policy.layout(50, 12, 2).cells, 3, "f16") - policy._footprint.fixed
    monkeypatch.setattr(seats, "COMPANY", 2)
    monkeypatch.setattr(seats, "UNDER_WAY", max(policy._footprint.weights, 3 * one))
    most = []

    def call(first: int) -> Sampled:
        listen = Control(on_step=lambda _: most.append(sum(seat.busy for seat in policy._seats.all)))
        return policy.sample(conversation(first, n=2), listen, claim=Claim(user=str(first)))

    with ThreadPoolExecutor(16) as threads:
        answered = list(threads.map(call, range(1, 17)))
    assert answered[0].candidates == alone.candidates
    assert max(most) <= max(policy._footprint.weights, 3 * one) // one


def test_a_wipe_reaches_the_caches_under_way_when_they_are_done(policy: LlamaPolicy) -> None:
    asked = threading.Event()

    def hold(_: object) -> int:
        policy.forget()
        asked.set()
        return 0

    prompt = conversation(n=4, prompt=CHUNK + 10)
    policy.sample(prompt, Control(first_wave=2, more=hold))
    assert asked.is_set()
    assert policy.sample(prompt, FREE).cached_tokens == 0


@pytest.fixture
def loaded(tiny_path: Path) -> Iterator[Seating]:
    seating = Seating(tiny_path)
    yield seating
    seating.close()


class Seating:
    """Seats over the random model, and calls on them."""

    def __init__(self, path: Path) -> None:
        self.model = bindings.Model(path)
        self.seats = Seats(self.model, chunk=CHUNK, threads=1, pool=None)
        _, key, value = self.model.head_widths
        self.footprint = Footprint(
            weights=self.model.size_bytes,
            vocabulary=self.model.vocab_size,
            embedding=self.model.embedding,
            heads=self.model.heads,
            kv_elements=(key + value) * self.model.heads * self.model.layers,
            blocks_of_32=True,
            chunk=CHUNK,
        )

    def take(self, prompt: tuple[int, ...], owner: str, *, limit: int = 2**40, n: int = 2) -> Seat | None:
        layout = self.footprint.lay_out(prompt=len(prompt), max_tokens=8, n=n, most_sequences=256, limit=None)
        return self.seats.take(
            prompt, layout, [], owner=owner, footprint=self.footprint, loaded=frozenset(), limit=limit
        )

    def read(self, prompt: tuple[int, ...], owner: str) -> Seat:
        """A call that reads the prompt, draws and ends."""
        seat = self.take(prompt, owner)
        assert seat is not None
        seat.engine.sample(Request(prompt, n=2, sampling=Sampling(), seed=1, max_tokens=2), FREE, width=2)
        self.seats.give(seat, footprint=self.footprint)
        return seat

    def close(self) -> None:
        for seat in self.seats.all:
            seat.busy = False
        self.seats.clear()
        self.model.close()


PROMPT = tuple(range(3, 103))


def test_what_was_read_for_one_user_is_nothing_to_another(loaded: Seating) -> None:
    with_nothing = read_with([], "f16")
    seat = loaded.read(PROMPT, "ann")
    assert loaded.seats.resident(PROMPT, "ann", with_nothing) == len(PROMPT)
    assert loaded.seats.resident(PROMPT, "bob", with_nothing) == 0
    assert loaded.seats.resident(PROMPT, "ann", read_with([], "q8_0")) == 0
    again = loaded.take(PROMPT, "bob")
    assert again is seat  # the cache itself is the same
    assert again.engine.resident(PROMPT) == 0
    assert loaded.seats.prefixes.size > 0  # ann's prompt lies beside it now
    loaded.seats.give(again, footprint=loaded.footprint)
    assert loaded.seats.resident(PROMPT, "ann", with_nothing) == len(PROMPT)


def test_every_call_under_way_has_a_seat_of_its_own(loaded: Seating) -> None:
    first, second = loaded.take(PROMPT, "ann"), loaded.take(PROMPT, "ann")
    assert first is not None
    assert second is not None
    assert first is not second
    assert loaded.seats.busy
    loaded.seats.give(first, footprint=loaded.footprint)
    loaded.seats.give(second, footprint=loaded.footprint)
    assert not loaded.seats.busy


def test_without_room_beside_a_call_under_way_there_is_no_seat(loaded: Seating) -> None:
    first = loaded.take(PROMPT, "ann")
    assert first is not None
    held = loaded.seats.held_bytes(loaded.footprint)
    assert loaded.take(PROMPT, "bob", limit=held) is None
    loaded.seats.give(first, footprint=loaded.footprint)
    assert loaded.take(PROMPT, "bob", limit=held) is first


def test_free_seats_and_states_make_way_for_a_larger_call(loaded: Seating) -> None:
    for first, owner in ((3, "ann"), (50, "bob")):
        loaded.read(tuple(first + at % 100 for at in range(90)), owner)
    assert loaded.seats.prefixes.size > 0
    fixed, wide = loaded.footprint.fixed, loaded.footprint.total(100 + 200 * 8, 201, "f16")
    seat = loaded.take(PROMPT, "cat", n=200, limit=max(wide, fixed))
    assert seat is not None
    assert loaded.seats.all == (seat,)
    assert loaded.seats.held_bytes(loaded.footprint) <= max(wide, fixed)


def test_a_broken_seat_is_not_trusted_again(loaded: Seating) -> None:
    seat = loaded.take(PROMPT, "ann")
    assert seat is not None
    loaded.seats.give(seat, footprint=loaded.footprint, broken=True)
    assert loaded.seats.all == ()
    assert loaded.take(PROMPT, "ann") is not seat


def test_a_wipe_of_one_user_leaves_the_others(loaded: Seating) -> None:
    with_nothing = read_with([], "f16")
    loaded.read(PROMPT, "ann")
    loaded.read(PROMPT, "bob")
    loaded.seats.wipe("ann")
    assert loaded.seats.resident(PROMPT, "ann", with_nothing) == 0
    assert loaded.seats.resident(PROMPT, "bob", with_nothing) == len(PROMPT)
    loaded.seats.wipe()
    assert loaded.seats.resident(PROMPT, "bob", with_nothing) == 0
    assert loaded.seats.prefixes.size == 0


def test_short_prompts_are_not_kept_as_states(loaded: Seating) -> None:
    loaded.read(PROMPT[: WORTH - 1], "ann")
    loaded.read(PROMPT, "bob")
    assert loaded.seats.prefixes.size == 0
