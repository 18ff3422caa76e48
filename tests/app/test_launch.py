"""Starting the app while another one of the same home is ending."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from edge_ttp.app import launch as launching
from edge_ttp.app.single import AppWish, first
from edge_ttp.errors import HistoryUnavailable
from edge_ttp.paths import locate


def test_an_app_that_is_ending_takes_no_wish_and_its_place_is_waited_for(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ending = first(locate())
    assert ending is not None
    ending.listen(lambda wish: pytest.fail(f"heard {wish}"))
    ending.stop_listening()
    tried = threading.Event()
    real = launching.hand_over

    def hand_over(*given: object) -> bool:
        try:
            return real(*given)  # type: ignore[arg-type]
        finally:
            tried.set()

    monkeypatch.setattr(launching, "hand_over", hand_over)
    monkeypatch.setattr(launching, "why_no_window", lambda: "there is no screen here")
    begun: list[AppWish] = []
    monkeypatch.setattr("edge_ttp.app.in_browser.run_in_browser", lambda paths, wish, **others: begun.append(wish))
    closing = threading.Thread(target=lambda: (tried.wait(60), ending.close()))
    closing.start()
    assert launching.launch(locate(), AppWish(), say=lambda _: None) == 0
    closing.join()
    assert begun == [AppWish()]


def test_one_that_never_ends_is_said(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stuck = first(locate())
    assert stuck is not None
    stuck.stop_listening()
    monkeypatch.setattr(launching, "ENDING_S", 0.0)
    with pytest.raises(HistoryUnavailable, match="does not answer"):
        launching.launch(locate(), AppWish(), say=lambda _: None)
    stuck.close()


def test_a_home_that_cannot_be_written_is_said_and_nothing_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HistoryUnavailable, match="cannot be started"):
        launching.launch(locate(tmp_path / "file" / "home"), AppWish(), say=lambda _: None)
