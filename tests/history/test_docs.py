"""docs/history.md says what is so."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest
from repository import DOCS

from edge_ttp.cli.main import run
from edge_ttp.history import History, recall, rows

TEXT = (DOCS / "history.md").read_text(encoding="utf-8")


def blocks(start: str) -> list[str]:
    """The indented blocks of the page whose first line begins so."""
    found = re.findall(r"(?:^    .*\n|^\n)+", TEXT, re.MULTILINE)
    return [block for block in (textwrap.dedent(each).strip() for each in found) if block.startswith(start)]


def test_the_python_example_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    [example] = blocks("from edge_ttp")
    exec(compile(example, "docs/history.md", "exec"), {})
    assert capsys.readouterr().out.endswith("Monday is fine.\n")


def test_every_command_of_the_page_exists(capsys: pytest.CaptureFixture[str]) -> None:
    [commands] = blocks("edge-ttp history add")
    for line in commands.splitlines():
        assert run(["history", line.split()[2], "--help"]) == 0
    listed = {line.split()[2] for line in commands.splitlines()}
    assert run(["history", "--help"]) == 0
    assert listed == set(re.findall(r"^\W*([\w-]+)  ", capsys.readouterr().out.split("Commands:")[-1], re.MULTILINE))


def test_every_table_of_the_file_is_on_the_page(history: History) -> None:
    with history._connections.reading() as db:
        names = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    own = {name for name in names if not name.startswith(("_", "sqlite_", "item_index_")) and name != "item_terms"}
    named = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| `.*?\|", TEXT.split("## Recall")[0], re.MULTILINE))))
    assert named == own


def test_the_limits_of_the_page_are_those_of_the_code() -> None:
    assert f"the {recall.MAX_TERMS} rarest words" in TEXT
    assert f"stand in {recall.MAX_OCCURRENCES:,}" in TEXT
    assert f"first {recall.MAX_QUERY:,} characters" in TEXT
    assert f"more than {recall.MAX_WORDS:,} words" in TEXT
    assert f"k1 = {recall.K1},  b = {recall.B}" in TEXT
    assert f"metadata of an item {rows.MAX_METADATA:,}" in TEXT
