from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge_ttp.errors import InvalidInput
from edge_ttp.exchange import chat_files
from edge_ttp.exchange.chats import ChatReading
from edge_ttp.exchange.recognize import format_of
from edge_ttp.exchange.records import BadRecord, Numbered

SIGNAL = "[2024-05-01 10:03] {0}: are you coming?\n[2024-05-01 10:05] Me: yes, bringing cake\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What signal-export writes: a folder for each chat, with the same once more as JSON."""
    for name in ("Ann", "Bob"):
        (tmp_path / "chats" / name / "media").mkdir(parents=True)
        (tmp_path / "chats" / name / "chat.md").write_text(SIGNAL.format(name), encoding="utf-8")
        (tmp_path / "chats" / name / "data.json").write_text("{}", encoding="utf-8")
        (tmp_path / "chats" / name / "media" / "1.jpg").write_bytes(b"\xff\xd8\xff")
    return tmp_path / "chats"


def test_a_folder_of_chats_is_read_chat_by_chat(folder: Path) -> None:
    assert format_of(str(folder)) == "chat"
    found = [one for one in chat_files.messages(folder, ChatReading("jo"), None) if isinstance(one, Numbered)]
    assert [(one.number, one.record.output) for one in found] == [  # type: ignore[union-attr]
        (1, "yes, bringing cake"),
        (2, "yes, bringing cake"),
    ]


def test_a_chat_that_does_not_say_who_the_user_is_is_named_and_the_others_read(folder: Path) -> None:
    (folder / "Bob" / "chat.md").write_text(SIGNAL.format("Bob").replace("Me", "Kim"), encoding="utf-8")
    found = list(chat_files.messages(folder, ChatReading("jo"), None))
    assert [one.number for one in found if isinstance(one, Numbered)] == [1]
    assert [one.number for one in found if isinstance(one, BadRecord)] == [2]


def test_where_no_chat_says_who_the_user_is_that_is_the_error(folder: Path) -> None:
    for name in ("Ann", "Bob"):
        (folder / name / "chat.md").write_text(SIGNAL.format(name).replace("Me", "Kim"), encoding="utf-8")
    with pytest.raises(InvalidInput, match="which of its people is you"):
        list(chat_files.messages(folder, ChatReading("jo"), None))


def test_a_folder_of_notes_is_no_folder_of_chats(folder: Path) -> None:
    (folder / "Ann" / "plan.md").write_text("# Plan\n\nMore cake.\n", encoding="utf-8")
    assert chat_files.files_in(folder) == []
    assert format_of(str(folder)) == "markdown"


def test_telegrams_export_is_a_chat(tmp_path: Path) -> None:
    line = {"type": "message", "date": "2025-01-06T09:12:00", "from": "Jo", "text": "hi"}
    chat = {"name": "Pat", "type": "personal_chat", "messages": [line]}
    (tmp_path / "contacts.json").write_text("{}", encoding="utf-8")
    for name in ("result.json", "renamed.json"):
        (tmp_path / name).write_text(json.dumps(chat, indent=1), encoding="utf-8")
        assert format_of(str(tmp_path / name)) == "chat"
    assert format_of(str(tmp_path)) == "chat"
    found = list(chat_files.messages(tmp_path / "result.json", ChatReading("jo", ("jo",)), None))
    assert len(found) == 1
