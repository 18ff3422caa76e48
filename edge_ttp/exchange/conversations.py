"""Conversations exported from ChatGPT and Claude: what the person typed, in answer to what was said before.

Both give a zip archive. In it, or in a folder, lies `conversations.json`, today in several pieces
(`conversations-000.json` ...); one of these files alone is read too.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from edge_ttp.errors import EdgeTTPError, InvalidInput
from edge_ttp.exchange.dates import NoDate
from edge_ttp.exchange.dates import moment as parsed_moment
from edge_ttp.exchange.files import DAMAGED, guarded
from edge_ttp.exchange.records import Advance, BadRecord, Entry, Numbered, Skipped, no_progress
from edge_ttp.exchange.text import decoded, plain
from edge_ttp.schema import MAX_TEXT, PROMPT_KIND, HistoryItem, utc_now

MAX_JSON = 512 * 2**20
"""Largest JSON file of an export in bytes, unpacked."""

MAX_RATIO = 200
"""A member that unpacks to more than so many times its size is no export."""

MAX_MEMBERS = 1_000
"""Pieces of one export, at most."""

MEMBER = re.compile(r"conversations(?:[-_ ]?\d{1,6})?\.json", re.IGNORECASE)
"""Names of the files that hold conversations."""

UNSAID = "without a message of the person's own"
_HIDDEN = ("is_visually_hidden_from_conversation", "is_user_system_message")
"""Marks of messages that ChatGPT puts into the person's mouth, such as their custom instructions."""


@dataclass(frozen=True)
class ConversationReading:
    """How conversations are read."""

    user: str
    kind: str = PROMPT_KIND
    now: datetime = field(default_factory=utc_now)
    """Time of messages that have none, and whose conversation has none."""


@dataclass(frozen=True)
class _Message:
    own: bool
    """Whether the person wrote it."""
    text: str
    moment: datetime | None
    before: str | None = None
    """What it answers; None: the message before it."""


class _NoConversation(ValueError):
    """Why a conversation cannot be read."""


def messages(path: Path, how: ConversationReading, progress: Advance = no_progress) -> Iterator[Entry]:
    """What the person typed in each conversation, numbered by conversation; the input is what was said before.

    InvalidInput if it is no such export. progress is called with the conversations read.
    """
    number = 0
    for name, data in _files(path):
        for value in _conversations(name, data):
            number += 1
            yield from guarded(number, partial(_items, number, value, how))
            progress(number)


def _items(number: int, value: Mapping[str, Any], how: ConversationReading) -> Iterator[Entry]:
    """The items of one conversation."""
    try:
        said = _conversation(value)
    except _NoConversation as error:
        yield BadRecord(number, str(error))
        return
    begun = next(
        (found for key in ("create_time", "created_at", "update_time") if (found := _moment(value.get(key)))), None
    )
    before = plain(str(value.get("title") or value.get("name") or ""))[:MAX_TEXT]
    own = 0
    for one in said:
        text = plain(one.text).strip()
        if one.own and text:
            own += 1
            item = HistoryItem(
                user_id=how.user,
                input=before if one.before is None else plain(one.before)[:MAX_TEXT],
                output=text,
                kind=how.kind,
                created_at=one.moment or begun or how.now,
                source="chatgpt" if "mapping" in value else "claude",
            )
            yield Numbered(number, item)
        before = text[:MAX_TEXT] or before
    if not own:
        yield Skipped(number, UNSAID)


def is_export(value: object) -> bool:
    """Whether a JSON value is what ChatGPT or Claude export, or one conversation of it."""
    first = value[0] if isinstance(value, list) and value else value
    return isinstance(first, dict) and ("mapping" in first or "chat_messages" in first)


