"""A home that somebody else has written in: the window opens, says what is wrong, and goes on once it is mended."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from edge_ttp.history import History, migrations
from edge_ttp.paths import locate

from .desk import App, opened, picture, until

pytestmark = [pytest.mark.window, pytest.mark.real]


def first_look(app: App) -> None:
    page = app.page()
    until(lambda: page.ask("startState !== null"))


def test_a_history_of_a_newer_version_is_said_and_left_alone(display: str, app_home: Path, tmp_path: Path) -> None:
    database = locate(app_home).database
    with History.open(database) as history:
        assert history.count("me") == 0
    with closing(sqlite3.connect(database)) as db:
        db.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES (?, 'm999_future', '')",
            (migrations.SET_NAME,),
        )
        db.commit()
    before = database.read_bytes()
    with opened(display, app_home) as app:
        app.window("^edge-ttp$")
        until(lambda: app.said().count("was written by a newer version (it has m999_future); upgrade") == 2)
        picture(app, "12-newer-history", tmp_path)
        assert database.read_bytes() == before
        database.rename(tmp_path / "kept.db")
        for beside in database.parent.glob("history.db-*"):
            beside.rename(tmp_path / beside.name)
        app.start_again()
        first_look(app)


def test_settings_that_nobody_can_read_do_not_keep_the_window_from_opening(display: str, app_home: Path) -> None:
    config = locate(app_home).config
    config.mkdir(parents=True, exist_ok=True)
    (config / "window.ini").write_bytes(b"[main]\ngeometry=@ByteArray(\\x1\\xd9\\xff)\nzoom=nan\n\xff\xfe\x00[")
    with opened(display, app_home) as app:
        first_look(app)
        assert 0.5 <= float(app.page().ask("1000 / window.innerWidth")) <= 2.0
