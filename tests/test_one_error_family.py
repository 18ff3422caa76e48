"""Everything that crosses the API is an EdgeTTPError: wrong values, wrong types, wrong order."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from edge_ttp import Budget, EdgeTTPError, Feedback, Generation, History, HistoryItem, Plan, Runtime, Sampling
from edge_ttp.errors import InvalidInput
from edge_ttp.schema import Candidate, Event, LoraAdapter

WRONG: list[Any] = [
    None,
    5,
    -1,
    2.5,
    True,
    b"bytes",
    "",
    "text",
    [],
    {},
    object(),
    float("nan"),
    10**30,
    10**5000,
    "\ud800",
]


def test_a_wrong_value_is_invalid_input_with_its_name_and_value() -> None:
    with pytest.raises(InvalidInput, match=r"^deadline_s=-1: input should be greater than 0; see Budget in"):
        Budget(deadline_s=-1)
    with pytest.raises(ValueError, match="deadline_s"):  # so that a program may also catch Python's own
        Budget(deadline_s=-1)
    with pytest.raises(InvalidInput, match="top_p=7"):
        Sampling.model_validate({"top_p": 7})
    with pytest.raises(InvalidInput, match="Sampling"):
        Sampling.model_validate_json("{")
    with pytest.raises(InvalidInput, match="nonsense=1"):
        Budget(nonsense=1)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    "kind", [Budget, Sampling, HistoryItem, Candidate, Plan, Generation, Feedback, Event, LoraAdapter]
)
def test_nothing_else_comes_out_of_the_types_of_the_border(kind: type) -> None:
    for name in kind.model_fields:
        for value in WRONG:
            with suppress(EdgeTTPError):
                kind(**{name: value})


ASK = (
    *("user", "n", "budget", "select", "sampling", "seed", "kind", "examples", "recall_for", "turns", "system"),
    *("context", "messages", "speaker", "priority", "cancel", "store", "model"),
)


@pytest.mark.parametrize("name", ASK)
def test_a_request_of_the_wrong_type_is_refused_before_a_model_is_loaded(name: str) -> None:
    with Runtime.open() as runtime:
        for value in WRONG:
            with pytest.raises(EdgeTTPError):
                runtime.generate("hello", **{name: value})


CALLS: dict[str, Callable[[Runtime, Any], object]] = {
    "prompt": lambda runtime, wrong: runtime.generate(wrong),
    "plan": lambda runtime, wrong: runtime.plan("hello", user=wrong),
    "feedback": lambda runtime, wrong: runtime.feedback(wrong, "accept"),
    "feedback kind": lambda runtime, wrong: runtime.feedback("g", wrong),
    "feedback candidate": lambda runtime, wrong: runtime.feedback("g", "prefer", candidate=wrong),
    "retract": lambda runtime, wrong: runtime.retract(wrong),
    "adapt": lambda runtime, wrong: runtime.adapt(for_s=wrong) if wrong is not None else None,
    "generations": lambda runtime, wrong: runtime.generations(wrong),
    "limit": lambda runtime, wrong: runtime.generations(limit=wrong),
    "stream": lambda runtime, wrong: list(runtime.stream(wrong)),
    "import": lambda runtime, wrong: runtime.import_(wrong),
    "open threads": lambda runtime, wrong: Runtime.open(threads=wrong, model="none"),
    "open model": lambda runtime, wrong: Runtime.open(model=wrong).generate("x"),
    "open user": lambda runtime, wrong: Runtime.open(user=wrong, model="none"),
    "add": lambda runtime, wrong: runtime.history.add(wrong),
    "add many": lambda runtime, wrong: runtime.history.add_many([wrong]),
    "record": lambda runtime, wrong: runtime.history.record(wrong),
    "add_feedback": lambda runtime, wrong: runtime.history.add_feedback(wrong),
    "item": lambda runtime, wrong: runtime.history.item(wrong),
    "items": lambda runtime, wrong: runtime.history.items(wrong),
    "items before": lambda runtime, wrong: runtime.history.items("ann", before=wrong),
    "items limit": lambda runtime, wrong: runtime.history.items("ann", limit=wrong),
    "recall": lambda runtime, wrong: runtime.history.recall("ann", wrong, 3),
    "recall k": lambda runtime, wrong: runtime.history.recall("ann", "hello", wrong),
    "recall user": lambda runtime, wrong: runtime.history.recall(wrong, "hello", 3),
    "search": lambda runtime, wrong: runtime.history.search("ann", wrong),
    "count": lambda runtime, wrong: runtime.history.count(wrong),
    "generation": lambda runtime, wrong: runtime.history.generation(wrong),
    "retention": lambda runtime, wrong: runtime.history.set_retention("ann", wrong),
    "retention user": lambda runtime, wrong: runtime.history.set_retention(wrong, 5),
    "forget": lambda runtime, wrong: runtime.history.forget(wrong, everything=True),
    "forget item": lambda runtime, wrong: runtime.history.forget("ann", item_id=wrong),
    "forget before": lambda runtime, wrong: runtime.history.forget("ann", before=wrong),
    "restore": lambda runtime, wrong: runtime.history.restore_backup(wrong),
    "metadata": lambda runtime, wrong: runtime.history.add(
        HistoryItem(user_id="ann", input="a", output="b", metadata={"a": wrong})
    ),
    "open history": lambda runtime, wrong: History.open(wrong, create=False),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_call_with_nonsense_answers_or_refuses_in_one_line(name: str, tmp_path: Path) -> None:
    with Runtime.open() as runtime:
        for wrong in WRONG:
            with suppress(EdgeTTPError):
                CALLS[name](runtime, wrong)


def test_deep_metadata_and_lost_moments_are_refused() -> None:
    deep: dict[str, Any] = {}
    for _ in range(50):
        deep = {"a": deep}
    with Runtime.open() as runtime:
        with pytest.raises(InvalidInput, match="metadata"):
            runtime.history.add(HistoryItem(user_id="ann", input="a", output="b", metadata=deep))
        stored = runtime.history.add(HistoryItem(user_id="ann", input="a", output="b", created_at=datetime.max))
        assert runtime.history.item(int(stored.id or 0)).created_at.year == 9999


@pytest.mark.parametrize("value", [{"top_p": 5}, {"top_p": 5, "temperature": -1}])
def test_a_wrong_value_reads_the_same_however_it_comes(value: dict[str, float]) -> None:
    with pytest.raises(InvalidInput) as made:
        Sampling(**value)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput) as validated:
        Sampling.model_validate(value)
    assert str(validated.value) == str(made.value)
    assert str(made.value).startswith("top_p=5: ")
