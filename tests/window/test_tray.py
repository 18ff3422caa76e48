"""Where the desktop has a tray, the app goes on in it when its window is closed."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from .desk import App, opened, picture, screen, tray, until

pytestmark = [pytest.mark.window, pytest.mark.real]


def shown(app: App) -> bool:
    search = ["xdotool", "search", "--onlyvisible", "--name", "^edge-ttp$"]
    return subprocess.run(search, env=app.environment, capture_output=True, check=False, timeout=60).returncode == 0


def test_a_closed_window_comes_back_with_a_click_on_the_tray(app_home: Path, tmp_path: Path) -> None:
    with screen() as display, tray(display), opened(display, app_home) as app:
        page = app.page()
        until(lambda: page.ask("startState !== null"))
        app.hands("windowactivate", "--sync", app.window("^edge-ttp$"), "key", "alt+F4")
        until(lambda: not shown(app))
        picture(app, "13-tray", tmp_path)
        assert app.process.poll() is None
        app.hands("mousemove", "1088", "13", "click", "1")
        until(lambda: shown(app))
        app.process.send_signal(signal.SIGTERM)
        assert app.process.wait(60) == 0
