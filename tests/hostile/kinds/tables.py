"""CSV files and JSON lines: quotes, delimiters, encodings, dates and values that are made to break a reader."""

from __future__ import annotations

import json
import random
from pathlib import Path

from ..importing import SOUND, Imports, noise

_DATES = (
    "", " ", "2025-01-31", "31.02.2025", "99999999999999999999", "-1", "1e400", "NaN", "²²²²", "Mon, 06 Jan 2025 09:12",
    "0000-00-00", "24:00", "2025-W01", "x" * 500, "\ud7ff", "1736150000123", "9999-12-31T23:59:59+14:00", "0001-01-01",
)  # fmt: skip


def _csv(chance: random.Random, path: Path) -> tuple[str, bool]:
    delimiter = chance.choice(",;\t|")
    header = delimiter.join(("input", "output", "date"))
    rows = []
    for _ in range(chance.randrange(1, 12)):
        if chance.random() < 0.3:
            rows.append(noise(chance, chance.choice((20, 2_000, 100_000))).decode("latin-1").replace('"', "'"))
        else:
            cells = [chance.choice(("", "a", '"a\n b"', '"""x"""', "é", "x" * 300_000)), "y", chance.choice(_DATES)]
            rows.append(delimiter.join(cells))
    ends = chance.choice(("\n", "\r\n"))
    text = ends.join([header, *rows, f"{delimiter}{SOUND}{delimiter}2025", ""])
    encoding = chance.choice(("utf-8", "utf-8-sig", "cp1252", "utf-16", "latin-1"))
    data = text.encode(encoding, errors="replace")
    if b"\0" in data[:70_000] and encoding != "utf-16":
        data = data.replace(b"\0", b"0")
    path.write_bytes(data)
    return f"a table in {encoding}", encoding != "utf-16"


def _jsonl(chance: random.Random, path: Path) -> tuple[str, bool]:
    values = (None, True, -1, 1e308, 10**400, "", "x", "\ud800", [], {}, [1], {"a": 1}, "2025", "x" * 250_000)
    lines = []
    for _ in range(chance.randrange(1, 12)):
        if chance.random() < 0.3:
            lines.append(noise(chance, 3_000).replace(b"\n", b" ").replace(b"\0", b"0"))
            continue
        value = {"input": "a", "output": "b", "date": chance.choice(_DATES)}
        for _ in range(chance.randrange(4)):
            key = chance.choice(
                (
                    "input",
                    "output",
                    "date",
                    "user_id",
                    "kind",
                    "source",
                    "order",
                    "metadata",
                    "record",
                    "messages",
                    "id",
                )
            )
            value[key] = chance.choice(values)
        if chance.random() < 0.2:
            value = {"messages": [{"role": chance.choice(("user", 3)), "content": chance.choice(values)}]}
        if chance.random() < 0.2:
            value["record"] = chance.choice(("layer", "calibration", "evidence", "setting", "generation", "feedback"))
        lines.append(json.dumps(value).encode())
    lines.append(json.dumps({"input": "", "output": SOUND}).encode())
    path.write_bytes((b"\xef\xbb\xbf" if chance.random() < 0.2 else b"") + b"\r\n".join(lines))
    return "JSON lines", True


def _make(chance: random.Random, folder: Path) -> tuple[str, Path, dict[str, object], bool]:
    if chance.random() < 0.5:
        path = folder / "table.csv"
        what, sound = _csv(chance, path)
        options: dict[str, object] = {"form": "csv"}
        if chance.random() < 0.2:
            options["date_form"], sound = "%d/%m/%Y", False
        return what, path, options, sound
    path = folder / "lines.jsonl"
    what, sound = _jsonl(chance, path)
    return what, path, {"form": "jsonl"}, sound


def open(home: Path) -> Imports:
    return Imports(home, _make)
