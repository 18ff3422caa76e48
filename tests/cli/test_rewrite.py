"""`edge-ttp rewrite` over the fake models, and once with the real policy."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from fakes import Models
from fakes.command import edge_ttp, model_files, one_object
from fakes.real import spare_measuring

from edge_ttp.answer.facts import compared
from edge_ttp.cli.main import run
from edge_ttp.history import History
from edge_ttp.paths import locate
from edge_ttp.runtime import Runtime
from edge_ttp.samples import sample_items
from edge_ttp.schema import HistoryItem

TEXT = "We meet Anna at 5 pm."


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Options that name the fake models."""
    Models(monkeypatch)
    return model_files(tmp_path)


def test_json_has_facts_and_changes_and_feedback_goes_by_the_id(
    models: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["rewrite", TEXT, "--user", "ann", "--as", "chat", "--n", "1", "--seed", "1", "--json", *models]) == 0
    made = one_object(capsys.readouterr().out)
    whole = made["generation"]
    assert (whole["prompt"], whole["kind"], len(made["facts"])) == (TEXT, "chat", len(whole["candidates"]))
    assert made["facts"][whole["chosen"]]["missing"] == ["Anna", "5 pm"]
    assert "".join(one["text"] for one in made["changes"] if one["op"] != "removed") == made["text"]
    assert run(["feedback", whole["generation_id"], "--edit", "anna, 5pm"]) == 0
    with History.open(locate().database) as history:
        assert [(one.output, one.kind) for one in history.items("ann")] == [("anna, 5pm", "chat")]


def test_strict_says_that_the_text_stayed(models: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["rewrite", TEXT, "--keep", "strict", "--n", "2", "--user", "ann", *models]) == 0
    said = capsys.readouterr()
    assert said.out == f"{TEXT}\n"
    assert "stayed as it was" in said.err


def test_a_diff_without_colours_is_as_git_has_it(models: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["rewrite", TEXT, "--diff", "--n", "1", "--seed", "1", *models]) == 0
    assert "[-We" in capsys.readouterr().out


def test_a_file_and_the_clipboard_are_read(
    models: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "draft.txt"
    file.write_text(TEXT)
    assert run(["rewrite", "--file", str(file), "--keep", "strict", "--n", "1", *models]) == 0
    assert capsys.readouterr().out == f"{TEXT}\n"
    board = [TEXT]
    stand_in = SimpleNamespace(paste=lambda: board[-1], copy=board.append, PyperclipException=RuntimeError)
    monkeypatch.setitem(sys.modules, "pyperclip", stand_in)  # type: ignore[arg-type]
    assert run(["rewrite", "--clipboard", "--n", "1", "--seed", "1", *models]) == 0
    assert board[-1] == capsys.readouterr().out.removesuffix("\n") != TEXT
    board.append(" ")
    assert run(["rewrite", "--clipboard", *models]) == 2
    monkeypatch.setitem(sys.modules, "pyperclip", None)  # type: ignore[arg-type]
    assert run(["rewrite", "--clipboard", *models]) != 0
    assert "edge-ttp[clipboard]" in capsys.readouterr().err


@pytest.mark.parametrize(
    "wrong", [["--keep", "some"], ["x", "--clipboard"], ["--file", "nowhere"], [" "], ["x", "--json-schema", "{}"]]
)
def test_what_cannot_be_meant_is_one_line(
    wrong: list[str], models: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["rewrite", *wrong, *models]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.real
def test_the_default_policy_writes_notes_out_with_their_facts(models_home: Path) -> None:
    spare_measuring(models_home)
    with History.open(locate(models_home).database) as history:
        history.add_many(
            HistoryItem(user_id="mara", input=one["input"], output=one["output"], kind=one["kind"])
            for one in sample_items("mara")
        )
    notes = "boiler repair monday 10:30, heating off until 3 pm, no hot water, call Anna 0171 2233"
    done = edge_ttp("rewrite", notes, "--notes", "--user", "mara", "--n", "8", "--seed", "1", "--json")
    assert done.returncode == 0, done.stderr
    said = {"words": json.loads(done.stdout)}
    with Runtime.open(home=models_home) as runtime:
        for keep in ("loose", "strict"):
            again = runtime.rewrite(notes, notes=True, user="mara", keep=keep, n=4, seed=1)  # type: ignore[arg-type]
            said[keep] = again.model_dump(mode="json")
    for keep, made in said.items():
        whole = made["generation"]
        assert whole["plan"]["examples"] > 0
        assert whole["plan"]["adapter"] == "voice-smollm2-135m"
        assert [Path(one["path"]).name for one in whole["sampling"]["adapters"]] == ["voice-smollm2-135m.gguf"]
        assert len({one["text"] for one in whole["candidates"]}) > 1
        sound = [not (one["missing"] or one["added"]) for one in made["facts"]]
        assert sound[whole["chosen"]]
        assert compared(notes, made["text"]).sound
        if keep == "words":  # every version that was drawn to its end, by construction
            drawn = [one["finish_reason"] == "stop" for one in whole["candidates"]]
            assert [not one["missing"] for one in made["facts"]] == drawn
            assert {"merged", "edited"} & {one["made"] for one in whole["candidates"]}
