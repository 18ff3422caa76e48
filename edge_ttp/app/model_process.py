"""The process that holds the models: `edge-ttp serve` as a child, started again when it ends unasked.

It may be killed for memory or die in native code; the window lives on, says so, and has it back a moment later at the
same address with the same token, so that what stands on the page stays there.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

KEPT_LINES = 20
"""Lines of its error stream that are kept for a message."""
MOST_STARTS = 4
"""Starts within WITHIN_S seconds after which it is not started again by itself: it would only die again."""
WITHIN_S = 60.0
_END_S = 8.0
"""Longest wait for its end before it is killed; it gives requests under way five seconds."""


@dataclass(frozen=True)
class ServerAddress:
    """Where the model process answers."""

    url: str
    token: str
    pid: int
    instance: str
    """Another one after every start."""


@dataclass(frozen=True)
class ProcessEnd:
    """The model process ended without being asked to."""

    words: str
    """Of what, in a few words."""
    again: bool
    """Whether it is being started again."""


def own_program() -> list[str]:
    """How this program is started anew, for any of its commands: in a frozen app it is its own executable."""
    return [sys.executable] if getattr(sys, "frozen", False) else [sys.executable, "-m", "edge_ttp"]


def command_of_server(port: int, options: Sequence[str]) -> list[str]:
    """How this program is started as the server of its parent."""
    return [*own_program(), "serve", "--port", str(port), "--announce", *options]


class ModelProcess:
    """The server as a child process. Its callbacks come from a thread of its own.

    It may be started before there is anybody to tell: Qt takes as long to load as the server does.
    """

    def __init__(
        self,
        *,
        options: Sequence[str] = (),
        command: Callable[[int, Sequence[str]], list[str]] = command_of_server,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`options`: of `serve`."""
        self._hear: Callable[[ServerAddress | ProcessEnd], None] | None = None
        self._untold: list[ServerAddress | ProcessEnd] = []
        self._telling = threading.Lock()
        self._options, self._command, self._clock = tuple(options), command, clock
        self._port = 0
        self._starts: deque[float] = deque(maxlen=MOST_STARTS)
        self._process: subprocess.Popen[str] | None = None
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._closing = threading.Event()
        self._watching: threading.Thread | None = None

    def attend(self, *, up: Callable[[ServerAddress], None], ended: Callable[[ProcessEnd], None]) -> None:
        """`up` is called with every address it answers at, `ended` when it ended unasked; at once with what was."""

        def hear(news: ServerAddress | ProcessEnd) -> None:
            if isinstance(news, ServerAddress):
                up(news)
            else:
                ended(news)

        with self._telling:
            self._hear = hear
            for news in self._untold:
                hear(news)
            self._untold.clear()

    def _tell(self, news: ServerAddress | ProcessEnd) -> None:
        with self._telling:
            if self._hear is None:
                self._untold.append(news)
            else:
                self._hear(news)

    @property
    def pid(self) -> int | None:
        """Of the process that runs now."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def start(self) -> None:
        """Starts it, and watches it from now on. Also after it was given up."""
        if self._watching is not None and self._watching.is_alive():
            return
        self._closing.clear()
        self._starts.clear()
        self._watching = threading.Thread(target=self._watch, name="edge-ttp-model-process", daemon=True)
        self._watching.start()

    def close(self) -> None:
        """Ends it: it closes its history in order. Returns when it is gone."""
        self._closing.set()
        process = self._process
        if process is not None:
            with suppress(OSError, ValueError):
                if process.stdin is not None:
                    process.stdin.close()  # the server ends with its parent's end of the pipe
            try:
                process.wait(_END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._watching is not None and self._watching is not threading.current_thread():
            self._watching.join(_END_S)

    def _watch(self) -> None:
        before = ""
        while not self._closing.is_set():
            self._starts.append(self._clock())
            words, served = self._run_once()
            if self._closing.is_set():
                return
            often = len(self._starts) == MOST_STARTS and self._clock() - self._starts[0] < WITHIN_S
            settled = not served and words == before  # it refuses to start, for the same reason as the last time
            again, before = not (often or settled), "" if served else words
            self._tell(ProcessEnd(words, again))
            if not again:
                return

    def _run_once(self) -> tuple[str, bool]:
        """Runs the process to its end; says what it ended of, and whether it had answered at an address."""
        self._lines.clear()
        try:
            process = subprocess.Popen(
                self._command(self._port, self._options),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                errors="replace",
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        except OSError as error:
            return f"cannot be started ({error.strerror or error})", False
        self._process = process
        if self._closing.is_set():  # closed in between: nobody else would end it
            process.kill()
        give_way(process.pid)
        assert process.stdout is not None
        assert process.stderr is not None
        reading = threading.Thread(target=self._read_errors, args=(process.stderr,), daemon=True)
        reading.start()
        line = process.stdout.readline()
        serving = _serving(line)
        if serving is not None:
            self._port = int(serving.url.rsplit(":", 1)[1])
            self._tell(serving)
        code = process.wait()
        reading.join(1.0)
        for stream in (process.stdin, process.stdout, process.stderr):
            with suppress(OSError):
                if stream is not None:
                    stream.close()
        if serving is None:
            self._port = 0  # the port of before may be taken
        return self._words(code), serving is not None

    def _read_errors(self, stream: Any) -> None:
        with suppress(OSError, ValueError):
            for line in stream:
                self._lines.append(line.rstrip())

    def _words(self, code: int) -> str:
        if code < 0:
            with suppress(ValueError):
                return f"was ended by {signal.Signals(-code).name}"
        last = next((line for line in reversed(self._lines) if line.strip()), "")
        return f"ended with {code}" + (f": {last[:300]}" if last else "")


def give_way(pid: int) -> None:
    """Lets the window's own thread go first where every core is busy drawing candidates."""
    import psutil

    with suppress(psutil.Error, OSError):
        psutil.Process(pid).nice(psutil.BELOW_NORMAL_PRIORITY_CLASS if sys.platform == "win32" else 5)


def _serving(line: str) -> ServerAddress | None:
    try:
        told = json.loads(line)
        return ServerAddress(str(told["url"]), str(told["token"]), int(told["pid"]), str(told["instance"]))
    except (ValueError, TypeError, KeyError):
        return None
