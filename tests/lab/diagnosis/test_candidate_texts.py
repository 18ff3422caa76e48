"""Texts of a few candidates, read from the source again."""

from __future__ import annotations

from pathlib import Path

from edge_ttp.lab.diagnosis.candidate_texts import texts_of
from edge_ttp.lab.diagnosis.line_source import LineSource
from tests.lab.diagnosis.makers import write


def test_reading_stops_at_the_last_line_that_is_wanted(tmp_path: Path) -> None:
    path = write(tmp_path / "pools.jsonl", [{"text": "one"}, {"text": "two"}, "x" * 100])
    read: list[int] = []

    class Watched(LineSource):
        def lines(self):  # type: ignore[no-untyped-def]
            for number, line, done in super().lines():
                read.append(number)
                yield number, line, done

    assert texts_of(Watched.of(str(path)), [1]) == {1: "one"}
    assert read == [1]


def test_texts_are_read_again_for_the_lines_that_are_shown(tmp_path: Path) -> None:
    path = write(
        tmp_path / "pools.jsonl", [{"text": "one"}, {"text": "two"}, {"text": 3}, "nonsense", {"text": "five"}]
    )
    source = LineSource.of(str(path))
    assert texts_of(source, [2, 3]) == {2: "two"}
    assert texts_of(source, []) == {}
    assert texts_of(source, [1, 99]) == {1: "one"}
