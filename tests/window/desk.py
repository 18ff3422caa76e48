"""A desk to test the app on: a screen (Xvfb), a window manager (openbox), the app in a process of its own, hands
(xdotool) and eyes (the page's own debugger, and pictures of the screen).

EDGE_TTP_PICTURES=FOLDER keeps the pictures (docs/app/ has those of the last time they were looked at)."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import websocket

NEEDED = {"Xvfb": "xvfb", "openbox": "openbox", "xdotool": "xdotool", "import": "imagemagick", "xclip": "xclip"}


def needed(program: str, package: str) -> None:
    """Fails where a program is missing, and says where it comes from."""
    if shutil.which(program) is None:
        pytest.fail(f"there is no {program}: apt-get install {package}")


@contextmanager
def tray(display: str) -> Iterator[None]:
    """A place for tray icons in the upper right corner of a display."""
    needed("trayer", "trayer")
    command = ["trayer", "--edge", "top", "--align", "right", "--widthtype", "request", "--height", "26"]
    process = subprocess.Popen(command, env={**os.environ, "DISPLAY": display}, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


PICTURES = Path(os.environ["EDGE_TTP_PICTURES"]).absolute() if "EDGE_TTP_PICTURES" in os.environ else None


@contextmanager
def screen(width: int = 1100, height: int = 860) -> Iterator[str]:
    """A display with a window manager; its name."""
    for program, package in NEEDED.items():
        needed(program, package)
    shown, number = os.pipe()
    command = ["Xvfb", "-displayfd", str(number), "-screen", "0", f"{width}x{height}x24", "-nolisten", "tcp"]
    server = subprocess.Popen(command, pass_fds=(number,), stderr=subprocess.DEVNULL)
    os.close(number)
    try:
        with os.fdopen(shown) as line:
            display = f":{line.readline().strip()}"
        manager = subprocess.Popen(["openbox"], env={**os.environ, "DISPLAY": display}, stderr=subprocess.DEVNULL)
        try:
            yield display
        finally:
            manager.terminate()
            manager.wait(30)
    finally:
        server.terminate()
        server.wait(30)


def until(true: Callable[[], Any], seconds: float = 60) -> Any:
    """What `true` gives as soon as it gives something; fails after `seconds`."""
    end = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.1)
    return found


@dataclass
class Page:
    """One page of the app, through its debugger."""

    socket: websocket.WebSocket
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def ask(self, script: str) -> Any:
        """The value of a script (of its promise)."""
        number = next(self._numbers)
        given = {"expression": script, "returnByValue": True, "awaitPromise": True}
        self.socket.send(json.dumps({"id": number, "method": "Runtime.evaluate", "params": given}))
        while True:
            answer = json.loads(self.socket.recv())
            if answer.get("id") == number:
                assert "exceptionDetails" not in answer["result"], answer["result"]
                return answer["result"]["result"].get("value")

    def text(self, name: str) -> str:
        """What an element says, or what stands in a field."""
        return str(self.ask(f"(n => n.value ?? n.textContent)(document.getElementById({name!r}))"))

    def seen(self, name: str) -> bool:
        """Whether an element is shown."""
        return bool(self.ask(f"document.getElementById({name!r}).checkVisibility()"))


@dataclass
class App:
    """The app that runs."""

    process: subprocess.Popen[str]
    environment: dict[str, str]
    port: int
    home: Path

    def page(self, name: str = "/") -> Page:
        """The page whose address ends so."""

        def find() -> str | None:
            where = f"http://127.0.0.1:{self.port}/json/list"
            with suppress(OSError), urllib.request.urlopen(where, timeout=5) as answer:
                for one in json.load(answer):
                    if one["type"] == "page" and one["url"].endswith(name):
                        return str(one["webSocketDebuggerUrl"])
            return None

        address = until(find)
        page = Page(websocket.create_connection(address, timeout=60, suppress_origin=True))
        until(lambda: page.ask("document.readyState === 'complete' && location.protocol === 'http:'"))
        return page

    def hands(self, *arguments: str) -> str:
        """xdotool."""
        done = subprocess.run(
            ["xdotool", *arguments], env=self.environment, capture_output=True, text=True, timeout=60, check=True
        )
        return done.stdout.strip()

    def window(self, title: str) -> str:
        """Number of the window with this title, in front."""

        def find() -> str | None:
            done = subprocess.run(
                ["xdotool", "search", "--onlyvisible", "--name", title],
                env=self.environment,
                capture_output=True,
                text=True,
                timeout=60,
            )
            return done.stdout.split()[-1] if done.stdout.split() else None

        return str(until(find, 30))

    def click(self, page: Page, name: str, title: str = "^edge-ttp$") -> None:
        """A real click of the mouse on an element of the page in the window called `title`."""
        at, x, y = self.middle(page, name, title)
        self.hands("mousemove", "--window", at, str(x), str(y), "click", "1")

    def middle(self, page: Page, name: str, title: str) -> tuple[str, int, int]:
        """The window called `title`, and the middle of an element, scrolled into view, in it."""
        x, y = page.ask(
            f"(n => {{ n.scrollIntoView({{block: 'center'}}); const r = n.getBoundingClientRect(); "
            f"return [r.x + r.width / 2, r.y + r.height / 2]; }})(document.getElementById({name!r}))"
        )
        time.sleep(0.15)  # scrolling
        at = self.window(title)
        shape = dict(line.split("=") for line in self.hands("getwindowgeometry", "--shell", at).splitlines())
        top = int(shape["HEIGHT"]) - int(page.ask("window.innerHeight"))  # the line of news above the page
        return at, int(x), int(y + top)

    def drop(self, page: Page, name: str, *paths: Path, hovering: Callable[[], None] = lambda: None) -> None:
        """A real drag (XDND) of these paths from another window onto an element; `hovering` before it ends."""
        command = [sys.executable, str(Path(__file__).with_name("dragging.py")), *map(str, paths)]
        source = subprocess.Popen(command, env=self.environment)
        try:
            carried = self.window("^drag source$")
            self.hands("windowactivate", "--sync", carried)
            self.hands("mousemove", "--window", carried, "70", "30", "mousedown", "1")
            at, x, y = self.middle(page, name, "^edge-ttp$")
            for _ in range(4):  # Qt begins a drag some pixels after the button went down
                self.hands("mousemove_relative", "6", "4")
                time.sleep(0.1)
            way = itertools.cycle((200, 60, 2, 0))

            def marked() -> bool:
                return bool(page.ask(f"document.getElementById({name!r}).classList.contains('over')"))

            def over() -> bool:
                self.hands("mousemove", "--window", at, str(x + next(way)), str(y))
                return marked()

            until(over)
            hovering()
            self.hands("mouseup", "1")
            until(lambda: not marked())  # what was dropped comes from the source, which has to live until then
        finally:
            source.terminate()
            source.wait(30)

    def write(self, text: str) -> None:
        """Real keys, as somebody types."""
        self.hands("type", "--delay", "4", text)

    def picture(self, path: Path) -> None:
        """A picture of the screen, small: in few colours."""
        path.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            ["import", "-window", "root", "+dither", "-colors", "20", "-strip", f"png8:{path}"],
            env=self.environment,
            check=True,
            timeout=60,
        )

    def clipboard(self) -> str:
        """What lies on the clipboard."""
        command = ["xclip", "-selection", "clipboard", "-o"]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=30).stdout

    def put_on_clipboard(self, text: str) -> None:
        """Puts a text on the clipboard, as another program would."""
        command = ["xclip", "-selection", "clipboard", "-i"]
        subprocess.run(command, env=self.environment, input=text, text=True, timeout=30, check=True)

    def start(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`edge-ttp ARGUMENTS`, while the app runs."""
        command = [sys.executable, "-m", "edge_ttp", *arguments]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=60)

    def said(self) -> str:
        """What it said on its error stream."""
        return (self.home.parent / "said.txt").read_text(encoding="utf-8", errors="replace")

    def start_again(self) -> None:
        """A click on the button beside the line that says why the model process was given up."""
        at = self.window("^edge-ttp$")
        shape = dict(line.split("=") for line in self.hands("getwindowgeometry", "--shell", at).splitlines())
        self.hands("mousemove", "--window", at, str(int(shape["WIDTH"]) - 105), "20", "click", "1")

    def model_process(self) -> int:
        """Number of the process that holds the models."""
        record = self.home / "run" / "server.json"
        return int(until(lambda: record.is_file() and json.loads(record.read_text())["pid"]))


