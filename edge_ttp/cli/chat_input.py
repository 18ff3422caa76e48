"""How `edge-ttp chat` reads what is said: with line editing on a terminal, line by line where it is piped in."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge_ttp.errors import Cancelled, InvalidInput

Read = Callable[[], str | None]
"""Returns the next message without its end; None at the end of input."""

PROMPT = "> "


def reader(typed: Path | None, commands: tuple[str, ...]) -> Read:
    """What reads messages from standard input. `typed`: file with what was typed before; None keeps it in memory."""
    if sys.stdin.isatty() and sys.stderr.isatty():
        return _Terminal(typed, commands)
    return _line


def _line() -> str | None:
    if sys.stdin.isatty():  # while stderr goes elsewhere
        sys.stdout.flush()
    try:
        line = sys.stdin.readline()
    except UnicodeDecodeError as wrong:
        raise InvalidInput("standard input is not UTF-8 text", "convert it: iconv -t UTF-8") from wrong
    return line.removeprefix("\ufeff").rstrip("\r\n") if line else None


class _Terminal:
    """Messages with line editing, recall of earlier ones and pasting of several lines at once (prompt_toolkit)."""

    def __init__(self, typed: Path | None, commands: tuple[str, ...]) -> None:
        from prompt_toolkit import PromptSession
        from prompt_toolkit.completion import WordCompleter
        from prompt_toolkit.history import FileHistory, InMemoryHistory
        from prompt_toolkit.output import create_output

        self._session: Any = PromptSession(
            PROMPT,
            history=InMemoryHistory() if typed is None else FileHistory(str(typed)),
            output=create_output(stdout=sys.stderr),  # stdout carries answers and nothing else
            multiline=True,
            key_bindings=_keys(),
            prompt_continuation="  ",
            enable_open_in_editor=True,
            completer=WordCompleter(list(commands), sentence=True),
            complete_while_typing=False,
        )
        self._warned = False

    def __call__(self) -> str | None:
        """The next message. Ctrl-C clears the line; twice in a row it leaves (Cancelled)."""
        while True:
            try:
                text = self._session.prompt()
            except EOFError:
                return None
            except KeyboardInterrupt:
                if self._warned:
                    raise Cancelled("interrupted") from None
                self._warned = True
                sys.stderr.write("Ctrl-D or /quit leaves; Ctrl-C again too\n")
                continue
            self._warned = False
            return str(text)


def _keys() -> Any:
    """Enter sends; Alt-Enter begins a new line. Pasted lines come in as one message without any key."""
    from prompt_toolkit.key_binding import KeyBindings

    keys = KeyBindings()

    @keys.add("enter")
    def _send(event: Any) -> None:
        event.current_buffer.validate_and_handle()

    @keys.add("escape", "enter")
    def _new_line(event: Any) -> None:
        event.current_buffer.insert_text("\n")

    return keys
