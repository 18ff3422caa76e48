"""From what a client of OpenAI's protocol wants to the runtime's options."""

from __future__ import annotations

from typing import Any

import pytest

from edge_ttp.server.access import Bearer
from edge_ttp.server.drafting import BARE_USER, options
from edge_ttp.server.wanted import Extension, Wanted

ASKED = (("system", "Be brief."), ("user", "Lunch?"))
ANN = Bearer("notes", "ann")


def wanted(model: str = "me", **fields: Any) -> Wanted:
    return Wanted(model, ASKED, **fields)  # type: ignore[arg-type]


def test_the_person_recalls_chooses_and_keeps() -> None:
    given = options(wanted(seed=3, sampling={"max_tokens": 9}), ANN)
    assert given["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Lunch?"}]
    assert (given["user"], given["seed"], given["store"], given["n"]) == ("ann", 3, True, None)
    assert given["sampling"].max_tokens == 9
    assert given["model"] is None
    assert not {"select", "speaker", "remember", "examples", "core"} & given.keys()


def test_a_bare_policy_keeps_nothing_and_nobody_needs_a_token() -> None:
    given = options(wanted("tiny", store=True), None)
    assert (given["user"], given["n"], given["store"]) == (BARE_USER, 1, False)
    assert (given["speaker"], given["select"], given["model"]) == ("policy", "first", "tiny")
    assert options(wanted("tiny", plain=True), None)["speaker"] == "text"
    assert options(wanted("tiny", user="eve"), ANN)["user"] == "ann/eve"


@pytest.mark.parametrize(("n", "best_of", "drawn", "rule"), [(1, None, 1, "first"), (3, None, 3, "logprob"),
                                                             (1, 8, 8, "logprob"), (4, 2, 4, "logprob")])  # fmt: skip
def test_a_bare_policy_draws_as_many_as_are_wanted(n: int, best_of: int | None, drawn: int, rule: str) -> None:
    given = options(wanted("tiny", n=n, best_of=best_of), None)
    assert (given["n"], given["select"]) == (drawn, rule)


@pytest.mark.parametrize(("n", "candidates", "drawn"), [(1, None, None), (2, None, 8), (6, None, 12), (200, None, 256),
                                                        (2, 5, 5), (6, 5, 6)])  # fmt: skip
def test_the_person_draws_more_than_choices_for_equal_texts_are_one(
    n: int, candidates: int | None, drawn: int | None
) -> None:
    assert options(wanted(n=n, extension=Extension(candidates=candidates)), ANN)["n"] == drawn


def test_what_openai_has_no_field_for_is_handed_on() -> None:
    extension = Extension(
        kind="chat", context=["a document"], remember="lunch", select="mean", examples=2, core=1, deadline_s=2
    )
    given = options(wanted("me/tiny", extension=extension, store=False), ANN)
    for name, value in {
        "kind": "chat", "context": ["a document"], "remember": "lunch", "select": "mean", "examples": 2, "core": 1,
        "store": False, "model": "tiny",
    }.items():  # fmt: skip
        assert given[name] == value, name
    assert given["budget"].deadline_s == 2
