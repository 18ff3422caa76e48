"""Where scored pools come from: a file, plain or compressed with zstandard, or standard input. Lines, one by one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import IO

from edge_ttp.errors import ExtraMissing, InvalidInput

MAX_LINE = 4 * 1024 * 1024
"""Longest line in bytes."""

_SKIP = _BLOCK = 1024 * 1024
_EVERY = 4096
"""Lines after which the position in the file is asked for again."""

_ZSTANDARD = b"\x28\xb5\x2f\xfd"
_SIGNATURES = (
    (b"\x1f\x8b", "is compressed (gzip)", "unpack it first: gunzip"),
    (b"PK\x03\x04", "is a zip archive", "unpack it first: unzip"),
    (b"\xff\xfe", "is UTF-16", "convert it first: iconv -f UTF-16 -t UTF-8"),
    (b"\xfe\xff", "is UTF-16", "convert it first: iconv -f UTF-16 -t UTF-8"),
)


@dataclass(frozen=True)
class LineSource:
    """Lines that can be read more than once. Standard input is kept in memory for that."""

    name: str
    """For messages."""
    path: Path | None
    held: bytes = b""

    @classmethod
    def of(cls, argument: str) -> LineSource:
        """The source that a command's argument means; `-` is standard input, read here."""
        if argument == "-":
            return cls("standard input", None, sys.stdin.buffer.read())
        path = Path(argument)
        if path.is_dir():
            raise InvalidInput(f"{argument} is a folder", "give a file with one JSON object per line")
        if not path.exists():
            raise InvalidInput(f"there is no file {argument}", "give a file with one JSON object per line, or -")
        return cls(argument, path)

    @property
    def size(self) -> int:
        """Bytes to read, as stored."""
        return self.path.stat().st_size if self.path is not None else len(self.held)

    def lines(self) -> Iterator[tuple[int, bytes | None, int]]:
        """(line number from 1, line, bytes of the file read so far); None instead of a line longer than MAX_LINE.

        Raises InvalidInput for a file that is no text, ExtraMissing for a compressed one without zstandard.
        """
        try:
            with self._open() as (stored, text):
                yield from _lines(stored, text)
        except OSError as error:
            raise InvalidInput(
                f"{self.name} cannot be read: {error.strerror or error}", "check its rights and its disk"
            ) from error

    @contextmanager
    def _open(self) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
        """The stored bytes, for their position, and the text in them."""
        with self.path.open("rb") if self.path is not None else BytesIO(self.held) as stored:
            head = stored.read(4096)
            stored.seek(0)
            if not head.startswith(_ZSTANDARD):
                _refuse_binary(head, self.name)
                yield stored, stored
                return
            try:
                import zstandard
            except ModuleNotFoundError as missing:
                raise ExtraMissing(
                    f"{self.name} is compressed with zstandard, and the package zstandard is not installed",
                    "pip install zstandard, or unpack it first: zstd -d",
                ) from missing
            reader = zstandard.ZstdDecompressor().stream_reader(stored, read_across_frames=True)
            try:
                yield stored, BufferedReader(reader, _BLOCK)
            except zstandard.ZstdError as error:
                raise InvalidInput(f"{self.name} is damaged: {error}", "compress it again") from error


def _refuse_binary(head: bytes, name: str) -> None:
    for signature, fact, cure in _SIGNATURES:
        if head.startswith(signature):
            raise InvalidInput(f"{name} {fact}", cure)
    if b"\0" in head:
        raise InvalidInput(f"{name} is a binary file", "give a text file with one JSON object per line")


def _lines(stored: IO[bytes], text: IO[bytes]) -> Iterator[tuple[int, bytes | None, int]]:
    number, done = 0, 0
    while line := text.readline(MAX_LINE + 1):
        number += 1
        if number % _EVERY == 0:
            done = stored.tell()
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if len(line) <= MAX_LINE or line.endswith(b"\n"):
            yield number, line, done
            continue
        while piece := text.readline(_SKIP):
            if piece.endswith(b"\n"):
                break
        yield number, None, done
