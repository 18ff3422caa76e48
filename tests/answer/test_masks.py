"""Facts behind marks: hidden, kept apart from what was there, and put back word for word."""

from __future__ import annotations

import pytest

from answer.drafts import DRAFTS, Draft
from edge_ttp.answer.facts import facts_in
from edge_ttp.answer.masks import Masked, masked


def name(draft: Draft) -> str:
    return f"{draft.language}-{draft.kind}-{draft.facts[0]}"


@pytest.mark.parametrize("draft", DRAFTS, ids=name)
def test_what_is_masked_comes_back_word_for_word(draft: Draft) -> None:
    hidden = masked(draft.text)
    assert hidden.restored(hidden.text) == draft.text
    assert not [one for one in facts_in(hidden.text) if one.kind in ("link", "mail", "date")]


@pytest.mark.parametrize(
    "mangled", ["(F1) and F2", "[ F1 ] and [F2]", "<F1> and {F2}", "[F 1] and [F_2", "【F1】 ⟦F2⟧ [F1]"]
)
def test_marks_are_known_however_their_brackets_came_out(mangled: str) -> None:
    hidden = masked("Anna comes. Meet Anna and 5 cats")
    assert hidden.originals == ("Anna", "5")
    restored = hidden.restored(mangled)
    assert restored is not None
    assert "Anna" in restored
    assert "5" in restored


@pytest.mark.parametrize("lost", ["[F1] only", "[F1] [F2] [F3]", "nothing", ""])
def test_a_lost_mark_and_one_that_never_was_are_noticed(lost: str) -> None:
    assert masked("We meet Anna and 5 cats").restored(lost) is None


def test_a_text_that_has_such_marks_itself_gets_others() -> None:
    text = "Press [F1] and call Anna at 5"
    hidden = masked(text)
    assert hidden.letter != "F"
    assert hidden.restored(hidden.text) == text


def test_a_mark_without_brackets_keeps_the_space_before_it() -> None:
    assert masked("We meet Anna at 5").restored("we meet F1 at F2") == "we meet Anna at 5"


def test_facts_side_by_side_share_a_mark_and_so_does_one_said_twice() -> None:
    hidden = masked("Meet Anna on Friday, 3 pm. Tell Anna.")
    assert hidden.originals == ("Anna", "Friday, 3 pm")
    assert hidden.text == "Meet [F1] on [F2]. Tell [F1]."


def test_a_negation_stays_to_be_said_in_the_users_way() -> None:
    hidden = masked("I will not come to Oslo")
    assert hidden.text == "I will not come to [F1]"
    assert masked("i am not here") == Masked("i am not here", "F", ())


def test_what_was_never_hidden_is_put_back_as_nothing() -> None:
    hidden = masked("We meet Anna at 5")
    assert hidden.put_back("[F2], said [F1] to [F9].") == "5, said Anna to ."
    assert hidden.restored("[F1] at [F2], [F0]") is None
    assert masked("nothing to hide").restored("anything else") == "anything else"
