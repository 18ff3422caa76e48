"""The texts of a few candidates, read from the source a second time so that a million of them never have to be kept."""

from __future__ import annotations

import json
from collections.abc import Iterable

from edge_ttp.lab.diagnosis.parquet_source import ParquetSource
from edge_ttp.lab.diagnosis.score_table import Source


def texts_of(source: Source, lines: Iterable[int]) -> dict[int, str]:
    """The `text` on each of these lines that has one. Stops at the last of them."""
    wanted = set(lines)
    if isinstance(source, ParquetSource):
        return source.texts(wanted)
    found: dict[int, str] = {}
    last = max(wanted, default=0)
    for number, line, _ in source.lines() if last else ():
        if number in wanted and line is not None:
            text = json.loads(line).get("text")
            if isinstance(text, str):
                found[number] = text
        if number >= last:
            break
    return found
