"""A long text in parts: together they are the text, none is longer than a small policy can say again."""

from __future__ import annotations

import pytest

from edge_ttp.answer.text_parts import LONGEST_PART, PART, parts

SENTENCE = "A" * 398 + ". "
"""400 characters with the space behind it."""


def test_parts_make_up_the_text_and_keep_to_a_length() -> None:
    text = "\n\n".join(f"Paragraph {number}. " + "Some words stand here. " * 20 for number in range(6)).strip()
    text += "\n\n" + "One long sentence after another follows. " * 60
    pieces = parts(text)
    assert "".join(one + after for one, after in pieces) == text.strip()
    assert len(pieces) > 5
    assert max(len(one) for one, _ in pieces) <= LONGEST_PART


def test_short_paragraphs_share_a_part_with_what_stood_between_them() -> None:
    assert parts("  One.\n\nTwo.\n \nThree.  ") == [("One.\n\nTwo.\n \nThree.", "")]


def test_a_paragraph_that_does_not_fit_beside_the_last_begins_a_part() -> None:
    first, second = "a" * PART, "b"
    assert parts(f"{first}\n\n{second}") == [(first, "\n\n"), (second, "")]
    assert parts(f"{first[1:]}\n\n{second}") == [(f"{first[1:]}\n\n{second}", "")]


def test_a_paragraph_is_parted_at_sentences_only_where_it_is_too_long() -> None:
    assert parts(SENTENCE * 3) == [((SENTENCE * 3).strip(), "")]
    assert [len(one) for one, _ in parts(SENTENCE * 4)] == [399, 399, 399, 399]


@pytest.mark.parametrize("text", ["", " \n\n "])
def test_nothing_has_no_parts(text: str) -> None:
    assert parts(text) == []
