"""Pools with own, no and a stranger's history: what is drawn of each, by the same seeds, and gone on with."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest
from fakes import FakePolicy

from edge_ttp.errors import InvalidInput
from edge_ttp.lab.bench.corpus import seed_of
from edge_ttp.lab.bench.halves import halved_queries
from edge_ttp.lab.bench.quality_pools import COLDER, DRAWN_AT, DrawnQuery, QualityRecipe, draw
from edge_ttp.lab.bench.resumable import Resumable
from edge_ttp.lab.bench.scored_pools import TUNE
from edge_ttp.policy.llama import LlamaPolicy
from tests.lab.bench.test_halves import write

RECIPE = QualityRecipe("0" * 64, "chat", n=2, colder=1, longest=8)


def test_pools_are_drawn_with_own_no_and_a_strangers_history_and_go_on(tmp_path: Path) -> None:
    queries = halved_queries(write(tmp_path / "corpus"), ["notes"], tenths=TUNE, users=1)[:2]
    policy, out = FakePolicy(), tmp_path / "pools"

    def drawn(count: int, **options: float) -> int:
        return draw(cast(LlamaPolicy, policy), queries[:count], out, RECIPE, advance=lambda done: None, **options)

    assert drawn(2, minutes=0) == 0
    assert drawn(1) == 1
    first = out.read_bytes()
    assert drawn(2) == 2
    assert out.read_bytes().startswith(first)
    header, held = Resumable.read(out)
    assert header == {
        "results": "quality pools", "format": 1, "model": "0" * 64, "style": "chat", "n": 2, "colder": 1,
        "longest": 8, "examples": 4, "each": 8,
    }  # fmt: skip
    for query, record in zip(queries, held.values(), strict=True):
        found = DrawnQuery.of(record)
        assert [one.temperature for one in found.own] == [0.0, DRAWN_AT, DRAWN_AT, COLDER]
        assert [one.temperature for one in found.none] == [0.0, DRAWN_AT]
        assert [one.temperature for one in found.stranger] == [0.0, DRAWN_AT, DRAWN_AT]
        assert found.recalled in [item.output for item in query.query.history]
        assert set(found.seconds) == {"own", "none", "stranger"}
        assert found.by < len(query.strangers)
    own, none, stranger = policy.requests[:3]
    assert {own.seed, none.seed, stranger.seed} == {seed_of(queries[0].query)}
    assert len({own.max_tokens, none.max_tokens, stranger.max_tokens}) == 1
    assert len(none.prompt) < len(own.prompt)


def test_a_file_made_in_another_way_is_refused(tmp_path: Path) -> None:
    queries = halved_queries(write(tmp_path / "corpus"), ["notes"], tenths=TUNE, users=1)[:1]
    out = tmp_path / "pools"
    for recipe in (RECIPE, QualityRecipe("0" * 64, "chat", n=3, colder=1, longest=8)):
        if out.exists():
            with pytest.raises(InvalidInput, match="another n"):
                draw(cast(LlamaPolicy, FakePolicy()), queries, out, recipe, advance=lambda done: None)
        else:
            draw(cast(LlamaPolicy, FakePolicy()), queries, out, recipe, advance=lambda done: None)
