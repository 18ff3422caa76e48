"""A candidate put together from pieces: its end, stop texts, what was told, and an answer begun anew."""

from __future__ import annotations

import pytest

from edge_ttp.policy.elsewhere.hearing import Heard, shares
from edge_ttp.policy.elsewhere.openai_form import Piece
from edge_ttp.policy.elsewhere.spelling import read
from edge_ttp.schema import FinishReason


def heard(*pieces: Piece, max_tokens: int = 8, stops: tuple[bytes, ...] = ()) -> Heard:
    one = Heard(0, seed=11, max_tokens=max_tokens, stops=stops)
    for piece in pieces:
        one.take(piece)
    return one


def test_pieces_are_put_together_with_their_tokens_and_log_probabilities() -> None:
    one = heard(Piece(0, " a quiet", 2, -1.5), Piece(0, " day", 1, -0.25), Piece(0, finish="stop"))
    candidate = one.candidate()
    assert (candidate.text, candidate.tokens, candidate.logprob, candidate.seed) == ("a quiet day", 3, -1.75, 11)
    assert candidate.finish_reason == "stop"
    assert one.scored == one.tokens == 3
    assert read(one.token_ids) == " a quiet day"


def test_an_engine_that_counts_nothing_sends_a_token_at_a_time() -> None:
    one = heard(Piece(0, "a"), Piece(0, ""), Piece(0, " b"))
    assert (one.tokens, one.scored) == (2, 0)
    assert not one.complete


def test_a_stop_text_ends_it_though_it_comes_in_two_pieces() -> None:
    one = heard(Piece(0, "yes\nUs"), stops=(b"\nUser:", b"END"))
    assert not one.complete
    assert one.new_text() == "yes"  # the rest may be the stop's beginning
    one.take(Piece(0, "er: more"))
    assert one.complete
    assert one.cut
    one.take(Piece(0, " and more", finish="length"))
    assert one.candidate().text == "yes"
    assert one.candidate().finish_reason == "stop"


def test_an_engine_that_never_ends_is_ended_a_little_behind_the_length() -> None:
    one = heard(*[Piece(0, "a ")] * 23)
    assert not one.complete
    one.take(Piece(0, "a "))
    assert (one.candidate().finish_reason, one.cut, one.tokens) == ("length", True, 24)


@pytest.mark.parametrize("ended", ["deadline", "cancelled", None])
def test_what_is_not_complete_ended_as_the_call_did(ended: FinishReason | None) -> None:
    assert heard(Piece(0, "half")).candidate(ended).finish_reason == (ended or "cancelled")
    assert heard(Piece(0, "whole", finish="stop")).candidate(ended).finish_reason == "stop"


def test_an_answer_begun_anew_tells_nothing_twice() -> None:
    one = heard(Piece(0, "a quiet", 2, -1.0))
    assert one.new_text() == "a quiet"
    one.begin_again()
    assert (one.tokens, one.scored, one.candidate().text) == (0, 0, "")
    one.take(Piece(0, "a qui"))
    assert one.new_text() == ""
    one.take(Piece(0, "et day", finish="stop"))
    assert one.new_text() == " day"


def test_a_text_counts_as_one_token_at_least() -> None:
    assert heard(Piece(0, "all", tokens=0, finish="stop")).candidate().tokens == 1
    assert heard(Piece(0, finish="stop")).candidate().tokens == 0


def test_candidates_of_one_temperature_are_asked_for_together() -> None:
    wanted = [Heard(index, seed=index, max_tokens=8) for index in range(5)]
    assert shares(wanted, several=False, temperatures=(1.0,)) == [[one] for one in wanted]
    assert shares(wanted, several=True, temperatures=(1.0,)) == [wanted]
    groups = shares(wanted, several=True, temperatures=(0.5, 1.0))
    assert [[one.index for one in group] for group in groups] == [[0, 2, 4], [1, 3]]
    assert shares([], several=True, temperatures=(1.0,)) == []
