"""Habits in words: what is counted, when nothing is said, and that examples are the person's own."""

from __future__ import annotations

import pytest

from edge_ttp.learning.habits import LEAST, habits

ADA = [f"hi ben,\n\nlift {n} is alive again!! take it\n\ncheers, ada" for n in range(8)]
THEO = [f"Dear Ms. Vogel,\n\nI confirm the appointment on {n} May.\n\nKind regards\nTheo Brandt." for n in range(8)]


def named(texts: list[str]) -> dict[str, str]:
    return {one.name: one.words for one in habits(texts)}


def test_two_people_have_two_sets_of_habits() -> None:
    ada, theo = named(ADA), named(THEO)
    assert {"small_start", "exclamation", "no_full_stop"} <= ada.keys()
    assert not {"small_start", "exclamation", "no_full_stop"} & theo.keys()
    assert "“hi”" in ada["greeting"]
    assert "“Dear”" in theo["greeting"]
    assert "“cheers, ada”" in ada["closing"]


def test_examples_are_the_persons_own_and_short() -> None:
    long = ["x" * 5000 for _ in range(LEAST)]
    for texts in (ADA, THEO, long):
        joined = " ".join(" ".join(text.split()) for text in texts)
        for one in habits(texts):
            assert len(one.example) <= 160
            assert one.example.rstrip("…") in joined


def test_a_few_texts_are_no_habit() -> None:
    assert habits(ADA[: LEAST - 1]) == []
    assert habits([]) == []
    assert habits(["", "  "] * 10) == []


@pytest.mark.parametrize("text", ["!!!", "。", "\n\n", "1", "🙂", "a" * 10_000, "\u202ex"])
def test_any_text_can_be_counted(text: str) -> None:
    for one in habits([text] * 10):
        assert one.value >= 0
        assert one.words
