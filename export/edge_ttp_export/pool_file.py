"""The pool file: JSON lines in zstandard frames, one frame per pool, so that an interrupted run loses at most one."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import zstandard

from edge_ttp.errors import InvalidInput

FORMAT = 1
MAX_RECORD = 64 * 2**20
_CURE = "give a file made by `edge-ttp export pools`"


class PoolFile:
    """A pool file open for appending. `keys` holds (user_id, order) of every pool in it."""

    def __init__(self, stream: IO[bytes], keys: set[tuple[str, int]]) -> None:
        self._stream = stream
        self.keys = keys

    @classmethod
    @contextmanager
    def append(cls, path: Path, header: dict[str, Any]) -> Iterator[PoolFile]:
        """The file at `path` to append to, created with `header` if it is missing. A torn last frame is cut off.

        Raises InvalidInput where the file has another header: its pools were made in another way.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+b") as stream:
            keys: set[tuple[str, int]] = set()
            records, end = _frames(path)
            if records:
                found = {key: value for key, value in records[0].items() if key != "format"}
                if found != header:
                    differing = sorted(key for key in {*found, *header} if found.get(key) != header.get(key))
                    raise InvalidInput(f"{path} was made with another {', '.join(differing)}", "choose another --out")
                keys = {(str(record["user_id"]), int(record["order"])) for record in records[1:]}
            stream.truncate(end)
            file = cls(stream, keys)
            if not records:
                file._put({"format": FORMAT, **header})
            yield file

    def write(self, record: dict[str, Any]) -> None:
        """Appends one pool and makes it durable."""
        self._put(record)
        self.keys.add((str(record["user_id"]), int(record["order"])))

    def _put(self, record: dict[str, Any]) -> None:
        line = json.dumps(record, ensure_ascii=False, allow_nan=False).encode() + b"\n"
        self._stream.write(zstandard.ZstdCompressor(level=9).compress(line))
        self._stream.flush()
        os.fsync(self._stream.fileno())


def read_pool_file(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Header and pools of a file. Raises InvalidInput for a file that is missing or no pool file."""
    records, _ = _frames(path)
    if not records:
        raise InvalidInput(f"{path} holds no pools", _CURE)
    return records[0], records[1:]


def _frames(path: Path) -> tuple[list[dict[str, Any]], int]:
    """The records of all whole frames, and the offset where they end."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror or error}", _CURE) from error
    records: list[dict[str, Any]] = []
    offset = 0
    while offset < len(data):
        frame = zstandard.ZstdDecompressor().decompressobj()
        try:
            line = frame.decompress(data[offset:])
        except zstandard.ZstdError as error:
            raise InvalidInput(f"{path} is not a zstandard file: {error}", _CURE) from error
        if not frame.eof:
            break
        offset = len(data) - len(frame.unused_data)
        try:
            record = json.loads(line)
        except ValueError as error:
            raise InvalidInput(f"{path} holds a frame that is not JSON", _CURE) from error
        if not isinstance(record, dict) or (not records and record.get("format") != FORMAT):
            raise InvalidInput(f"{path} is not a pool file of format {FORMAT}", _CURE)
        records.append(record)
    return records, offset
