"""Exports of ChatGPT and Claude: values of every wrong type, loops, deep nesting, archives that lie."""

# ruff: noqa: E501
from __future__ import annotations

import json
import random
import zipfile
from pathlib import Path
from typing import Any

from ..importing import SOUND, Imports, noise

_ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1e308, 10**30, "", "x", "\ud7ff", [], {}, [[]], {"a": {"b": []}}, ["x"], "\u202e" * 50, 3.5,
)  # fmt: skip
_SOUND = {
    "mapping": {"a": {"message": {"author": {"role": "user"}, "content": {"parts": [SOUND]}}, "parent": None}},
    "current_node": "a",
}


def _twisted(chance: random.Random, value: Any, depth: int = 0) -> Any:
    """`value` with some of its parts replaced, dropped or repeated."""
    if chance.random() < 0.08:
        return chance.choice(_ODD)
    if isinstance(value, dict):
        kept = {key: _twisted(chance, inner, depth + 1) for key, inner in value.items() if chance.random() > 0.04}
        if chance.random() < 0.05:
            kept[chance.choice(("parent", "current_node", "parts", "create_time", "sender", "x"))] = chance.choice(_ODD)
        return kept
    if isinstance(value, list):
        return [_twisted(chance, inner, depth + 1) for inner in value] * chance.choice((1, 1, 1, 2))
    return value


def _chatgpt(chance: random.Random) -> dict[str, Any]:
    names = [f"n{at}" for at in range(chance.randrange(1, 30))]
    mapping = {
        name: {
            "message": {
                "author": {"role": chance.choice(("user", "assistant", "tool", "system"))},
                "create_time": 1.7e9,
                "content": {"content_type": "text", "parts": [chance.choice(("hello", "", "x" * 1000))]},
                "metadata": {},
            },
            "parent": chance.choice([*names, None, name]),
        }
        for name in names
    }
    return {"title": "t", "current_node": chance.choice(names), "create_time": 1.7e9, "mapping": mapping}


def _claude(chance: random.Random) -> dict[str, Any]:
    said = [
        {
            "uuid": str(at),
            "parent_message_uuid": str(chance.randrange(at + 2)),
            "sender": chance.choice(("human", "assistant")),
            "text": chance.choice(("hi", "")),
            "content": [{"type": "text", "text": "yes"}],
            "created_at": "2025-05-01T10:00:00Z",
        }
        for at in range(chance.randrange(1, 30))
    ]
    return {"name": "n", "chat_messages": said}


def _make(chance: random.Random, folder: Path) -> tuple[str, Path, dict[str, object], bool]:
    talks = [_twisted(chance, chance.choice((_chatgpt, _claude))(chance)) for _ in range(chance.randrange(1, 8))]
    text = json.dumps([*talks, _SOUND])
    sound = True
    broken = chance.randrange(6)
    if broken == 0:
        text, sound = chance.choice(("[" * 200_000, text[: len(text) // 2], "3", '{"mapping": {}', "[]")), False
    data = noise(chance, 10_000) if broken == 1 else text.encode()
    sound = sound and broken != 1
    if chance.random() < 0.5:
        path = folder / "conversations-000.json"
        path.write_bytes(data)
        return "a JSON file" if sound else "a broken JSON file", path, {"form": "conversations"}, sound
    path = folder / "export.zip"
    with zipfile.ZipFile(path, "w", chance.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
        archive.writestr("x/conversations.json", data)
        archive.writestr("user.json", "{}")
    if chance.random() < 0.4:
        packed = bytearray(path.read_bytes())
        for _ in range(chance.randrange(1, 20)):
            packed[chance.randrange(len(packed))] = chance.randrange(256)
        path.write_bytes(packed)
        return "a zip with flipped bytes", path, {"form": "conversations"}, False
    return "a zip" if sound else "a zip of broken JSON", path, {"form": "conversations"}, sound


def open(home: Path) -> Imports:
    return Imports(home, _make)
