"""From the first start to feedback in a real window, as a person does it, with a picture of each step."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from edge_ttp.history import History
from edge_ttp.paths import locate

from .desk import App, Page, opened, picture, until

pytestmark = [pytest.mark.window, pytest.mark.real]


def outputs(home: Path) -> list[str]:
    with History.open(locate(home).database) as history:
        return [item.output for item in history.items("me")]


def first_start(app: App, page: Page, mails: Path, folder: Path) -> None:
    until(lambda: page.seen("start"))
    until(lambda: "smollm2" in page.text("models"))
    picture(app, "1-first-start", folder)
    app.click(page, "use-model")
    until(lambda: "is ready" in page.text("model-status"))
    app.click(page, "path")
    app.write(str(mails))
    app.click(page, "author")
    app.write("ada")
    app.hands("key", "Return")
    until(lambda: "12 texts taken in" in page.text("takes"))
    picture(app, "2-import", folder)
    app.click(page, "start-done")
    until(lambda: page.seen("prompt"))


def answered(app: App, page: Page, prompt: str, folder: Path | None = None) -> None:
    app.click(page, "prompt")
    app.hands("key", "ctrl+a")
    app.write(prompt)
    app.click(page, "go")
    if folder is not None:
        until(lambda: page.ask("document.querySelectorAll('.card').length"))
        picture(app, "3-drawing", folder)
    until(lambda: page.seen("result"), 180)


def test_from_the_first_start_to_feedback(display: str, app_home: Path, sent_mails: Path, tmp_path: Path) -> None:
    with opened(display, app_home) as app:
        page = app.page()
        first_start(app, page, sent_mails, tmp_path)
        page.ask("document.querySelector('#ask details').open = true")
        app.click(page, "count")
        app.write("4")
        page.ask("document.querySelector('#ask details').open = false")
        answered(app, page, "Lift 7 was repaired today.", tmp_path)
        assert page.text("final").strip()
        assert "alive" in page.text("recalled")
        app.click(page, "final")
        app.hands("key", "ctrl+a")
        app.write("lift 7 lives!! cheers, ada")
        app.click(page, "send")
        until(lambda: page.text("judged"))
        picture(app, "4-answer", tmp_path)
        assert "lift 7 lives!! cheers, ada" in outputs(app_home)

        app.click(page, "tab-learned")
        until(lambda: "You begin in small letters" in page.text("habits"))
        assert "hi" in page.text("habits")
        picture(app, "5-learned", tmp_path)

        app.click(page, "tab-privacy")
        until(lambda: "only your account" in page.text("kept"))
        picture(app, "6-privacy", tmp_path)
        app.click(page, "forget-preview")
        until(lambda: page.seen("going"))
        assert "13 texts and 1 answers" in page.text("going-title")
        assert "alive" in page.text("going-texts")
        picture(app, "7-forgetting", tmp_path)
        app.click(page, "going-no")
        until(lambda: not page.seen("going"))
        assert len(outputs(app_home)) == 13
        app.click(page, "forget-preview")
        until(lambda: page.seen("going"))
        app.click(page, "going-yes")
        until(lambda: "are gone" in page.text("privacy-status"))
        assert outputs(app_home) == []


def test_compose_answers_the_clipboard_copies_back_and_learns(display: str, app_home: Path, tmp_path: Path) -> None:
    with opened(display, app_home, "compose", "--clipboard") as app:
        page = app.page("compose.html")
        app.put_on_clipboard("The printer on the first floor works again.")
        done = app.start("compose", "--clipboard")  # the shortcut of a desktop, while it runs
        assert (done.returncode, "shown there" in done.stderr) == (0, True)
        until(lambda: page.text("source") == "The printer on the first floor works again.")
        until(lambda: page.seen("compose-result"), 180)
        choices = int(page.ask("document.querySelectorAll('#choices button').length"))
        assert choices >= 2
        app.hands("key", "alt+2")
        second = page.ask("document.querySelectorAll('#choices button')[1].textContent")
        until(lambda: page.text("text") == second)
        app.click(page, "text", "write like me")
        app.hands("key", "ctrl+a")
        app.write("use printer 1. it lives!")
        picture(app, "8-compose", tmp_path)
        app.hands("key", "ctrl+shift+c")
        until(lambda: app.clipboard() == "use printer 1. it lives!")
        until(lambda: "use printer 1. it lives!" in outputs(app_home))
        app.put_on_clipboard("something else")  # now nothing is owed to the clipboard any more: the app ends by itself
        until(lambda: app.process.poll() is not None, 30)


def test_the_model_process_is_killed_and_comes_back(display: str, app_home: Path, tmp_path: Path) -> None:
    with opened(display, app_home) as app:
        page = app.page()
        until(lambda: page.seen("start"))
        app.click(page, "start-done")
        answered(app, page, "Is the lift working?")
        app.click(page, "prompt")
        app.write(" Or not?")
        before = app.model_process()
        os.kill(before, signal.SIGKILL)
        until(lambda: app.model_process() != before)
        until(
            lambda: page.ask(
                "fetch('/ttp/v1/info', {headers: {authorization: 'Bearer ' + token}}).then(r => r.ok, () => false)"
            )
        )
        picture(app, "9-back-again", tmp_path)
        assert page.text("prompt") == "Is the lift working? Or not?"  # what stood there stays
        answered(app, page, "And now?")


def test_one_app_for_a_home_that_remembers_its_size(display: str, app_home: Path) -> None:
    with opened(display, app_home) as app:
        app.page()
        window = app.window("^edge-ttp$")
        done = app.start("app")
        assert (done.returncode, "runs already" in done.stderr) == (0, True)
        app.hands("windowsize", "--sync", window, "700", "600")
    with opened(display, app_home) as app:
        app.page()
        shape = app.hands("getwindowgeometry", "--shell", app.window("^edge-ttp$"))
        assert {"WIDTH=700", "HEIGHT=600"} <= set(shape.split())
        assert not (app_home / "cache" / "window").exists()  # the browser engine keeps nothing: no token, no address
        assert "ettp-" not in (app_home / "config" / "window.ini").read_text()
