"""Exports of ChatGPT and Claude: the person's messages, and archives that are not what they claim."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from edge_ttp.errors import InvalidInput
from edge_ttp.exchange import conversations
from edge_ttp.exchange.conversations import messages
from edge_ttp.exchange.records import BadRecord, Numbered
from edge_ttp.schema import HistoryItem


def node(parent: str | None, role: str, text: object, children: list[str]) -> dict[str, Any]:
    message = {
        "author": {"role": role},
        "content": {"content_type": "text", "parts": [text]},
        "create_time": 1767600000.0,
    }
    return {"message": message, "parent": parent, "children": children}


CHATGPT = {
    "title": "Trails",
    "current_node": "d",
    "mapping": {
        "root": {"message": None, "parent": None, "children": ["a"]},
        "a": node("root", "user", "Which trails are quiet?", ["b", "x"]),
        "b": node("a", "assistant", "The northern ones.", ["c"]),
        "x": node("a", "assistant", "A dropped branch.", []),
        "c": node("b", "user", "thanks, and near oslo?", ["d"]),
        "d": node("c", "assistant", {"image": 1}, []),
    },
}
CLAUDE = {
    "name": "Lunch",
    "chat_messages": [
        {"sender": "human", "text": "plan a lunch", "created_at": "2026-01-05T10:00:00Z", "content": []},
        {"sender": "assistant", "text": "", "content": [{"type": "text", "text": "Soup?"}, {"type": "tool_use"}]},
        {"sender": "human", "text": "x", "content": [{"type": "text", "text": "no soup pls"}]},
        {"sender": "system", "text": "hidden"},
    ],
}


def read(path: Path) -> list[tuple[str, str]]:
    return [(one.input, one.output) for one in records(path)]


def records(path: Path) -> list[HistoryItem]:
    found = [one.record for one in messages(path, "ann") if isinstance(one, Numbered)]
    return [one for one in found if isinstance(one, HistoryItem)]


def written(tmp_path: Path, value: object, packed: bool = True) -> Path:
    if not packed:
        path = tmp_path / "conversations.json"
        path.write_text(json.dumps(value))
        return path
    path = tmp_path / "export.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("user.json", "{}")
        archive.writestr("export/conversations.json", json.dumps(value))
    return path


@pytest.mark.parametrize("packed", [True, False])
def test_the_persons_messages_answer_what_was_said_before(tmp_path: Path, packed: bool) -> None:
    path = written(tmp_path, [CHATGPT, CLAUDE], packed)
    assert read(path) == [
        ("Trails", "Which trails are quiet?"),
        ("The northern ones.", "thanks, and near oslo?"),
        ("Lunch", "plan a lunch"),
        ("Soup?", "no soup pls"),
    ]
    found = records(path)
    assert [one.source for one in found] == ["chatgpt", "chatgpt", "claude", "claude"]
    assert found[0].created_at.isoformat() == "2026-01-05T08:00:00+00:00"
    assert {one.kind for one in found} == {"chat"}


def test_conversations_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    odd = [{"title": "x"}, {"mapping": 3}, {"chat_messages": {}}, CLAUDE]
    found = list(messages(written(tmp_path, odd), "ann"))
    assert [one.number for one in found if isinstance(one, BadRecord)] == [1, 2, 3]
    assert sum(isinstance(one, Numbered) for one in found) == 2


def test_loops_and_odd_values_end(tmp_path: Path) -> None:
    loop = {
        "current_node": "a",
        "mapping": {"a": node("b", "user", "one", ["b"]), "b": node("a", "user", "two", ["a"])},
    }
    odd = {"mapping": {"a": 3, "b": {"message": {"author": 1, "content": 2}}, "c": {"message": {"author": {}}}}}
    strange = {"chat_messages": [3, {"sender": "human", "text": 5, "created_at": "never"}, {"sender": "human"}]}
    assert [output for _, output in read(written(tmp_path, [loop, odd, strange]))] == ["two", "one", "5"]


def test_archives_that_are_not_what_they_claim_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("conversations.json", b" " * 3_000_000)
    with pytest.raises(InvalidInput, match="unpacks to 3000000 bytes"):
        read(bomb)
    empty = tmp_path / "empty.zip"
    with zipfile.ZipFile(empty, "w") as archive:
        archive.writestr("other.json", "[]")
    with pytest.raises(InvalidInput, match=r"holds no conversations\.json"):
        read(empty)
    good = written(tmp_path, [CLAUDE])
    data = bytearray(good.read_bytes())
    data[60:90] = bytes(30)
    (tmp_path / "broken.zip").write_bytes(data)
    with pytest.raises(InvalidInput):
        read(tmp_path / "broken.zip")
    monkeypatch.setattr(conversations, "MAX_JSON", 100)
    with pytest.raises(InvalidInput):
        read(good)
    with pytest.raises(InvalidInput, match="larger than"):
        read(written(tmp_path, [CLAUDE] * 3, packed=False))


@pytest.mark.parametrize("data", [b"", b"{}", b"[1]", b"\xff\xfe", b"[" * 100_000, b'{"a": "\xff"}'])
def test_what_is_no_export_is_one_line(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "conversations.json"
    path.write_bytes(data)
    with pytest.raises(InvalidInput):
        read(path)