def picture(app: App, name: str, folder: Path) -> None:
    """A picture of a step, in EDGE_TTP_PICTURES where that is set, else in `folder`."""
    path = (PICTURES or folder) / f"{name}.png"
    time.sleep(0.5)  # what the page says is drawn a moment later
    app.picture(path)
    assert path.stat().st_size < 60_000, f"{path} is too large to be kept"


def _free_port() -> int:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return int(made.getsockname()[1])


@contextmanager
def opened(
    display: str, home: Path, *arguments: str, program: tuple[str, ...] = (), variables: Mapping[str, str] | None = None
) -> Iterator[App]:
    """The app on a display, ended by SIGTERM when the block ends; then it must have ended well."""
    port = _free_port()
    environment = {
        **os.environ,
        "DISPLAY": display,
        "EDGE_TTP_HOME": str(home),
        "HOME": str(home.parent),
        "LANG": "C.UTF-8",
        "LANGUAGE": "en",
        "QT_QPA_PLATFORM": "xcb",
        "QTWEBENGINE_REMOTE_DEBUGGING": f"127.0.0.1:{port}",
        "QTWEBENGINE_CHROMIUM_FLAGS": "--lang=en",
        "PYTHONUNBUFFERED": "1",
        **(variables or {}),
    }
    command = [*(program or (sys.executable, "-m", "edge_ttp")), *(arguments or ("app",))]
    with (home.parent / "said.txt").open("w", encoding="utf-8") as said:
        process = subprocess.Popen(command, env=environment, text=True, stderr=said)
    app = App(process, environment, port, home)
    try:
        yield app
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    except BaseException:
        app.picture(home.parent / "failed.png")
        print(f"the screen as it was: {home.parent / 'failed.png'}")
        raise
    finally:
        process.kill()
        process.wait(30)
        print(app.said())
        assert "Traceback" not in app.said()
