"""Diagnoses of the reward models in makers.py, made once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from edge_ttp.lab.diagnosis.judge import Diagnosis, judge
from edge_ttp.lab.diagnosis.line_source import LineSource
from edge_ttp.lab.diagnosis.score_table import Columns, Table, read_table
from tests.lab.diagnosis.makers import (
    Row,
    collapsed_for_a_third,
    flipped_for_a_fifth,
    good_model,
    hacked_by_length,
    write,
)

Judged = tuple[Table, Diagnosis]
Judge = Callable[[Iterable[Row | str]], Judged]


@pytest.fixture
def judged(tmp_path: Path) -> Judge:
    """Writes rows to a file and judges them."""

    def prepare(rows: Iterable[Row | str]) -> Judged:
        return _judge(write(tmp_path / "pools.jsonl", rows))

    return prepare


def _judge(path: Path) -> Judged:
    table = read_table(LineSource.of(str(path)), Columns(), lambda done: None)
    return table, judge(table, path.name, resamples=60, seed=0)


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Judged]:
    """A good reward model and three broken ones, judged."""
    folder = tmp_path_factory.mktemp("models")
    rows = good_model()
    made = {
        "good": rows,
        "collapsed": collapsed_for_a_third(rows),
        "flipped": flipped_for_a_fifth(rows),
        "length": hacked_by_length(rows),
    }
    return {name: _judge(write(folder / f"{name}.jsonl", rows)) for name, rows in made.items()}
