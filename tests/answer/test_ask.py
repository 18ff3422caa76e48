"""Requests that cannot be meant."""

from __future__ import annotations

import pytest
from fakes import FakePolicy, rooms

from answer.requests import ask, row_counts
from edge_ttp.answer import generate
from edge_ttp.answer.ask import Ask
from edge_ttp.errors import InvalidInput
from edge_ttp.history import History
from edge_ttp.schema import MAX_TEXT, Rewrite, Sampling


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"prompt": ""}, "the prompt is empty"),
        ({"prompt": " \n\t"}, "the prompt is empty"),
        ({"prompt": "x" * (MAX_TEXT + 1)}, "200001 characters"),
        ({"prompt": "bad \udcff"}, "the prompt is not valid Unicode"),
        ({"turns": (("fine", "bad \udcff"),)}, "an earlier answer is not valid Unicode"),
        ({"turns": (("bad \udcff", "fine"),)}, "an earlier prompt is not valid Unicode"),
        ({"sampling": Sampling(stop=("\udcff",))}, "a stop string is not valid Unicode"),
        ({"sampling": Sampling(logit_bias={"": 1.0})}, "a logit bias is for no text"),
        ({"sampling": Sampling(logit_bias={"\udcff": 1.0})}, "a text with a logit bias is not valid Unicode"),
        ({"sampling": Sampling(json_schema={"type": "unheard-of"})}, "the JSON schema cannot be turned"),
        ({"sampling": Sampling(json_schema={}, grammar="root ::= x")}, "both a grammar and a JSON schema"),
        ({"recall_for": "\udcff"}, "the text to recall for is not valid Unicode"),
        ({"kind": ""}, "kind '' is no label"),
        ({"kind": "a\nb"}, "is no label"),
        ({"n": 0}, "n=0"),
        ({"n": -3}, "n=-3"),
        ({"n": 100_000}, "n=100000"),
        ({"seed": -1}, "seed -1"),
        ({"seed": 2**63}, "seed 9223372036854775808"),
        ({"examples": -1}, "-1 examples"),
    ],
)
def test_a_request_that_cannot_be_meant_is_refused_before_any_work(
    history: History, fields: dict[str, object], words: str
) -> None:
    policy = FakePolicy()
    with pytest.raises(InvalidInput, match=words):
        generate(rooms(history, policy), ask(**fields))  # type: ignore[arg-type]
    assert policy.requests == policy.messages == []
    assert row_counts(history.path)["generations"] == 0


def test_the_largest_seed_can_be_recorded(history: History) -> None:
    result = generate(rooms(history), ask(seed=2**63 - 1))
    assert history.generation(result.generation_id).candidates == result.candidates


def test_nothing_to_say_again_is_said_as_that() -> None:
    with pytest.raises(InvalidInput, match="the text is empty; give what should be said again"):
        Ask(" ", "ann", n=6, seed=5, sampling=Sampling(), rewrite=Rewrite())
