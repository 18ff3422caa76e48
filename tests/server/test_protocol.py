"""OpenAI's objects made of a generation."""

from __future__ import annotations

from typing import Any

from edge_ttp.schema import Candidate, FinishReason
from edge_ttp.server.protocol import ChatForm, ResponseForm, TextForm, choices_of, finish_reason


def candidate(text: str, score: float | None, finish: FinishReason = "stop") -> Candidate:
    return Candidate(text=text, tokens=3, logprob=-1.0, finish_reason=finish, seed=0, score=score)


class Drawn:
    """As much of a generation as choices are made of."""

    def __init__(self, chosen: int, *candidates: Candidate) -> None:
        self.chosen, self.candidates = chosen, candidates


def test_choices_are_different_best_first_and_the_chosen_one_leads() -> None:
    drawn: Any = Drawn(
        2,
        candidate("a", 0.9),
        candidate("b", 0.5),
        candidate("c", 0.7),
        candidate("a", 0.8),
        candidate("d", 1, "length"),
    )
    assert choices_of(drawn, 5) == [2, 0, 1, 4]
    assert choices_of(drawn, 2) == [2, 0]


def test_an_empty_answer_is_an_answer_where_there_is_no_other() -> None:
    drawn: Any = Drawn(0, candidate("", None), candidate("", None))
    assert choices_of(drawn, 2) == [0]


def test_what_ended_early_was_cut() -> None:
    assert [finish_reason(reason) for reason in ("stop", "length", "deadline", "cancelled", "capacity")] == [
        "stop",
        "length",
        "length",
        "length",
        "length",
    ]


def test_only_the_chunk_of_usage_has_no_choices() -> None:
    usage: dict[str, Any] = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    for form in (ChatForm("x", 0, "me"), TextForm("x", 0, "me")):
        for chunk in (form.piece(0, "a", first=True), form.end(0, "stop"), form.event({"type": "planned"})):
            assert len(chunk["choices"]) == 1
        last = form.usage(usage)
        assert last["choices"] == []
        assert last["usage"] == usage
    assert ChatForm("x", 0, "me").piece(1, "a", first=True)["choices"][0]["delta"]["role"] == "assistant"


def test_a_cut_response_is_incomplete() -> None:
    details: dict[str, Any] = {
        "prompt_tokens": 1,
        "completion_tokens": 2,
        "total_tokens": 3,
        "prompt_tokens_details": {"cached_tokens": 0},
    }
    form = ResponseForm("resp_1", 0, "me")
    assert form.ending("x", details, "stop")[-1]["type"] == "response.completed"
    assert form.ending("x", details, "length")[-1]["type"] == "response.incomplete"
    assert form.whole("completed", "x", details)["output"][0]["content"][0]["text"] == "x"
