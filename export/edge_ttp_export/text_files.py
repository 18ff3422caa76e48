"""Files of personalized text: one JSON object per line, or a row of Parquet, with user_id, input, output and order."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_ttp.errors import InvalidInput
from edge_ttp_export.parquet import is_parquet, rows_of


@dataclass(frozen=True)
class Item:
    """What one user wrote, at their `order`-th place (0 is the oldest)."""

    user_id: str
    order: int
    input: str
    output: str


def task_of(path: Path) -> str:
    """The task's name: that of its file, without ending."""
    return path.name.split(".")[0]


def read_items(path: Path) -> dict[str, list[Item]]:
    """Items by user, each user's in their order. Raises InvalidInput with its number for a line that is no item."""
    users: dict[str, list[Item]] = {}
    for number, line in _rows(path):
        try:
            row = line if isinstance(line, dict) else json.loads(line)
            item = Item(str(row["user_id"]), int(row["order"]), str(row["input"]), str(row["output"]))
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidInput(
                f"{path} line {number} is not an item: {type(error).__name__} {error}",
                "each line needs user_id, order, input, output",
            ) from error
        users.setdefault(item.user_id, []).append(item)
    for items in users.values():
        items.sort(key=lambda item: item.order)
    return users


def file_sha256(path: Path) -> str:
    """The file's sha256 in hex: the fingerprint of the data that a model was trained on."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _rows(path: Path) -> Iterator[tuple[int, str | dict[str, Any]]]:
    if is_parquet(path):
        yield from enumerate(rows_of(path, ["user_id", "order", "input", "output"], "see docs/scale.md"), 1)
    else:
        yield from _lines(path)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        with path.open(encoding="utf-8") as stream:
            for number, line in enumerate(stream, 1):
                if line.strip():
                    yield number, line
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(
            f"{path} cannot be read: {error}", "give a UTF-8 file of JSON objects, one a line"
        ) from error
