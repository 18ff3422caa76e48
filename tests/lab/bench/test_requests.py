from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from edge_ttp.lab.bench.requests import CASES, measure
from edge_ttp.schema import MAX_CANDIDATES


class Echo:
    """A runtime that answers with what the user wrote last, or nothing."""

    def __init__(self) -> None:
        self.added: dict[str, list[str]] = {}
        self.history = SimpleNamespace(add_many=self._add)
        self.seeds: set[int] = set()

    def _add(self, items: Any) -> None:
        for item in items:
            self.added.setdefault(item.user_id, []).append(item.output)

    def generate(self, prompt: str, *, user: str, seed: int, store: bool) -> Any:
        assert not store
        self.seeds.add(seed)
        text = self.added.get(user, [""])[-1]
        return SimpleNamespace(
            text=text,
            chosen=0,
            candidates=[SimpleNamespace(finish_reason="stop", tokens=len(text.split()))],
            plan=SimpleNamespace(examples=len(self.added.get(user, []))),
            n=1,
            timings=SimpleNamespace(total_s=1.0),
            notes=("a note",),
        )


def test_every_kind_of_request_is_asked_with_its_own_history_and_judged_where_a_reference_is() -> None:
    echo = Echo()
    rows = list(measure(echo, runs=2))  # type: ignore[arg-type]
    assert [row.kind for row in rows] == [case.kind for case in CASES]
    assert len(rows) == 8
    for row, case in zip(rows, CASES, strict=True):
        assert row.examples == len(case.history)
        assert row.finish == ("stop", "stop")
        assert (row.utility is None) == (case.reference is None)
        assert row.notes == ("a note",)
        assert row.error == (None if case.reference is None else 0)
    first, second = sorted(echo.seeds)
    assert second - first >= MAX_CANDIDATES, "no two runs share a candidate's stream"
