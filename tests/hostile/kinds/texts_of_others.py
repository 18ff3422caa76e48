"""Chats, notes, letters, and files of no known kind, whose format edge-ttp has to tell itself."""

# ruff: noqa: E501
from __future__ import annotations

import random
import zipfile
from pathlib import Path

from ..importing import SOUND, Imports, noise

_NAMES = ("x", "x.txt", "x.md", "x.json", "x.jsonl", "x.eml", "x.zip", "x.csv", "x.mbox", "conversations.json", "x.pdf")
_BEGINS = (
    b"",
    b"%PDF-1",
    b"PK\x03\x04",
    b"From x\n",
    b"[",
    b"{",
    b"<html>",
    b"\xff\xfe",
    b"From: a\nDate: b\n",
    b"[1.1.25, 1:11] ",
)


def _chat(chance: random.Random, path: Path) -> str:
    lines = []
    for _ in range(chance.randrange(1, 40)):
        date = f"{chance.randrange(40)}{chance.choice('./-')}{chance.randrange(20)}{chance.choice('./-')}{chance.randrange(3000)}"
        clock = f"{chance.randrange(30)}:{chance.randrange(70):02}"
        form = chance.choice(("[{}, {}] {}: {}", "{}, {} - {}: {}", "{} {} {} {}", "[{} {}]{}:{}"))
        text = noise(chance, 300).decode("latin-1")
        lines.append(form.format(date, clock, chance.choice(("Jo", "Ann", "x" * 80, ":")), text))
    lines.append(f"[12.03.25, 14:05:12] Jo: {SOUND}")
    path.write_text("\n".join(lines), encoding="utf-8")
    return "a chat"


def _make(chance: random.Random, folder: Path) -> tuple[str, Path, dict[str, object], bool]:
    sort = chance.randrange(4)
    if sort == 0:
        path = folder / "_chat.txt"
        return _chat(chance, path), path, {"form": "chat", "authors": ("Jo",)}, True
    if sort == 1:
        for at in range(chance.randrange(1, 6)):
            front = b"---\ntitle: x\ndate: 99\n---\n" if chance.random() < 0.5 else b""
            (folder / f"{at}{chance.choice(('.md', '.txt'))}").write_bytes(front + noise(chance, 50_000))
        (folder / "sound.md").write_text(SOUND)
        return "a folder of notes", folder, {"form": "markdown"}, True
    path = folder / chance.choice(_NAMES)
    if sort == 2 and path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(chance.choice(("a", "_chat.txt", "conversations-1.json", "word/x")), noise(chance, 5_000))
    else:
        path.write_bytes(chance.choice(_BEGINS) + noise(chance, chance.choice((30, 5_000, 200_000))))
    return f"{path.name} of no known kind", path, {}, False


def open(home: Path) -> Imports:
    return Imports(home, _make)
