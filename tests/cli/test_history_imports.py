from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge_ttp.cli.main import run


@pytest.fixture
def imported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> int:
    file = tmp_path / "mine.jsonl"
    file.write_text('{"input": "q", "output": "a"}\n{"input": "q", "output": "b"}\n')
    assert run(["history", "import", str(file), "--user", "ann"]) == 0
    out = capsys.readouterr()
    assert "import 1" in out.out
    assert "undo-import 1" in out.out
    return 1


def test_an_import_is_listed_and_undone(imported: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["history", "imports", "--user", "ann"]) == 0
    assert "mine.jsonl" in capsys.readouterr().out
    assert run(["history", "imports", "--user", "ann", "--json"]) == 0
    [row] = json.loads(capsys.readouterr().out)["imports"]
    assert (row["import"], row["items"], row["user"]) == (imported, 2, "ann")
    assert run(["history", "undo-import", str(imported), "--user", "ann"]) == 0
    assert "2 texts and 0 answers of import 1 taken out" in capsys.readouterr().out
    assert run(["history", "imports", "--user", "ann"]) == 0
    assert "nothing was imported yet for ann" in capsys.readouterr().err


def test_undoing_for_the_wrong_user_says_whose_it_is(imported: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["history", "undo-import", str(imported)]) == 8
    assert "but to ann" in capsys.readouterr().err
    assert run(["history", "undo-import", "77"]) == 8
    assert "there is no import 77" in capsys.readouterr().err
    assert run(["history", "undo-import", str(imported), "--all-users", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["items"] == 2
