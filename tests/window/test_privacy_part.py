"""What is kept, whose it is, how long, encrypted or not, saved and forgotten: all of it from the window."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_ttp.history import History
from edge_ttp.paths import locate
from edge_ttp.schema import HistoryItem

from .desk import App, Page, opened, picture, until

pytestmark = [pytest.mark.window, pytest.mark.real]


def filled(home: Path) -> None:
    with History.open(locate(home).database) as history:
        for at in range(6):
            history.add(HistoryItem(user_id="me", kind="mail", input=f"Lift {at}?", output=f"lift {at} lives!!"))


def privacy(app: App) -> Page:
    page = app.page()
    until(lambda: page.ask("startState !== null"))
    app.click(page, "tab-privacy")
    until(lambda: page.text("kept"))
    return page


def test_the_history_is_encrypted_and_turned_back_from_the_window(display: str, app_home: Path, tmp_path: Path) -> None:
    filled(app_home)
    file = locate(app_home).database
    keyring = {
        "PYTHONPATH": str(Path(__file__).parent),
        "PYTHON_KEYRING_BACKEND": "file_keyring.FileKeyring",
        "EDGE_TTP_TEST_KEYS": str(tmp_path / "keys"),
    }
    with opened(display, app_home, variables=keyring) as app:
        page = privacy(app)
        before = app.model_process()
        app.click(page, "encrypt")
        until(lambda: page.seen("recovery-part"))
        key = page.text("recovery-key")
        assert len(key.replace("-", "")) == 64
        picture(app, "11-encrypted", tmp_path)
        until(lambda: page.text("encryption-status") == "Your texts are encrypted now.")
        assert app.model_process() != before
        assert not file.read_bytes().startswith(b"SQLite format 3")
        assert "6 (mail 6)" in page.text("kept")  # the new process opened it with its key
        app.click(page, "recovery-kept")
        assert not page.seen("recovery-part")
        app.click(page, "recovery")
        until(lambda: page.text("recovery-key") == key)
        app.click(page, "decrypt")
        until(lambda: page.text("encryption-status") == "Your texts are a plain file again.")
        assert file.read_bytes().startswith(b"SQLite format 3")


def test_where_there_is_no_keyring_nothing_changes_and_that_is_said(display: str, app_home: Path) -> None:
    filled(app_home)
    with opened(display, app_home, variables={"PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}) as app:
        page = privacy(app)
        app.click(page, "encrypt")
        until(lambda: page.text("encryption-status") == "Nothing was changed.")
        until(lambda: "the keyring" in page.text("alert"))
        assert locate(app_home).database.read_bytes().startswith(b"SQLite format 3")
        assert "6 (mail 6)" in page.text("kept")


def test_people_are_apart_and_answers_go_after_their_days(display: str, app_home: Path) -> None:
    filled(app_home)
    with opened(display, app_home) as app:
        page = privacy(app)
        app.click(page, "days")
        app.write("30")
        app.hands("key", "Return")
        until(lambda: "for 30 days" in page.text("retention-status"))
        app.click(page, "new-person")
        app.write("ben")
        app.hands("key", "Return")
        until(lambda: page.text("person") == "ben" and page.text("kept").startswith("Your texts0"))
        app.click(page, "keep-answers")
        assert page.ask("keeping()") is False
    with History.open(locate(app_home).database) as history:
        assert history.retention("me") == 30
    with opened(display, app_home) as app:  # who writes, and what is kept of whom, is remembered
        page = privacy(app)
        assert page.text("person") == "ben"
        assert page.ask("document.getElementById('keep-answers').checked") is False


def test_everything_is_saved_to_a_private_file_of_ones_choice(display: str, app_home: Path, tmp_path: Path) -> None:
    filled(app_home)
    target = tmp_path / "mine.jsonl"
    with opened(display, app_home) as app:
        page = privacy(app)
        app.click(page, "save-all")
        app.window("Save|Speichern")
        app.hands("key", "ctrl+a")
        app.write(str(target))
        app.hands("key", "Return")
        until(lambda: target.exists() and target.read_text().count("\n") == 6)
        until(lambda: target.stat().st_mode & 0o777 == 0o600)
