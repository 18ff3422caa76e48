"""Files and folders dropped on the window by a real drag, chosen in its dialog, refused where they are not readable."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edge_ttp.history import History
from edge_ttp.paths import locate

from .desk import opened, picture, until

pytestmark = [pytest.mark.window, pytest.mark.real]

HOSTILE = '<img src=x onerror="document.title=1">\n{name} %2e%2e$(id).md'


def texts(home: Path) -> int:
    with History.open(locate(home).database) as history:
        return history.count("me")


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """A folder of notes, one with a name that would be markup, a path and a command elsewhere."""
    folder = tmp_path / "Notes"
    folder.mkdir()
    for number, name in enumerate(("garden.md", HOSTILE)):
        (folder / name.replace("/", "")).write_text(f"ben wants the garden done by may {number}. told him no!!\n")
    return folder


def test_a_folder_and_a_file_dropped_together_are_each_told_and_undone(
    display: str, app_home: Path, notes: Path, sent_mails: Path, tmp_path: Path
) -> None:
    with opened(display, app_home) as app:
        page = app.page()
        until(lambda: page.seen("start"))
        app.drop(page, "start-drop", notes, sent_mails, hovering=lambda: picture(app, "10-dropping", tmp_path))
        until(lambda: page.ask("document.querySelectorAll('#takes li button').length") == 2)
        assert "Sent.mbox: 12 texts taken in." in page.text("takes")
        assert "Notes: 2 texts taken in." in page.text("takes")
        assert not page.ask("document.getElementById('start-drop').classList.contains('over')")
        assert texts(app_home) == 14
        page.ask("document.querySelector('#takes button').id = 'undo-last'")  # the mails, which came last
        app.click(page, "undo-last")
        until(lambda: "Sent.mbox: 12 texts are out again." in page.text("takes"))
        assert texts(app_home) == 2


def test_what_is_dropped_is_named_and_never_markup_and_a_fault_does_not_stop_the_rest(
    display: str, app_home: Path, notes: Path, tmp_path: Path
) -> None:
    hostile = next(path for path in notes.iterdir() if path.name != "garden.md")
    huge = tmp_path / "huge.jsonl"
    with huge.open("wb") as file:
        file.truncate(20 * 2**30)  # a hole of 20 GiB
    pipe = tmp_path / "pipe.md"
    os.mkfifo(pipe)
    with opened(display, app_home) as app:
        page = app.page()
        until(lambda: page.seen("start"))
        app.drop(page, "start-drop", pipe, huge, tmp_path / "gone.md", hostile)
        until(lambda: "1 texts taken in" in page.text("takes"), 120)
        said = page.text("takes")
        assert '<img src=x onerror="document.title=1">' in said
        assert page.ask("document.querySelectorAll('#takes .failed').length") == 3
        assert page.ask("document.querySelectorAll('#takes img').length") == 0
        assert texts(app_home) == 1
