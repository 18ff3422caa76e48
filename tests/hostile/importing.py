"""What the kinds of hostile imports share: a history, and a call that imports a file and looks at what came of it."""

# ruff: noqa: E501
from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

from edge_ttp.errors import EdgeTTPError
from edge_ttp.exchange.readers import described
from edge_ttp.history import History
from edge_ttp.history.importing import Imported, import_from

from .case import Case, Fault

SOUND = "a sound record that stands beside the hostile one"


class Imports:
    """Files of one format, each with one or more hostile records and one that is sound."""

    deadline_s = 20.0
    budget_bytes = 0

    def __init__(self, home: Path, make: Callable[[random.Random, Path], tuple[str, Path, dict[str, object], bool]]):
        self._database = home / "history.db"
        self._make = make

    def case(self, chance: random.Random, folder: Path) -> Case:
        """`make` gives (what is wrong, the file, options, whether the sound record has to be stored)."""
        what, path, options, has_sound = self._make(chance, folder)
        return Case(what, lambda: self._import(path, options, has_sound))

    def _import(self, path: Path, options: dict[str, object], has_sound: bool) -> Imported:
        with History.open(self._database) as history:
            before = history.count("ann")
            try:
                wanted = described(str(path), user="ann", fallback="ann", **options)  # type: ignore[arg-type]
                report = import_from(history, wanted)
            except EdgeTTPError as refused:
                if has_sound:
                    raise Fault("wrong", f"the whole file was refused: {refused}") from refused
                if history.count("ann") != before:
                    raise Fault("wrong", "a refused file left texts in the history") from refused
                raise
            outputs = [one.output for one in history.items("ann", limit=2000)]
            if has_sound and not any(SOUND in one for one in outputs):
                raise Fault("wrong", f"the sound record is lost: {report}")
            if report.id is not None:
                history.undo_import(report.id)
            if history.count("ann") != before:
                raise Fault("wrong", "undoing the import left something, or took too much")
            return report


def noise(chance: random.Random, most: int) -> bytes:
    """Bytes of one flavour: random, text, brackets, or one piece many times."""
    size = chance.randrange(1, most)
    flavour = chance.randrange(5)
    if flavour == 0:
        return chance.randbytes(size)
    if flavour == 1:
        return bytes(chance.choices(b"\n\r\t ,;:<>=?@{}[]\"'\\/-_%&#abcxyz019\xc3\xa4\xff", k=size))
    if flavour == 2:
        return "".join(chance.choices("aäñ写道😀\u202e\u0000\ud7ff \n:>", k=size // 3 + 1)).encode(errors="replace")
    piece = chance.choice(PIECES)
    return piece * (size // len(piece) + 1)


PIECES = [
    b"=?utf-8?q?x?= ", b"<a b=c ", b"<!--", b"<![x[", b"<blockquote>", b"<div class=gmail_quote>", b"; a=b", b"From: x\n",
    b"On Mon, Jo\n", b"> ", b">:\n", b"-- \n", b"a:\n", b"[", b"{\"a\":", b"\"", b",", b";", b"\r", b"\0", b"%%", b"---\n",
    b"[[", b"&#", b"\xff\xfe", b"\xef\xbb\xbf", b"(", b"\\", b"wrote:\n", b"_" * 40 + b"\n", b"[1.1.25, 1:11] Jo: ",
]  # fmt: skip
