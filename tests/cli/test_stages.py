"""Progress of a job in stages: one bar after another, none where nobody looks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from edge_ttp.cli import stages as module
from edge_ttp.cli.stages import stages
from edge_ttp.errors import InvalidInput


def test_a_bar_is_closed_before_the_next_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[tuple[Any, ...]] = []

    @contextmanager
    def bar(name: str, total: int, unit: str) -> Iterator[Any]:
        said.append(("open", name, total))
        yield lambda done: said.append((name, done))
        said.append(("close", name))

    monkeypatch.setattr(module, "progress", bar)
    with stages() as report:
        report("reading", 0, 3)
        report("reading", 3, 3)
        report("writing", 1, 2)
    assert said == [
        ("open", "reading", 3), ("reading", 0), ("reading", 3), ("close", "reading"),
        ("open", "writing", 2), ("writing", 1), ("close", "writing"),
    ]  # fmt: skip


def test_an_error_in_a_stage_closes_its_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []

    @contextmanager
    def bar(name: str, total: int, unit: str) -> Iterator[Any]:
        opened.append(name)
        try:
            yield lambda done: None
        finally:
            opened.remove(name)

    monkeypatch.setattr(module, "progress", bar)

    def broken() -> None:
        with stages() as report:
            report("reading", 0, 3)
            assert opened == ["reading"]
            raise InvalidInput("no", "yes")

    with pytest.raises(InvalidInput):
        broken()
    assert opened == []


def test_without_a_terminal_nothing_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with stages() as report:
        report("reading", 1, 2)
    assert capsys.readouterr() == ("", "")
