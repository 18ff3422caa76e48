"""Commands of an ordinary user on a full and on a read-only disk: one line, a documented exit code, nothing lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.command import model_paths
from fakes.small_disk import SmallDisk, Told, needs_small_disk, small_disk

from edge_ttp.errors import HistoryUnavailable, InvalidInput, ModelUnavailable
from edge_ttp.history import History
from edge_ttp.paths import locate
from edge_ttp.schema import HistoryItem

from .history_calls import write_lines

pytestmark = [pytest.mark.slow, needs_small_disk]

ITEMS = 40
HISTORY, INPUT, MODEL = HistoryUnavailable.exit_code, InvalidInput.exit_code, ModelUnavailable.exit_code
ROOM_FOR_THE_INDEX = 40_960
"""Enough for the index of SQLite's log, so that the history opens for writing; not for a row."""


@pytest.fixture(scope="module")
def place() -> Iterator[SmallDisk]:
    """A home with texts and an answer of ann's, and beside it a backup, a file to import and models to take."""
    with small_disk() as made:
        with History.open(locate(made.home).database) as history:
            for number in range(ITEMS):
                output = f"good word{number}x " + "and so on " * 200
                history.add(HistoryItem(user_id="ann", input=f"hello {number}", output=output))
            history.backup(made.folder / "backup.db")
        write_lines(made.folder / "many.jsonl", 3000, note="x" * 100)
        model_paths(made.folder)
        asked = ["generate", "hello", "--user", "ann", "--n", "2", "--max-tokens", "4", *_models(made)]
        (drawn,) = made.commands(asked, free=4_000_000)
        assert drawn.code == 0, drawn.err
        _adopt(made)
        yield made


def _models(place: SmallDisk) -> list[str]:
    return ["--model", str(place.folder / "tiny.gguf"), "--reward", str(place.folder / "judge")]


def _adopt(place: SmallDisk) -> None:
    """Makes what the commands left on the disk the home."""
    place.home.rename(place.folder / "first")
    place.after.rename(place.home)


def commands(place: SmallDisk) -> dict[str, tuple[list[str], int]]:
    """Name -> a command that writes, and its exit code where it cannot."""
    models = _models(place)
    draw = ["--user", "ann", "--n", "2", "--max-tokens", "4", *models]
    return {
        "generate": (["generate", "hello " + "x" * 30_000, *draw], HISTORY),
        "rewrite": (["rewrite", "hello " + "x" * 3000, *draw], HISTORY),
        "import": (["history", "import", str(place.folder / "many.jsonl"), "--user", "ann"], HISTORY),
        "feedback": (["feedback", "last", "--user", "ann", "--edit", "better words " * 3000], HISTORY),
        "add": (["history", "add", "--output", "new words " * 3000, "--user", "ann"], HISTORY),
        "forget one": (["history", "forget", "--user", "ann", "--item", "3"], HISTORY),
        "forget all": (["history", "forget", "--user", "ann", "--all", "--yes"], HISTORY),
        "restore": (["history", "restore", "--yes", str(place.folder / "backup.db")], HISTORY),
        "encrypt": (["history", "encrypt"], HISTORY),
        "adapt": (["adapt", "--user", "ann", "--for", "10m", *models], HISTORY),
        "backup": (["history", "backup", str(place.disk / "copy.db")], INPUT),
    }


def small_commands(place: SmallDisk) -> dict[str, tuple[list[str], int]]:
    """The same for what needs so little that it succeeds where only the history finds no room."""
    return {
        "models add": (["models", "add", str(place.folder / "tiny.gguf"), "--name", "mine"], MODEL),
        "export": (["history", "export", "--user", "ann", "--output", str(place.disk / "all.jsonl")], INPUT),
        "config": (["config", "set", "user", "bob"], INPUT),
        "tokens": (["tokens", "add", "mail", "--user", "bob"], HISTORY),
        "serve": (["serve", "--port", "0"], HISTORY),
    }


@pytest.mark.parametrize("free", [0, ROOM_FOR_THE_INDEX, None], ids=["full", "nearly full", "read-only"])
def test_what_cannot_be_written_is_one_line_with_its_exit_code_and_nothing_is_lost(
    place: SmallDisk, free: int | None
) -> None:
    asked = commands(place)
    if free != ROOM_FOR_THE_INDEX:
        asked |= small_commands(place)
    told = dict(zip(asked, place.commands(*(line for line, _ in asked.values()), free=free), strict=True))
    assert {name: one.code for name, one in told.items()} == {name: code for name, (_, code) in asked.items()}
    for name, one in told.items():
        _is_one_line(name, one, full=free is not None)
    assert place.files(place.after) == place.files(place.home)  # nothing half-written, nothing gone
    _holds_everything(place.after)


def _is_one_line(name: str, told: Told, *, full: bool) -> None:
    answers = name in ("generate", "rewrite")
    begins = "note: not recorded: " if answers else "edge-ttp: "
    (line,) = [line for line in told.err.splitlines() if line.startswith(begins)]
    assert answers or told.err.count("\n") == 1, (name, told.err)
    assert bool(told.out.strip()) == answers, (name, told.out)
    cures = ("free some space", "make room") if full else ("writ", "rights", "permission")
    assert any(cure in line for cure in cures), (name, line)


@pytest.mark.parametrize("free", [0, None], ids=["full", "read-only"])
def test_what_only_reads_is_answered(place: SmallDisk, free: int | None) -> None:
    reading = ["list", "search word39x", "export", "stats", "generations"]
    told = place.commands(*(["history", *one.split(), "--user", "ann"] for one in reading), free=free)
    assert [one.code for one in told] == [0] * len(reading), told
    assert all("word39x" in one.out for one in told[:3])


def _holds_everything(home: Path) -> None:
    with History.open(locate(home).database) as history:
        assert history.count("ann") == ITEMS
        assert len(history.generations("ann")) == 1
        assert history.health(full=True).sound


def test_what_was_forgotten_is_gone_though_a_full_disk_keeps_its_remains_for_now(place: SmallDisk) -> None:
    database = locate(place.after).database
    (told,) = place.commands(commands(place)["forget one"][0], free=150_000)
    assert told.code == 0, told.err
    assert "1 text" in told.out
    assert "could not be overwritten yet" in told.err
    with History.open(database) as history:  # which overwrites what was left
        assert history.count("ann") == ITEMS - 1
    kept = b"".join(file.read_bytes() for file in database.parent.glob("history.db*"))
    assert b"word2x" not in kept
    assert b"word3x" in kept


def test_an_import_stores_what_there_is_room_for_or_nothing(place: SmallDisk) -> None:
    (told,) = place.commands(commands(place)["import"][0], free=250_000)
    assert told.code == HISTORY
    _holds_everything(place.after)


def test_with_room_again_the_same_commands_succeed(place: SmallDisk) -> None:
    asked = commands(place)
    wanted = ["generate", "import", "feedback", "forget one", "restore"]
    told = place.commands(*(asked[name][0] for name in wanted), free=6_000_000)
    assert [one.code for one in told] == [0] * len(wanted), told
