"""Exports of ChatGPT and Claude: the person's messages, and archives that are not what they claim."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from edge_ttp.errors import InvalidInput
from edge_ttp.exchange import conversations
from edge_ttp.exchange.conversations import ConversationReading, files_in, is_export, messages
from edge_ttp.exchange.records import BadRecord, Numbered, Skipped
from edge_ttp.schema import HistoryItem

HOW = ConversationReading("ann")


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
    found = [one.record for one in messages(path, HOW) if isinstance(one, Numbered)]
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
    assert {one.kind for one in found} == {"prompt"}


def test_conversations_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    odd = [{"title": "x"}, {"mapping": 3}, {"chat_messages": {}}, CLAUDE]
    found = list(messages(written(tmp_path, odd), HOW))
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


@pytest.mark.parametrize("data", [b"", b"3", b"[1]", b"\xff\xfe", b"[" * 100_000, b'{"a": "\xff"}'])
def test_what_is_no_export_is_one_line(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "conversations.json"
    path.write_bytes(data)
    with pytest.raises(InvalidInput):
        read(path)


def test_an_export_in_pieces_is_read_from_its_zip_its_folder_or_one_piece(tmp_path: Path) -> None:
    other = {**CHATGPT, "title": "More"}
    folder = tmp_path / "export"
    folder.mkdir()
    (folder / "conversations-000.json").write_text(json.dumps([CHATGPT]))
    (folder / "conversations-001.json").write_text(json.dumps([other]))
    (folder / "export_manifest.json").write_text("{}")
    packed = tmp_path / "export.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, f"chatgpt/{file.name}")
    titles = ["Trails", "The northern ones.", "More", "The northern ones."]
    assert [given for given, _ in read(packed)] == [given for given, _ in read(folder)] == titles
    assert [given for given, _ in read(folder / "conversations-001.json")] == titles[2:]
    assert len(files_in(folder)) == 2
    assert len({one.number for one in messages(folder, HOW) if isinstance(one, Numbered)}) == 2


def test_what_was_spoken_is_read_and_what_the_program_says_for_the_person_is_not(tmp_path: Path) -> None:
    spoken = node("root", "user", "", ["b"])
    spoken["message"]["content"] = {
        "content_type": "multimodal_text",
        "parts": [
            {"content_type": "audio_transcription", "text": "tell me a joke", "direction": "in"},
            {"content_type": "real_time_user_audio_video_asset_pointer", "audio_asset_pointer": {}},
        ],
    }
    answer = node("a", "assistant", "", ["c"])
    answer["message"]["content"]["content_type"] = "multimodal_text"
    answer["message"]["content"]["parts"] = [{"content_type": "audio_transcription", "text": "Knock knock"}]
    context = node("b", "user", "I am Jo", ["d"])
    context["message"]["metadata"] = {"is_user_system_message": True}
    hidden = node("c", "user", "hidden", ["e"])
    hidden["message"]["metadata"] = {"is_visually_hidden_from_conversation": True}
    profile = node("d", "user", "", ["f"])
    profile["message"]["content"] = {"content_type": "user_editable_context", "user_profile": "Jo"}
    code = node("e", "assistant", "search()", ["g"])
    code["message"]["recipient"] = "python"
    last = node("f", "user", "who is there", [])
    mapping = dict(zip("abcdefg", (spoken, answer, context, hidden, profile, code, last), strict=True))
    found = read(written(tmp_path, [{"title": "Voice", "mapping": mapping, "current_node": "g"}]))
    assert found == [("Voice", "tell me a joke"), ("Knock knock", "who is there")]


def test_an_edited_branch_of_claude_answers_its_own_parent(tmp_path: Path) -> None:
    def said(uuid: str, parent: str, sender: str, text: str) -> dict[str, Any]:
        content = [{"type": "text", "text": text}, {"type": "thinking", "thinking": "hm"}]
        return {"uuid": uuid, "parent_message_uuid": parent, "sender": sender, "text": "", "content": content}

    talk = {
        "name": "Holiday",
        "chat_messages": [
            said("1", "0", "human", "write it"),
            said("2", "1", "assistant", "Draft"),
            said("3", "2", "human", "shorter"),
            said("4", "3", "assistant", "Short draft"),
            said("5", "2", "human", "edited: more pirate"),
            {"uuid": "6", "parent_message_uuid": "4", "sender": "human", "text": "", "content": [], "files": [{}]},
            said("7", "6", "human", "and this picture"),
        ],
    }
    assert read(written(tmp_path, [talk])) == [
        ("Holiday", "write it"),
        ("Draft", "shorter"),
        ("Draft", "edited: more pirate"),
        ("Short draft", "and this picture"),
    ]


@pytest.mark.parametrize("wrong", [3, None, [], {}, "missing", True, 1.5, ["d"]])
def test_a_current_node_of_a_wrong_type_is_the_last_leaf(tmp_path: Path, wrong: object) -> None:
    found = read(written(tmp_path, [{**CHATGPT, "current_node": wrong}, CLAUDE]))
    assert ("Soup?", "no soup pls") in found
    assert ("The northern ones.", "thanks, and near oslo?") in found


def test_missing_metadata_costs_nothing(tmp_path: Path) -> None:
    bare = {"mapping": {"a": {"message": {"author": {"role": "user"}, "content": {"parts": ["hi"]}}}}}
    dated = {
        "create_time": 1767600000,
        "mapping": {"a": {"message": {"author": {"role": "user"}, "content": {"parts": ["yo"]}}}},
    }
    first, second = records(written(tmp_path, [bare, dated]))
    assert (first.input, first.output, first.created_at) == ("", "hi", HOW.now)
    assert second.created_at.year == 2026


def test_conversations_in_which_the_person_says_nothing_are_counted(tmp_path: Path) -> None:
    found = list(messages(written(tmp_path, [{"chat_messages": []}, CLAUDE]), HOW))
    assert [one.number for one in found if isinstance(one, Skipped)] == [1]


def test_what_an_export_looks_like() -> None:
    assert is_export([CHATGPT])
    assert is_export(CLAUDE)
    assert not is_export([{"a": 1}])
    assert not is_export(3)
