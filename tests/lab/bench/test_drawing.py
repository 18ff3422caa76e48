"""Candidates are drawn as a request would: what was known before, lengths by the user's own, one seed a query."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from fakes import FakePolicy

from edge_ttp.answer.prompt import Style
from edge_ttp.errors import InvalidInput
from edge_ttp.lab.bench.corpus import Query, seed_of
from edge_ttp.lab.bench.drawing import Artist, DrawnText, draw_missing, owner_of
from edge_ttp.policy.llama import LlamaPolicy
from edge_ttp.schema import HistoryItem

START = datetime(2026, 1, 1, tzinfo=UTC)
ITEMS = [
    HistoryItem(
        id=place + 1,
        user_id="ann",
        input=f"what grows in {where}",
        output=f"fern in {where} and heath",
        created_at=START + timedelta(days=place),
    )
    for place, where in enumerate(("spring", "summer", "autumn", "winter"))
]
NEWEST = Query("notes", ITEMS[3], 3, tuple(ITEMS[:3]))
OLDER = Query("notes", ITEMS[2], 2, tuple(ITEMS[:2]))


@pytest.fixture
def policy() -> FakePolicy:
    return FakePolicy()


@pytest.fixture
def artist(policy: FakePolicy) -> Iterator[Artist]:
    with Artist.over(cast(LlamaPolicy, policy), "chat", [OLDER, NEWEST], longest=8) as opened:
        yield opened


def test_a_text_comes_back_from_its_list() -> None:
    one = DrawnText("a b", 3, -1.23456, "stop", 0.8)
    assert json.loads(json.dumps(one.as_list())) == ["a b", 3, -1.2346, "stop", 0.8]
    assert DrawnText.of(one.as_list()) == DrawnText("a b", 3, -1.2346, "stop", 0.8)
    assert (one.candidate.text, one.candidate.tokens, one.candidate.logprob) == ("a b", 3, -1.23456)


def test_only_what_was_written_before_the_query_is_recalled(artist: Artist) -> None:
    assert {given for given, _ in artist.examples(OLDER, 9)} == {"what grows in spring", "what grows in summer"}
    assert len(artist.examples(NEWEST, 9)) == 3
    assert artist.examples(NEWEST, 0) == []


def test_a_user_of_two_tasks_is_two() -> None:
    assert owner_of(NEWEST) == "notes/ann" != owner_of(Query("mails", ITEMS[3], 3, ()))


def test_each_temperature_gives_one_candidate_from_the_querys_own_seed(artist: Artist, policy: FakePolicy) -> None:
    pool = artist.draw(NEWEST, artist.examples(NEWEST, 2), (0.0, 0.8, 0.8))
    assert [one.temperature for one in pool.candidates] == [0.0, 0.8, 0.8]
    assert pool.examples == 2
    (request,) = policy.requests
    assert (request.n, request.seed, request.max_tokens) == (3, seed_of(NEWEST), 8)
    assert request.sampling.temperatures == (0.0, 0.8, 0.8)
    assert pool.prompt == request.prompt
    again = artist.draw(NEWEST, artist.examples(NEWEST, 2), (0.0, 0.8, 0.8))
    assert again.candidates == pool.candidates


def test_examples_that_do_not_fit_are_left_out(artist: Artist, policy: FakePolicy) -> None:
    long = [("word " * 1500, "fern"), ("what is it", "heath")]
    assert artist.draw(NEWEST, long, (0.8,)).examples == 2
    policy.context = 200
    assert artist.draw(NEWEST, long[1:], (0.8,)).examples == 1
    assert artist.draw(NEWEST, [long[1], *[("word " * 40, "fern")] * 5], (0.8,)).examples < 6


def test_what_prompts_with_one_core_share_is_counted(artist: Artist) -> None:
    core = [("what is it", "heath"), ("tell me more", "fern")]
    prompt = artist.draw(NEWEST, [*reversed(core)][::-1], (0.8,)).prompt
    assert artist.shared(prompt, []) == 0
    assert artist.shared((1, 2, 3), core) == 0
    other = artist.draw(NEWEST, core, (0.8,)).prompt
    assert 0 < artist.shared(other, core) < len(other)


@dataclass(frozen=True)
class Recipe:
    """How the pools of these tests are drawn."""

    n: int
    style: Style = "chat"
    longest: int = 8

    def header(self) -> dict[str, Any]:
        return {"results": "test pools", "n": self.n}


def test_what_was_drawn_is_kept_and_only_what_is_missing_is_drawn(policy: FakePolicy, tmp_path: Path) -> None:
    out, done, cancel = tmp_path / "pools", list[int](), threading.Event()

    def record(artist: Artist, query: Query) -> dict[str, Any]:
        pool = artist.draw(query, artist.examples(query), (0.8,) * 2)
        return {"candidates": [one.as_list() for one in pool.candidates]}

    def drawn(recipe: Recipe, **options: Any) -> int:
        return draw_missing(
            cast(LlamaPolicy, policy), [OLDER, NEWEST], out, recipe, record, advance=done.append, **options
        )

    cancel.set()
    assert drawn(Recipe(2), cancel=cancel) == 0
    assert drawn(Recipe(2)) == 2
    first = out.read_bytes()
    assert drawn(Recipe(2)) == 2
    assert (len(policy.requests), done) == (2, [1, 2, 1, 2])
    assert out.read_bytes() == first
    with pytest.raises(InvalidInput, match="made with another n"):
        drawn(Recipe(3))
