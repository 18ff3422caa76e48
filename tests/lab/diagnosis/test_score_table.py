"""Rows into columns: what is used, what is left out and why, what is absent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_ttp.errors import InvalidInput
from edge_ttp.lab.diagnosis.line_source import LineSource
from edge_ttp.lab.diagnosis.score_table import MAX_NAMED, Columns, Table, read_table
from tests.lab.diagnosis.makers import write

ROW = {"user_id": "ada", "query_id": "q1", "utility": 0.5, "score": 1.5}


def read(tmp_path: Path, *rows: Any, columns: Columns | None = None) -> Table:
    path = write(tmp_path / "pools.jsonl", rows)
    return read_table(LineSource.of(str(path)), columns or Columns(), lambda done: None)


def test_rows_become_columns(tmp_path: Path) -> None:
    table = read(
        tmp_path,
        {**ROW, "variance": 0.25, "text": "héllo"},
        {**ROW, "user_id": "bo", "variance": 1, "text": ""},
        "",
        {**ROW, "query_id": 7, "utility": 1, "variance": 0, "text": "x"},
    )
    assert table.users == ["ada", "bo"]
    assert table.queries == ["q1", "q1", "7"]
    assert list(table.query_user) == [0, 1, 0]
    assert list(table.query) == [0, 1, 2]
    assert list(table.line) == [1, 2, 4]
    assert table.utility is not None
    assert list(table.utility) == [0.5, 0.5, 1.0]
    assert table.variance is not None
    assert list(table.variance) == [0.25, 1, 0]
    assert table.length is not None
    assert list(table.length) == [5, 0, 1]
    assert (table.length_unit, table.has_text, table.has_users) == ("characters", True, True)
    assert table.bad_count == 0


def test_columns_can_have_other_names(tmp_path: Path) -> None:
    table = read(
        tmp_path,
        {"user_id": 1, "query_id": 2, "rouge": 0.1, "mine": 0.2},
        columns=Columns(utility="rouge", score="mine"),
    )
    assert table.utility is not None
    assert table.score is not None
    assert (table.utility[0], table.score[0]) == (0.1, 0.2)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{not json", "not JSON"),
        ("[1, 2]", "not a JSON object"),
        ('{"a":' * 100_000, "nested too deeply"),
        ('{"user_id": ' + "1" * 5000 + "}", "too many digits"),
        (json.dumps({**ROW, "utility": None}), "utility is null"),
        (json.dumps({**ROW, "score": "high"}), "score is no number"),
        (json.dumps({**ROW, "score": True}), "score is no number"),
        (json.dumps({**ROW, "utility": float("nan")}), "utility is NaN"),
        (json.dumps({**ROW, "score": float("-inf")}), "score is infinite"),
        (json.dumps({**ROW, "score": 10**200}), "score is infinite or out of range"),
        (json.dumps({**ROW, "variance": -1}), "variance is negative"),
        (json.dumps({**ROW, "user_id": ""}), "user_id is empty"),
        (json.dumps({**ROW, "user_id": "u" * 300}), "longer than 256"),
        (json.dumps({**ROW, "query_id": 1.5}), "query_id is neither"),
        (json.dumps({**ROW, "query_id": None}), "query_id is neither"),
        (json.dumps({key: value for key, value in ROW.items() if key != "query_id"}), "no `query_id`"),
        (json.dumps({key: value for key, value in ROW.items() if key != "user_id"}), "no `user_id`"),
        (json.dumps({key: value for key, value in ROW.items() if key != "score"}), "no `score`"),
        (json.dumps({key: value for key, value in ROW.items() if key != "utility"}), "no `utility`"),
    ],
)
def test_a_line_that_cannot_be_used_is_named_with_its_reason(tmp_path: Path, line: str, reason: str) -> None:
    table = read(tmp_path, ROW, line, {**ROW, "query_id": "q2"})
    assert list(table.line) == [1, 3]
    assert [bad.line for bad in table.bad] == [2]
    assert reason in table.bad[0].reason
    assert table.bad_count == 1
    assert table.queries == ["q1", "q2"]


def test_bytes_that_are_no_text_are_named(tmp_path: Path) -> None:
    path = tmp_path / "pools.jsonl"
    path.write_bytes(json.dumps(ROW).encode() + b'\n{"user_id": "\xff"}\n')
    table = read_table(LineSource.of(str(path)), Columns(), lambda done: None)
    assert table.bad[0].reason == "not UTF-8"


def test_only_the_first_bad_lines_are_named_all_are_counted(tmp_path: Path) -> None:
    table = read(tmp_path, ROW, *["x"] * 100, *[{"user_id": "a", "query_id": "b", "score": 1}] * 50)
    assert len(table.bad) == MAX_NAMED
    assert [bad.line for bad in table.bad] == list(range(2, 2 + MAX_NAMED))
    assert table.bad_count == 150
    assert table.bad_reasons["no `utility`"] == 50


def test_a_column_that_no_row_has_is_absent(tmp_path: Path) -> None:
    table = read(tmp_path, *[{"query_id": "q", "utility": value} for value in (0.1, 0.2)])
    assert table.score is None
    assert table.variance is None
    assert table.length is None
    assert not table.has_users
    assert len(table.users) == 1
    assert table.bad_count == 0


def test_an_optional_column_that_a_row_lacks_is_absent(tmp_path: Path) -> None:
    table = read(tmp_path, {**ROW, "variance": 1, "text": "a"}, {**ROW, "variance": None, "tokens": 3})
    assert table.variance is None
    assert table.length is None
    assert not table.has_text


def test_tokens_stand_in_for_texts(tmp_path: Path) -> None:
    table = read(tmp_path, {**ROW, "tokens": 4}, {**ROW, "tokens": 5})
    assert table.length is not None
    assert list(table.length) == [4, 5]
    assert table.length_unit == "tokens"


def test_without_query_ids_nothing_can_be_done_and_the_columns_are_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"no row .* `query_id` \(columns found: user_id, utility"):
        read(tmp_path, *[{"user_id": "a", "utility": 1, "score": 2}] * 3)


@pytest.mark.parametrize("rows", [[], [""], ["nonsense", "more"], [{"query_id": "q", "utility": None}]])
def test_a_file_without_a_usable_line_is_refused(tmp_path: Path, rows: list[Any]) -> None:
    with pytest.raises(InvalidInput, match=r"empty|can be used"):
        read(tmp_path, *rows)


def test_rows_that_are_left_out_take_their_queries_and_users_along(tmp_path: Path) -> None:
    table = read(tmp_path, {"user_id": "gone", "query_id": "gone", "score": 1}, ROW)
    assert table.users == ["ada"]
    assert table.queries == ["q1"]
    assert np.array_equal(table.query, [0])


def test_a_query_of_endless_candidates_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="has 5000 candidates, more than 4096; check `query_id`"):
        read(tmp_path, *[{**ROW, "score": score} for score in range(5000)])
