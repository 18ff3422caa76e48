"""An errand: who may answer it, and what a server is sent."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
import typer

from edge_ttp.cli.errand import Errand
from edge_ttp.errors import Cancelled, HistoryUnavailable
from edge_ttp.schema import Budget, Generation, LoraAdapter, Sampling


def errand(**changes: Any) -> Errand:
    fields: dict[str, Any] = {
        "user": "ann",
        "budget": Budget(deadline_s=2.0),
        "sampling": Sampling(),
        "asked": {"adapter": None, "store": True, "n": 4},
        "opened": {"model": None, "threads": None},
        "no_server": False,
    }
    return Errand(**{**fields, **changes})


@pytest.mark.parametrize(
    ("changes", "may"),
    [
        ({}, True),
        ({"opened": {"model": "small", "threads": None}}, True),
        ({"opened": {"model": None, "threads": 2}}, False),
        ({"no_server": True}, False),
        ({"asked": {"adapter": "voice", "store": True}}, True),
        ({"asked": {"adapter": "/home/ann/Mine.GGUF", "store": True}}, False),
    ],
)
def test_a_server_answers_what_it_holds_itself(changes: dict[str, Any], may: bool) -> None:
    assert errand(**changes).for_server is may


def test_adapters_given_as_files_are_read_here() -> None:
    adapter = LoraAdapter(path="/home/ann/mine.gguf", scale=1.0)
    assert not errand(sampling=Sampling(adapters=(adapter,))).for_server


def test_a_wish_names_only_what_was_given() -> None:
    wish = errand().wish(prompt="hello")
    assert wish["prompt"] == "hello"
    assert wish["budget"] == {"deadline_s": 2.0}
    assert wish["sampling"] == {}
    assert "model" not in wish
    assert wish["n"] == 4


def test_what_was_not_recorded_or_was_cancelled_is_told_by_the_exit_code() -> None:
    kept, lost = (cast("Generation", SimpleNamespace(stored=stored)) for stored in (True, False))
    errand().leave(kept)
    errand(asked={"store": False}).leave(lost)
    with pytest.raises(typer.Exit) as unrecorded:
        errand().leave(lost)
    assert unrecorded.value.exit_code == HistoryUnavailable.exit_code
    with pytest.raises(typer.Exit) as cancelled:
        errand(cancelled=True).leave(kept)
    assert cancelled.value.exit_code == Cancelled.exit_code
