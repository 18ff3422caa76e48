"""Parquet says what JSON lines say, and memory does not grow with the rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from edge_ttp.cli.main import run
from edge_ttp.lab.bench import diagnose_cost
from edge_ttp.lab.diagnosis.score_table import Columns, read_table, source_of
from tests.lab.diagnosis.makers import Row, flipped_for_a_fifth, good_model, write

pytestmark = pytest.mark.scale


def written(path: Path, rows: list[Row]) -> Path:
    keys = dict.fromkeys(key for row in rows for key in row)
    whole = [{key: row.get(key) for key in keys} for row in rows]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(whole), path, row_group_size=1000)
    return path


def diagnosed(capsys: pytest.CaptureFixture[str], path: Path, *more: str) -> dict[str, Any]:
    assert run(["diagnose", "--json", "--bootstrap", "40", str(path), *more]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_parquet_and_lines_say_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = flipped_for_a_fifth(good_model(users=24, queries=10))
    lines = diagnosed(capsys, write(tmp_path / "rows.jsonl", rows))
    assert diagnosed(capsys, written(tmp_path / "rows.parquet", rows)) == lines
    folder = tmp_path / "parts.parquet"
    folder.mkdir()
    written(folder / "a.parquet", rows[:999])
    written(folder / "b.parquet", rows[999:])
    assert diagnosed(capsys, folder) == lines
    assert lines["queries"][0]["preferred"]["text"]


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_unusable_rows_are_named_alike(tmp_path: Path, kind: str) -> None:
    rows: list[Row] = good_model(users=9, queries=4)
    rows[3]["utility"] = float("inf")
    rows[7] |= {"score": float("nan"), "variance": -1.0}
    rows[9]["variance"] = -1.0
    rows[20]["user_id"] = ""
    rows[30]["query_id"] = None
    rows[40]["score"] = None
    if kind == "jsonl":
        kept = [{key: value for key, value in row.items() if value is not None} for row in rows]
        path = write(tmp_path / "rows.jsonl", kept)
    else:
        path = written(tmp_path / "rows.parquet", rows)
    table = read_table(source_of(str(path)), Columns(), lambda done: None)
    assert [(bad.line, bad.reason) for bad in table.bad] == [
        (4, "utility is infinite or out of range"),
        (8, "score is NaN"),
        (10, "variance is negative"),
        (21, "user_id is empty or longer than 256 characters"),
        (31, "no `query_id`"),
        (41, "no `score`"),
    ]
    assert len(table.line) == len(rows) - 6


def test_what_is_kept_are_whole_users_whatever_the_order(tmp_path: Path) -> None:
    rows = good_model(users=60, queries=4, size=8)
    path, turned = written(tmp_path / "rows.parquet", rows), written(tmp_path / "turned.parquet", rows[::-1])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("edge_ttp.lab.diagnosis.whole_users.ENOUGH", 10)
        one, other, lines = (
            read_table(source_of(str(each)), Columns(), lambda done: None, at_most=700)
            for each in (path, turned, write(tmp_path / "rows.jsonl", rows))
        )
    assert one.read == other.read == lines.read == len(rows)
    assert set(one.users) == set(other.users)
    assert (lines.line == one.line).all()
    assert 200 < len(one.line) <= 700
    assert len(one.line) == len(one.users) * 4 * 8
    assert one.share.users < 1
    assert one.share.queries == 1


def test_of_few_users_queries_are_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = good_model(users=3, queries=400, size=16)
    table = read_table(source_of(str(written(tmp_path / "rows.parquet", rows))), Columns(), lambda done: None,
                       at_most=12_000)  # fmt: skip
    assert len(table.users) == 3
    assert table.share.users == 1
    assert len(table.line) == 16 * len(table.queries) <= 12_000
    found = diagnosed(capsys, tmp_path / "rows.parquet", "--at-most", "12000")
    assert found["counts"]["rows_read"] == len(rows)
    assert "1 in 2 of their queries" in " ".join(found["limits"])
    assert found["share"]["value"] == pytest.approx(0.6, abs=0.1)


def test_memory_does_not_grow_with_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_ttp.lab.bench.diagnose_cost.MORE", ("--at-most", "40000", "--bootstrap", "20"))
    few, many = (diagnose_cost.measure(rows, lambda done: None, parquet=True) for rows in (320_000, 3_200_000))
    assert many.rows == 10 * few.rows
    assert many.peak_bytes < few.peak_bytes + 100e6


@pytest.mark.parametrize("what", ["cut", "text", "lacking"])
def test_a_file_that_is_no_parquet_is_refused_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    path = written(tmp_path / "rows.parquet", good_model(users=3))
    if what == "cut":
        path.write_bytes(path.read_bytes()[:-300])
    elif what == "text":
        path.write_text("no columns")
    else:
        written(path, [{"user_id": "a", "utility": 1.0}])
    assert run(["diagnose", str(path)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 1