def members(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """The files of an archive that hold conversations, by name."""
    found = [one for one in archive.infolist() if MEMBER.fullmatch(one.filename.rsplit("/", 1)[-1])]
    return sorted(found, key=lambda one: one.filename)[:MAX_MEMBERS]


def files_in(folder: Path) -> list[Path]:
    """The files of a folder that hold conversations, by name."""
    return sorted(one for one in folder.iterdir() if MEMBER.fullmatch(one.name) and one.is_file())[:MAX_MEMBERS]


def _files(path: Path) -> Iterator[tuple[str, bytes]]:
    """(name, bytes) of each file with conversations."""
    try:
        if path.is_dir():
            for file in files_in(path):
                yield str(file), _from_file(file)
        elif zipfile.is_zipfile(path):
            yield from _from_zip(path)
        else:
            yield str(path), _from_file(path)
    except EdgeTTPError:
        raise
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read ({error.strerror or error})", "check the file") from error
    except DAMAGED as error:
        raise InvalidInput(f"{path} is a damaged or locked archive ({str(error)[:80]})", "export it again") from error


def _from_file(path: Path) -> bytes:
    if path.stat().st_size > MAX_JSON:
        raise InvalidInput(f"{path} is larger than {MAX_JSON // 2**20} MiB", "export fewer conversations")
    return path.read_bytes()


def _from_zip(path: Path) -> Iterator[tuple[str, bytes]]:
    """The files with conversations; never more than MAX_JSON of one, whatever the archive claims."""
    with zipfile.ZipFile(path) as archive:
        found = members(archive)
        if not found:
            raise InvalidInput(f"{path} holds no conversations.json", "give the zip file as it was exported")
        for member in found:
            if member.file_size > MAX_JSON or member.file_size > MAX_RATIO * max(member.compress_size, 1024):
                raise InvalidInput(
                    f"{member.filename[:80]} in {path} unpacks to {member.file_size} bytes",
                    f"at most {MAX_JSON // 2**20} MiB are read",
                )
            with archive.open(member) as stream:
                data = stream.read(MAX_JSON + 1)
            if len(data) > MAX_JSON:
                raise InvalidInput(f"{member.filename[:80]} in {path} is larger than it claims", "export it again")
            yield f"{member.filename[:80]} in {path}", data


def _conversations(name: str, data: bytes) -> list[dict[str, Any]]:
    found = decoded(data)
    if found.guessed:
        raise InvalidInput(f"{name} is not UTF-8", "export it again")
    try:
        value = json.loads(found.text)
    except (ValueError, RecursionError):
        raise InvalidInput(f"{name} holds no JSON that can be read", "give the export's zip file or its JSON") from None
    if isinstance(value, dict):
        value = value["conversations"] if isinstance(value.get("conversations"), list) else [value]
    if not isinstance(value, list) or (value and not any(is_export(one) for one in value)):
        raise InvalidInput(f"{name} is no export of conversations", "give the zip file, or conversations.json of it")
    return [one if isinstance(one, dict) else {} for one in value]


def _conversation(value: Mapping[str, Any]) -> list[_Message]:
    if "mapping" in value:
        return _chatgpt(value)
    if "chat_messages" in value:
        return _claude(value)
    raise _NoConversation("no conversation of ChatGPT or Claude")


def _chatgpt(value: Mapping[str, Any]) -> list[_Message]:
    """The messages on the branch that was shown last: from `current_node` back to the root."""
    nodes = value["mapping"]
    if not isinstance(nodes, dict):
        raise _NoConversation("its mapping is no object")
    at = value.get("current_node")
    if not isinstance(at, str) or at not in nodes:
        at = _last_leaf(nodes)
    branch: list[_Message] = []
    seen: set[str] = set()
    while isinstance(at, str) and at in nodes and at not in seen:
        seen.add(at)
        node = nodes[at]
        if not isinstance(node, dict):
            break
        said = _chatgpt_message(node.get("message"))
        if said is not None:
            branch.append(said)
        at = node.get("parent")
    return branch[::-1]


def _last_leaf(nodes: Mapping[str, Any]) -> str | None:
    """The last node that no other one names as its parent."""
    parents = {
        node["parent"] for node in nodes.values() if isinstance(node, dict) and isinstance(node.get("parent"), str)
    }
    return next((name for name in reversed(list(nodes)) if name not in parents and isinstance(nodes[name], dict)), None)


def _chatgpt_message(message: object) -> _Message | None:
    if not isinstance(message, dict):
        return None
    author, content, metadata = message.get("author"), message.get("content"), message.get("metadata")
    role = author.get("role") if isinstance(author, dict) else author
    if role not in ("user", "assistant") or not isinstance(content, dict):
        return None
    if isinstance(metadata, dict) and any(metadata.get(mark) for mark in _HIDDEN):
        return None
    if content.get("content_type") not in ("text", "multimodal_text", None):
        return None
    if message.get("recipient") not in ("all", None):
        return None  # said to a tool
    parts = content.get("parts")
    texts = [_part(part) for part in parts] if isinstance(parts, list) else []
    text = "\n".join(one for one in texts if one.strip()).strip()
    return _Message(role == "user", text, _moment(message.get("create_time"))) if text else None


def _part(part: object) -> str:
    """The text of one part of a message: typed, or spoken in a voice chat."""
    if isinstance(part, str):
        return part
    if isinstance(part, dict) and part.get("content_type") in ("audio_transcription", "text"):
        return part["text"] if isinstance(part.get("text"), str) else ""
    return ""


def _claude(value: Mapping[str, Any]) -> list[_Message]:
    """All messages; one of an edited branch answers its own parent, not the message above it in the file."""
    said = []
    texts: dict[str, str] = {}
    listed = value["chat_messages"]
    if not isinstance(listed, list):
        raise _NoConversation("its chat_messages are no list")
    for message in listed:
        if not isinstance(message, dict) or message.get("sender") not in ("human", "assistant"):
            continue
        content = message.get("content")
        parts = [
            str(part.get("text") or "")
            for part in (content if isinstance(content, list) else [])
            if isinstance(part, dict) and part.get("type") in ("text", "voice_note")
        ]
        text = "\n".join(part for part in parts if part.strip()).strip() or str(message.get("text") or "").strip()
        own, name, parent = message.get("uuid"), message.get("sender"), message.get("parent_message_uuid")
        before = texts.get(parent) if isinstance(parent, str) else None
        if isinstance(own, str):
            texts[own] = text or before or ""
        if text:
            said.append(_Message(name == "human", text, _moment(message.get("created_at")), before))
    return said


def _moment(value: object) -> datetime | None:
    try:
        found = parsed_moment(value)
    except NoDate:
        return None
    return None if found is None else found[0]
