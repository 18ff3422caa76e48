from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from answer.drafts import DRAFTS
from edge_ttp.answer.facts import facts_in
from edge_ttp.answer.outline import DEPTHS, alike, content, outline, pairs

TEXT = "Hi Tom,\n\nyeah I just think we can't make the 3:30 pm call with Anna Lee. Awesome work though!\n\nBest,\nJo"


def test_each_depth_says_less() -> None:
    flat, words, sparse = (outline(TEXT, depth) for depth in DEPTHS)
    assert flat == "yeah i think we can't make the 3:30 pm call with anna lee awesome work though"
    assert words == "yes think can't make 3:30 pm call anna lee good work though"
    assert set(sparse.split()) <= set(words.split())


def test_the_same_seed_gives_the_same_pairs() -> None:
    assert pairs(TEXT, seed=3) == pairs(TEXT, seed=3)
    assert len({pairs(TEXT, seed=seed) for seed in range(8)}) > 1
    assert {one.text for one in pairs(TEXT)} == {TEXT}


@pytest.mark.parametrize("draft", DRAFTS, ids=lambda one: f"{one.language}-{one.facts[0]}")
def test_facts_stand_at_every_depth(draft: object) -> None:
    text = draft.text  # type: ignore[attr-defined]
    whole = [one.shown for one in facts_in(text) if one.kind in ("link", "mail", "code")]
    for pair in pairs(text):
        assert [one for one in whole if one not in pair.outline] == []


def test_a_plain_version_is_like_its_text_and_unlike_others() -> None:
    assert alike(content(outline(TEXT, "flat")), content(TEXT))
    assert not alike(content("The cat sat on the mat"), content(TEXT))
    assert not alike(frozenset(), frozenset())


@pytest.mark.slow
@given(some.text(max_size=200), some.integers(0, 5))
def test_any_text_can_be_made_plain(text: str, seed: int) -> None:
    for pair in pairs(text, seed=seed):
        assert pair.outline
        assert pair.text == text.strip()
