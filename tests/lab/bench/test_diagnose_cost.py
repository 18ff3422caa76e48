"""The measurement of `diagnose` writes a file that it can read, and runs the command itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_ttp.errors import EdgeTTPError
from edge_ttp.lab.bench import diagnose_cost
from edge_ttp.lab.diagnosis.line_source import LineSource
from edge_ttp.lab.diagnosis.score_table import Columns, read_table

pytestmark = pytest.mark.slow


def test_the_file_holds_whole_pools_of_whole_users(tmp_path: Path) -> None:
    written = diagnose_cost.write(tmp_path / "pools.jsonl", 10_000, lambda done: None)
    table = read_table(LineSource.of(str(tmp_path / "pools.jsonl")), Columns(), lambda done: None)
    assert len(table.line) == written >= 10_000
    assert written == len(table.users) * diagnose_cost.QUERIES * diagnose_cost.SIZE
    assert table.variance is not None
    assert table.bad_count == 0


def test_the_command_is_measured() -> None:
    taken = diagnose_cost.measure(1, lambda done: None)
    assert taken.rows == 50 * diagnose_cost.QUERIES * diagnose_cost.SIZE
    assert taken.seconds > 0
    assert taken.peak_bytes > 20e6


def test_a_failure_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnose_cost, "write", lambda path, rows, advance: path.write_text("not JSON\n"))
    with pytest.raises(EdgeTTPError, match="ended with 2"):
        diagnose_cost.measure(1, lambda done: None)
