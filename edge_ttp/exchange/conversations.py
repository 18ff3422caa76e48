"""Conversations exported from ChatGPT and Claude: what the person wrote, in answer to what was said before.

Both give a zip archive with `conversations.json`, or that file itself.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edge_ttp.errors import InvalidInput
from edge_ttp.exchange.records import Advance, BadRecord, Entry, Numbered, no_progress
from edge_ttp.schema import MAX_TEXT, HistoryItem, utc_now

MAX_JSON = 512 * 2**20
"""Largest conversations.json in bytes, unpacked."""

MAX_RATIO = 200
"""A member that unpacks to more than so many times its size is no export."""

MEMBER = "conversations.json"


@dataclass(frozen=True)
class _Message:
    """One message."""

    own: bool
    """Whether the person wrote it."""
    text: str
    moment: datetime | None


def messages(path: Path, user: str, kind: str = "chat", progress: Advance = no_progress) -> Iterator[Entry]:
    """What the person wrote in each conversation, numbered by conversation; the input is what was said before.

    InvalidInput if it is no such export. progress is called with the conversations read.
    """
    conversations = _read(path)
    for number, conversation in enumerate(conversations, 1):
        try:
            said = _conversation(conversation)
        except _NoConversation as error:
            yield BadRecord(number, str(error))
            continue
        source: str = "chatgpt" if "mapping" in conversation else "claude"
        before = str(conversation.get("title") or conversation.get("name") or "")[:MAX_TEXT]
        for one in said:
            if one.own and one.text.strip():
                item = HistoryItem(
                    user_id=user,
                    input=before,
                    output=one.text,
                    kind=kind,
                    created_at=one.moment or utc_now(),
                    source=source,
                )
                yield Numbered(number, item)
            before = one.text[:MAX_TEXT]
        progress(number)


class _NoConversation(ValueError):
    """Why a conversation cannot be read."""


def _read(path: Path) -> list[dict[str, Any]]:
    try:
        data = _from_zip(path) if zipfile.is_zipfile(path) else _from_file(path)
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read ({error.strerror or error})", "check the file") from error
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise InvalidInput(f"{path} is a damaged or locked archive ({str(error)[:80]})", "export it again") from error
    try:
        value = json.loads(data.decode())
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path} is not UTF-8 at byte {error.start + 1}", "export it again") from None
    except (ValueError, RecursionError):
        raise InvalidInput(f"{path} holds no JSON that can be read", "give the export's zip file or its JSON") from None
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise InvalidInput(f"{path} is no export of conversations", "give the zip file, or conversations.json of it")
    return value


def _from_file(path: Path) -> bytes:
    if path.stat().st_size > MAX_JSON:
        raise InvalidInput(f"{path} is larger than {MAX_JSON // 2**20} MiB", "export fewer conversations")
    return path.read_bytes()


def _from_zip(path: Path) -> bytes:
    """The bytes of conversations.json; never more than MAX_JSON, whatever the archive claims."""
    with zipfile.ZipFile(path) as archive:
        found = [one for one in archive.infolist() if one.filename.rsplit("/", 1)[-1] == MEMBER]
        if not found:
            raise InvalidInput(f"{path} holds no {MEMBER}", "give the zip file as it was exported")
        member = found[0]
        if member.file_size > MAX_JSON or member.file_size > MAX_RATIO * max(member.compress_size, 1024):
            raise InvalidInput(
                f"{MEMBER} in {path} unpacks to {member.file_size} bytes", f"at most {MAX_JSON // 2**20} MiB are read"
            )
        with archive.open(member) as stream:
            data = stream.read(MAX_JSON + 1)
        if len(data) > MAX_JSON:
            raise InvalidInput(f"{MEMBER} in {path} is larger than it claims", "export it again")
        return data


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
    if at not in nodes:
        leaves = [name for name, node in nodes.items() if isinstance(node, dict) and not node.get("children")]
        at = leaves[-1] if leaves else None
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


def _chatgpt_message(message: object) -> _Message | None:
    if not isinstance(message, dict):
        return None
    author, content = message.get("author"), message.get("content")
    if not isinstance(author, dict) or not isinstance(content, dict):
        return None
    parts = content.get("parts")
    if author.get("role") not in ("user", "assistant") or not isinstance(parts, list):
        return None
    text = "\n".join(part for part in parts if isinstance(part, str)).strip()
    return _Message(author["role"] == "user", text, _moment(message.get("create_time"))) if text else None


def _claude(value: Mapping[str, Any]) -> list[_Message]:
    found = []
    messages = value["chat_messages"]
    if not isinstance(messages, list):
        raise _NoConversation("its chat_messages are no list")
    for message in messages:
        if not isinstance(message, dict) or message.get("sender") not in ("human", "assistant"):
            continue
        content = message.get("content")
        parts = [
            str(part.get("text") or "")
            for part in (content if isinstance(content, list) else [])
            if isinstance(part, dict) and part.get("type") == "text"
        ]
        text = "\n".join(parts).strip() or str(message.get("text") or "").strip()
        if text:
            found.append(_Message(message["sender"] == "human", text, _moment(message.get("created_at"))))
    return found


def _moment(value: object) -> datetime | None:
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC)
        if isinstance(value, str):
            moment = datetime.fromisoformat(value)
            return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return None
