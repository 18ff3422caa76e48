from __future__ import annotations

from edge_ttp.answer.outline import alike, content
from edge_ttp.answer.plain_pairs import SIZE, passages
from edge_ttp.samples import SAMPLE_USERS, sample_items
from edge_ttp.schema import HistoryItem

ITEMS = [
    HistoryItem(user_id=user, input=one["input"], output=one["output"], kind=one["kind"])
    for user in SAMPLE_USERS
    for one in sample_items(user)
]


def test_a_passage_holds_pairs_of_one_user_and_no_two_that_are_alike() -> None:
    found = list(passages(ITEMS, seed=1))
    assert {one.user_id for one in found} == set(SAMPLE_USERS)
    assert {one.depth for one in found} == {"flat", "words", "sparse"}
    own = {user: {item.output for item in ITEMS if item.user_id == user} for user in SAMPLE_USERS}
    for one in found:
        texts = [pair.text for pair in one.pairs]
        assert len(texts) == SIZE == len(set(texts))
        assert set(texts) <= own[one.user_id]
        words = [content(text) for text in texts]
        assert not any(alike(first, second) for at, first in enumerate(words) for second in words[:at])


def test_the_same_seed_gives_the_same_passages_and_another_one_others() -> None:
    assert list(passages(ITEMS, seed=1)) == list(passages(ITEMS, seed=1)) != list(passages(ITEMS, seed=2))


def test_near_duplicates_alone_make_no_passage() -> None:
    same = [HistoryItem(user_id="ann", input=str(at), output="The boiler man comes today!") for at in range(8)]
    assert list(passages(same)) == []
