"""`edge-ttp diagnose` from the command line: what it prints, writes, refuses and says it cannot tell."""

from __future__ import annotations

import importlib.util
import io
import json
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import zstandard

from edge_ttp.cli.main import run
from edge_ttp.errors import ExtraMissing, InvalidInput
from tests.lab.diagnosis.makers import collapsed_for_a_third, flipped_for_a_fifth, good_model, write


@pytest.fixture(scope="module")
def pools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A score that collapsed for a third of 24 users and is turned around on a fifth of the queries."""
    rows = flipped_for_a_fifth(collapsed_for_a_third(good_model(users=24, queries=10)))
    return write(tmp_path_factory.mktemp("pools") / "pools.jsonl", rows)


def diagnosed(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert run(["diagnose", "--json", "--bootstrap", "40", *arguments]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_json_has_the_documented_form(pools: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = diagnosed(capsys, str(pools))
    for name in ("c", "h", "rho_plus", "rho_minus"):
        assert set(found[name]) == {"value", "low", "high"}
        assert found[name]["low"] <= found[name]["value"] <= found[name]["high"]
    assert found["c"]["value"] == pytest.approx(1 / 3, abs=0.02)
    assert found["h"]["value"] == pytest.approx(0.2, abs=0.06)
    assert found["sigma"] == pytest.approx(0.05, abs=0.005)
    assert [point["n"] for point in found["curve"]] == list(range(1, 17))
    assert {"n", "measured", "predicted", "oracle"} <= set(found["curve"][0])
    assert found["curve"][0]["share"] is None
    assert len(found["users"]) == 24
    assert {one["status"] for one in found["users"]} >= {"collapsed", "works"}
    assert found["queries"][0]["preferred"]["text"]
    assert found["queries"][0]["loss"] > 0
    assert isinstance(found["verdict"], str)
    assert "33% of users collapsed (8 of 24" in found["verdict"]
    assert found["bad_lines"] == {"count": 0, "reasons": {}, "named": []}
    assert found["rivals"]["naive"]["h"] > 0


def test_the_answer_in_words_is_on_stdout_alone(pools: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["diagnose", str(pools), "--bootstrap", "40"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    for words in ("users collapsed", "collapse c", "hacking h", "oracle", "user 0", "preferred", "hacked with probab"):
        assert words in printed.out


@pytest.mark.slow
def test_compressed_pools_and_standard_input_say_the_same(
    pools: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = diagnosed(capsys, str(pools))
    packed = tmp_path / "pools.jsonl.zst"
    packed.write_bytes(zstandard.ZstdCompressor().compress(pools.read_bytes()))
    assert diagnosed(capsys, str(packed)) == plain
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(pools.read_bytes())))
    assert diagnosed(capsys, "-") == plain


def test_rows_in_any_order_say_the_same(pools: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = pools.read_text().splitlines()
    mixed = write(tmp_path / "mixed.jsonl", [*lines[1::2], *lines[::2]])
    plain, other = diagnosed(capsys, str(pools)), diagnosed(capsys, str(mixed))
    assert other["h"]["value"] == pytest.approx(plain["h"]["value"])
    assert other["c"] == plain["c"]
    assert other["curve"][-1]["measured"] == pytest.approx(plain["curve"][-1]["measured"])


def test_columns_can_be_chosen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{**row, "rouge": row["utility"], "lcb": -row["score"]} for row in good_model(users=10)]
    path = write(tmp_path / "pools.jsonl", rows)
    found = diagnosed(capsys, str(path), "--utility", "rouge", "--score", "lcb")
    assert found["h"]["value"] == pytest.approx(1, abs=0.05)


@pytest.mark.slow
def test_the_same_seed_says_the_same(pools: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, same, other = (diagnosed(capsys, str(pools), "--seed", seed) for seed in ("1", "1", "2"))
    assert one == same
    assert one["h"] != other["h"]


def test_bad_lines_are_named_on_stderr_and_refused_under_strict(
    pools: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = pools.read_text().splitlines()
    path = write(tmp_path / "bad.jsonl", [*lines[:5], "{oops", *lines[5:], '{"user_id": "x", "query_id": "y"}'])
    assert run(["diagnose", str(path), "--bootstrap", "40"]) == 0
    printed = capsys.readouterr()
    assert "line 6 left out: not JSON" in printed.err
    assert f"line {len(lines) + 2} left out: no `utility`" in printed.err
    assert "2 of 3842 lines were left out" in printed.out
    assert run(["diagnose", str(path), "--strict"]) == InvalidInput.exit_code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "the first is line 6" in printed.err


def test_unknown_values_are_null_and_explained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "pools.jsonl", good_model(users=1, queries=20, size=4))
    found = diagnosed(capsys, str(path))
    for name in ("c", "h", "rho_plus", "rho_minus"):
        assert found[name] == {"value": None, "low": None, "high": None}
    assert found["net"]["value"] == pytest.approx(0.6, abs=0.25)
    said = " ".join(found["limits"])
    assert "There is one user" in said
    assert "No pool has 8 candidates" in said
    assert found["users"][0]["status"] in ("works", "undecided")


@pytest.mark.parametrize("column", ["score", "utility", "user_id"])
def test_a_missing_column_is_a_statement_not_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], column: str
) -> None:
    rows = [{key: value for key, value in row.items() if key != column} for row in good_model(users=3)]
    path = write(tmp_path / "pools.jsonl", rows)
    assert run(["diagnose", str(path), "--bootstrap", "20"]) == 0
    assert f"No row has `{column}`" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere.jsonl"], "no file nowhere.jsonl"),
        (["."], "is a folder"),
        (["x.jsonl", "--score", "utility"], "same column"),
        (["x.jsonl", "--bootstrap", "3"], "--bootstrap"),
        ([], "give either POOLS or --user"),
    ],
)
def test_a_wrong_request_is_one_line(capsys: pytest.CaptureFixture[str], arguments: list[str], words: str) -> None:
    assert run(["diagnose", "--json", *arguments]) == InvalidInput.exit_code
    printed = capsys.readouterr()
    assert printed.err == ""
    assert words in json.loads(printed.out)["error"]["message"]


def test_without_query_ids_the_file_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "pools.jsonl", [{"utility": 1, "score": 2}] * 4)
    assert run(["diagnose", str(path)]) == InvalidInput.exit_code
    assert "candidates of one query have to be known as such" in capsys.readouterr().err


def test_the_page_is_written(pools: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "report.html"
    assert run(["diagnose", str(pools), "--bootstrap", "40", "--html", str(target)]) == 0
    assert f"wrote {target}" in capsys.readouterr().err
    assert target.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert run(["diagnose", str(pools), "--bootstrap", "40", "--html", str(tmp_path / "no" / "folder.html")]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_the_picture_is_drawn_or_the_extra_is_named(
    pools: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "curves.png"
    code = run(["diagnose", str(pools), "--bootstrap", "40", "--plot", str(target)])
    if importlib.util.find_spec("matplotlib") is None:
        assert code == ExtraMissing.exit_code
        assert "edge-ttp[plot]" in capsys.readouterr().err
    else:
        assert code == 0
        data = target.read_bytes()
        assert data.startswith(b"\x89PNG")
        width, height = struct.unpack(">II", data[16:24])
        assert (width, height) == (1050, 675)


def test_without_matplotlib_a_picture_is_refused_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert run(["diagnose", str(tmp_path / "nowhere"), "--plot", str(tmp_path / "x.png")]) == ExtraMissing.exit_code
    assert "pip install 'edge-ttp[plot]'" in capsys.readouterr().err


def test_names_from_the_data_cannot_move_the_cursor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = collapsed_for_a_third(good_model(users=12))
    evil = [{**row, "user_id": f"{row['user_id']}\x1b[2J[red]\u202e", "text": "\x1b]0;x\x07"} for row in rows]
    path = write(tmp_path / "evil.jsonl", evil)
    assert run(["diagnose", str(path), "--bootstrap", "20"]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\u202e" not in out
    assert "[red]" in out


def test_ordinary_commands_do_not_load_numpy_for_this_one() -> None:
    code = (
        "import sys\n"
        "import edge_ttp.cli.diagnose\n"
        "print([name for name in ('numpy', 'rich', 'pydantic.main') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "numpy" not in done.stdout
