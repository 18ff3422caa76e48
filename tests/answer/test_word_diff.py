from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some

from edge_ttp.answer.word_diff import changes

TEXTS = some.lists(some.sampled_from(["we", " ", "meet", "Friday", ".", "\n", "can't"])).map("".join)


@given(TEXTS, TEXTS)
def test_the_pieces_make_up_both_texts(before: str, after: str) -> None:
    found = changes(before, after)
    assert "".join(one.text for one in found if one.op != "added") == before
    assert "".join(one.text for one in found if one.op != "removed") == after


def test_what_changed_is_shown_by_words() -> None:
    assert [(one.op, one.text) for one in changes("I will come", "I'll come")] == [
        ("removed", "I will"),
        ("added", "I'll"),
        ("same", " come"),
    ]
