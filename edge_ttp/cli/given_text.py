"""Text that a command is given: as an argument, piped in, or in a file. Imports nothing of the command line's own."""

from __future__ import annotations

import codecs
import os
import stat
import sys
from typing import TYPE_CHECKING

from edge_ttp.errors import InvalidInput

if TYPE_CHECKING:
    from pathlib import Path

MAX_STDIN_BYTES = 2_000_000


def read_prompt(argument: str | None) -> str:
    """The prompt: the argument, what is piped in behind it, or without an argument (or for `-`) standard input alone.

    Raises InvalidInput where there is neither, and for binary or endless input.
    """
    if argument == "-":
        return read_text("-")
    if argument is not None:
        piped = _from_stdin() if is_piped() else ""
        return f"{argument}\n\n{piped}" if piped.strip() else argument
    if sys.stdin is None or sys.stdin.isatty():
        raise InvalidInput("there is no prompt", "write one in quotes, or pipe it in: edge-ttp generate < FILE")
    return _from_stdin()


def read_text(argument: str) -> str:
    """The argument itself; `-` reads standard input. Raises InvalidInput for binary or endless input."""
    return argument if argument != "-" else _from_stdin()


def read_documents(files: list[Path] | None) -> tuple[str, ...]:
    """The texts of these files. Raises InvalidInput for one that cannot be read or is no text."""
    texts = []
    for file in files or []:
        try:
            with file.open("rb") as opened:
                data = opened.read(MAX_STDIN_BYTES + 1)
        except OSError as error:
            raise InvalidInput(f"cannot read {str(file)!r}: {error.strerror or error}", "name a text file") from error
        texts.append(_decoded(data, repr(str(file))))
    return tuple(texts)


def is_piped() -> bool:
    """Whether a pipe or a file stands at standard input: a terminal, /dev/null or nothing at all does not count."""
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode
    except (AttributeError, OSError, ValueError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode) or stat.S_ISSOCK(mode)


def _from_stdin() -> str:
    try:
        data = sys.stdin.buffer.read(MAX_STDIN_BYTES + 1)
    except (AttributeError, OSError, ValueError) as error:  # none, closed, or a folder
        raise InvalidInput("standard input cannot be read", "give the text as an argument") from error
    return _decoded(data, "standard input")


def _decoded(data: bytes, name: str) -> str:
    """The text that `data` is, without byte order mark, carriage returns and the last line's end."""
    if len(data) > MAX_STDIN_BYTES:
        raise InvalidInput(f"{name} is longer than {MAX_STDIN_BYTES:,} bytes", "pass a shorter text")
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))  # as PowerShell writes files
    try:
        text = data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as wrong:
        where = f" (byte {wrong.start})" if not wide else ""
        raise InvalidInput(f"{name} is not UTF-8 text{where}", "convert it: iconv -t UTF-8") from wrong
    if "\0" in text:
        raise InvalidInput(f"{name} is no text", "pass a text, such as the one that a program extracts from it")
    return text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n")
