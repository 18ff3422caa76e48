"""The run itself finds what it is there to find; and `make soak` gives it hundreds of inputs of each kind."""

from __future__ import annotations

from dataclasses import replace

import pytest

from . import kinds
from .table import as_page, as_text, faults
from .watch import Result, run

pytestmark = pytest.mark.slow

EACH = 850
"""With thirteen kinds more than ten thousand in all."""


@pytest.mark.parametrize("kind", kinds.KINDS)
def test_a_few_inputs_of_each_kind_break_nothing(kind: str) -> None:
    results = list(run(kind, seed=1, numbers=range(3)))
    assert len(results) == 3
    assert not faults({kind: results})


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("kind", kinds.KINDS)
def test_hundreds_of_inputs_of_each_kind_break_nothing(kind: str) -> None:
    results = {kind: list(run(kind, seed=0, numbers=range(EACH)))}
    print(as_text(results, kinds.KINDS))
    assert not faults(results)


@pytest.fixture(scope="module")
def broken() -> dict[str, Result]:
    """What the run says of calls that break in every way it knows."""
    return {one.what: one for one in run("broken", seed=0, numbers=range(6))}


@pytest.mark.parametrize("outcome", ["answered", "refused", "death", "traceback", "wrong", "memory"])
def test_a_call_that_breaks_is_seen(broken: dict[str, Result], outcome: str) -> None:
    assert broken[outcome].outcome == outcome, broken[outcome].words


def test_a_late_call_is_seen() -> None:
    (late,) = run("broken", seed=0, numbers=[6])
    assert late.outcome == "late"


def test_the_table_counts_and_names_every_fault(broken: dict[str, Result]) -> None:
    results = {"broken": list(broken.values())}
    text, page = as_text(results, {}), as_page(results, {}, "the command")
    assert text.splitlines()[1].split()[1:9] == ["6", "1", "1", "1", "1", "0", "1", "1"]
    assert f"Made at commit {next(iter(broken.values())).commit} by:" in page
    mixed = {**results, "other": [replace(one, kind="other", commit="abc") for one in results["broken"][:2]]}
    assert ", at abc (other) by:" in as_page(mixed, {}, "the command")
    for fault in ("death", "traceback", "memory", "wrong"):
        assert f"{fault}: --kind broken --seed 0 --only" in text
        assert f"{fault}: --kind broken --seed 0 --only" in page
