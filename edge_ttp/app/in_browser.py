"""Without Qt: the same page in the browser, the server in this program until it is ended."""

from __future__ import annotations

import html
import threading
import webbrowser
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import quote

from edge_ttp.app.model_process import ModelProcess, ProcessEnd, ServerAddress
from edge_ttp.app.single import AppWish
from edge_ttp.paths import Paths, private_folder

_FILE = "open.html"


def address_of(serving: ServerAddress, wish: AppWish) -> str:
    """The page that a wish means, with token and text behind the `#`, which goes over no wire."""
    page = "" if wish.show else "compose.html"
    text = f"&text={quote(wish.text)}" if wish.text and not wish.show else ""
    return f"{serving.url}/{page}#token={serving.token}{text}"


def way_in(paths: Paths, address: str) -> Path:
    """A file of mode 0600 that leads a browser to `address`: a command line is seen by everybody on the machine."""
    path = private_folder(paths.run) / _FILE
    path.unlink(missing_ok=True)
    path.touch(mode=0o600, exist_ok=False)
    escaped = html.escape(address, quote=True)
    path.write_text(
        '<!doctype html><meta charset="utf-8"><title>edge-ttp</title>'
        f'<meta http-equiv="refresh" content="0;url={escaped}">'
        f'<a href="{escaped}">edge-ttp</a>\n',
        encoding="utf-8",
    )
    return path


def run_in_browser(
    paths: Paths,
    wish: AppWish,
    *,
    say: Callable[[str], None],
    options: Sequence[str] = (),
    ending: threading.Event | None = None,
    open_page: Callable[[str], bool] = webbrowser.open,
) -> None:
    """Opens the page and serves it until `ending` is set or Ctrl-C. `say` takes lines for the person."""
    over = ending or threading.Event()
    opened = threading.Event()

    def up(serving: ServerAddress) -> None:
        file = way_in(paths, address_of(serving, wish))
        if opened.is_set():
            say("the model process is back; load the page again")
            return
        opened.set()
        if open_page(file.as_uri()):
            say("edge-ttp is in your browser; Ctrl-C ends it")
        else:
            say(f"open this file in a browser: {file}; Ctrl-C ends edge-ttp")

    def ended(news: ProcessEnd) -> None:
        say(f"the model process {news.words}; " + ("it is started again" if news.again else "it is not started again"))
        if not news.again:
            over.set()

    process = ModelProcess(options=options)
    process.attend(up=up, ended=ended)
    process.start()
    try:
        while not over.wait(0.5):
            pass
    finally:
        process.close()
        (paths.run / _FILE).unlink(missing_ok=True)
