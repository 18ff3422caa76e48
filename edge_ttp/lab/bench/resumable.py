"""Results of a long run on disk, one JSON object a line: an interrupted run loses at most the line it was writing.

The first line says how the results were made; a run that would be made in another way is refused. Files are private
(0600): they may hold what was drawn for real people's texts.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import IO, Any

from edge_ttp.errors import InvalidInput
from edge_ttp.lab.bench.corpus import Query

Key = tuple[str, str, int]
"""Task, user and place of a query."""


class Resumable:
    """An open file of results. `done` holds what it has, by query."""

    def __init__(self, stream: IO[bytes], done: dict[Key, dict[str, Any]]) -> None:
        """Use `append`."""
        self._stream = stream
        self.done = done

    @classmethod
    @contextmanager
    def append(cls, path: Path, header: Mapping[str, Any]) -> Iterator[Resumable]:
        """The file at `path` to go on with, made with `header` if it is missing. A torn last line is cut off.

        Raises InvalidInput where the file cannot be used or was made in another way.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise InvalidInput(f"{path} cannot be written: {error.strerror or error}", "choose another file") from error
        with os.fdopen(descriptor, "r+b") as stream:
            lines, end = _whole_lines(stream.read(), path)
            if lines and lines[0] != json.loads(json.dumps(header)):
                changed = sorted(key for key in {*lines[0], *header} if lines[0].get(key) != _plain(header.get(key)))
                raise InvalidInput(f"{path} was made with another {', '.join(changed)}", "choose another file")
            stream.truncate(end)
            stream.seek(end)
            state = cls(stream, {_key(line, path): line for line in lines[1:]})
            if not lines:
                state._put(header)
            yield state

    @staticmethod
    def read(path: Path) -> tuple[dict[str, Any], dict[Key, dict[str, Any]]]:
        """The header of a file and its results by query, a torn last line left out. Raises InvalidInput."""
        try:
            lines, _ = _whole_lines(path.read_bytes(), path)
        except OSError as error:
            raise InvalidInput(f"{path} cannot be read: {error.strerror or error}", "choose another file") from error
        if not lines:
            raise InvalidInput(f"{path} holds no results", "choose another file")
        return lines[0], {_key(line, path): line for line in lines[1:]}

    def write(self, key: Key, result: Mapping[str, Any]) -> None:
        """Adds one query's result and makes it durable."""
        line = {"task": key[0], "user": key[1], "place": key[2], **result}
        self._put(line)
        self.done[key] = json.loads(json.dumps(line))

    def fill(
        self,
        queries: Sequence[Query],
        make: Callable[[Query], Mapping[str, Any] | None],
        *,
        advance: Callable[[int], None],
        cancel: Event | None = None,
    ) -> None:
        """Adds what `make` gives for every query that is lacking; None: nothing can be said of it.

        `advance` is called with the number of queries done. Ends after the query under way once `cancel` is set.
        """
        for number, query in enumerate(queries, 1):
            if cancel is not None and cancel.is_set():
                return
            if query.key not in self.done and (made := make(query)) is not None:
                self.write(query.key, made)
            advance(number)

    def _put(self, line: Mapping[str, Any]) -> None:
        self._stream.write(json.dumps(line, ensure_ascii=False, allow_nan=False).encode() + b"\n")
        self._stream.flush()
        os.fsync(self._stream.fileno())


def _whole_lines(data: bytes, path: Path) -> tuple[list[dict[str, Any]], int]:
    """The objects of all whole lines, and the offset where they end."""
    end = data.rfind(b"\n") + 1
    try:
        lines = [json.loads(line) for line in data[:end].splitlines()]
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{path} holds no results", "choose another file") from error
    if not all(isinstance(line, dict) for line in lines):
        raise InvalidInput(f"{path} holds no results", "choose another file")
    return lines, end


def _key(line: Mapping[str, Any], path: Path) -> Key:
    try:
        return str(line["task"]), str(line["user"]), int(line["place"])
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidInput(f"{path} holds a result of no query", "choose another file") from error


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value))
