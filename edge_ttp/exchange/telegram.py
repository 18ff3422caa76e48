"""Chats exported by Telegram Desktop as JSON (`result.json`): one chat, or all of them.

An export of everything says who made it; one of a single chat does not, so the caller names themselves.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from edge_ttp.errors import InvalidInput
from edge_ttp.exchange.chats import ChatLine, ChatReading, items, own_names
from edge_ttp.exchange.dates import NoDate, moment
from edge_ttp.exchange.records import Advance, Entry, no_progress
from edge_ttp.schema import MAX_TEXT

_KINDS = rb"personal_chat|bot_chat|saved_messages|private_group|private_supergroup|public_supergroup"
_CHAT = re.compile(rb'"type"\s*:\s*"(?:' + _KINDS + rb')"')
_ALL = re.compile(rb'"personal_information"\s*:\s*\{')
_LEFT_OUT = ("forwarded_from", "via_bot")
"""Marks of messages that the sender did not write."""


def begins(head: bytes) -> bool:
    """Whether a file that begins so is such an export."""
    return head.lstrip().startswith(b"{") and bool(_ALL.search(head) or (_CHAT.search(head) and b'"messages"' in head))


def messages(data: bytes, name: str, how: ChatReading, progress: Advance = no_progress) -> Iterator[Entry]:
    """The texts of the person in every chat of the export, numbered by message.

    InvalidInput if it is no such export, or if nothing says who of the people the user is. progress is called with
    the messages read.
    """
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        raise InvalidInput(f"{name} is damaged, or no export of Telegram", "export it again") from None
    chats, owner = _chats(value)
    said = [_said(chat, how) for chat in chats]
    if not any(said):
        raise InvalidInput(f"{name} holds no messages of Telegram", "export chats, in the format JSON")
    people = Counter(line.name for lines in said for line in lines)
    own = {owner} & people.keys() if owner and not how.authors else set()
    own = own or own_names(people, name, how)
    done = 0
    for lines in said:
        for place, line in enumerate(lines, done + 1):
            line.number = place
        done += len(lines)
        if any(line.name in own for line in lines):
            yield from items(lines, own, how, "telegram", progress)


def _chats(value: Any) -> tuple[list[Mapping[str, Any]], str]:
    """(the chats, the name of whoever exported all of theirs, or nothing)."""
    if not isinstance(value, dict):
        return [], ""
    if isinstance(value.get("messages"), list):
        return [value], ""
    inner = value.get("chats")
    listed = inner.get("list") if isinstance(inner, dict) else None
    person = value.get("personal_information")
    names = [person.get(key) for key in ("first_name", "last_name")] if isinstance(person, dict) else []
    owner = " ".join(one for one in names if isinstance(one, str) and one)
    chats = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    return [one for one in chats if isinstance(one.get("messages"), list)], owner


def _said(chat: Mapping[str, Any], how: ChatReading) -> list[ChatLine]:
    lines = []
    for one in chat["messages"]:
        if not isinstance(one, dict) or one.get("type") != "message" or not isinstance(one.get("from"), str):
            continue
        foreign = any(one.get(key) for key in _LEFT_OUT)
        line = ChatLine(0, one["from"][:200], "" if foreign else _text(one.get("text"))[:MAX_TEXT])
        try:
            found = moment(one.get("date_unixtime") or one.get("date"))
        except NoDate:
            found = None
        line.moment = how.now if found is None else found[0]
        lines.append(line)
    return lines


def _text(value: Any) -> str:
    """A text: a string, or pieces of which some are links or bold."""
    if isinstance(value, str):
        return value
    pieces = value if isinstance(value, list) else []
    found = [piece.get("text") if isinstance(piece, dict) else piece for piece in pieces]
    return "".join(one for one in found if isinstance(one, str))
