"""Without Qt or a screen: the page in the browser, its token on no command line."""

from __future__ import annotations

import stat
import threading
from pathlib import Path
from urllib.request import url2pathname

import pytest

from edge_ttp.app import launch as launching
from edge_ttp.app.in_browser import address_of, run_in_browser, way_in
from edge_ttp.app.model_process import ServerAddress
from edge_ttp.app.single import AppWish
from edge_ttp.app.toolkit import why_no_window
from edge_ttp.paths import locate

SERVING = ServerAddress("http://127.0.0.1:9", "ettp-secret", 1, "a")


def test_token_and_text_stand_behind_the_hash() -> None:
    assert address_of(SERVING, AppWish()) == "http://127.0.0.1:9/#token=ettp-secret"
    text = address_of(SERVING, AppWish(show=False, text="a&b #c"))
    assert text == "http://127.0.0.1:9/compose.html#token=ettp-secret&text=a%26b%20%23c"


def test_the_way_in_is_a_file_of_the_owner_alone(home: Path) -> None:
    file = way_in(locate(), 'http://127.0.0.1:9/#token=x"><script>')
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "<script>" not in file.read_text()


@pytest.mark.real
def test_the_page_is_served_until_the_end_and_the_way_in_goes(models_home: Path) -> None:
    ending = threading.Event()
    told: list[str] = []
    seen: list[str] = []

    def look(address: str) -> bool:
        seen.append(Path(url2pathname(address.removeprefix("file://"))).read_text())
        ending.set()
        return False

    run_in_browser(locate(), AppWish(), say=told.append, ending=ending, open_page=look)
    assert "#token=ettp-" in seen[0]
    assert "open this file in a browser" in told[0]
    assert not list(locate().run.glob("open.html"))


def test_without_a_screen_the_reason_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    assert why_no_window() is not None


def test_the_app_falls_back_to_the_browser_and_says_why(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launching, "why_no_window", lambda: "there is no screen here")
    begun: list[AppWish] = []
    monkeypatch.setattr("edge_ttp.app.in_browser.run_in_browser", lambda paths, wish, **others: begun.append(wish))
    told: list[str] = []
    wish = AppWish(show=False, text="hello")
    assert launching.launch(locate(), wish, say=told.append) == 0
    assert (begun, told) == ([wish], ["in the browser: there is no screen here"])
