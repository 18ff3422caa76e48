from __future__ import annotations

import json
from typing import Any

import pytest

from edge_ttp.errors import InvalidInput
from edge_ttp.exchange import telegram
from edge_ttp.exchange.chats import ChatReading
from edge_ttp.exchange.records import Numbered
from edge_ttp.schema import HistoryItem


def said(name: str, text: object, minute: int = 0, **more: Any) -> dict[str, Any]:
    moment = 1_736_151_120 + 60 * minute
    return {"type": "message", "date_unixtime": str(moment), "from": name, "text": text, **more}


CHAT = {
    "name": "Pat",
    "type": "personal_chat",
    "messages": [
        {"type": "service", "actor": "Pat", "action": "phone_call", "text": ""},
        said("Pat", "are you up?"),
        said("Jo May", ["yes, ", {"type": "bold", "text": "barely"}], 1),
        said("Jo May", "a joke of somebody's", 2, forwarded_from="Kim"),
        said("Pat", 7, 3),
        "no message",
    ],
}


def read(value: object, *authors: str) -> list[tuple[str, str, str]]:
    found = telegram.messages(json.dumps(value).encode(), "result.json", ChatReading("ann", authors))
    records = [one.record for one in found if isinstance(one, Numbered)]
    return [
        (one.input, one.output, f"{one.source} {one.created_at:%H:%M}")
        for one in records
        if isinstance(one, HistoryItem)
    ]


def test_a_chat_is_read_by_who_said_what() -> None:
    assert read(CHAT, "jo") == [("are you up?", "yes, barely", "telegram 08:13")]


def test_an_export_of_everything_says_who_made_it() -> None:
    everything = {
        "personal_information": {"user_id": 2, "first_name": "Jo", "last_name": "May"},
        "chats": {"list": [CHAT, {"type": "private_group", "messages": [said("Pat", "hello all")]}, 3]},
    }
    assert [output for _, output, _ in read(everything)] == ["yes, barely"]


def test_who_the_user_is_has_to_be_known() -> None:
    with pytest.raises(InvalidInput, match="which of its people is you") as refused:
        read(CHAT)
    assert "--author" in refused.value.cure


def test_it_is_told_by_its_beginning() -> None:
    assert telegram.begins(json.dumps(CHAT, indent=1).encode())
    assert not telegram.begins(b'{"messages": [{"role": "user", "content": "hi"}]}')
    assert not telegram.begins(b"[]")


@pytest.mark.parametrize(
    "data", [b"{", b"[]", b"3", b"{}", b'{"messages": 3}', b'{"chats": {"list": 4}}', b'{"chats": []}', b"[" * 99_999]
)
def test_what_is_no_export_is_one_line(data: bytes) -> None:
    with pytest.raises(InvalidInput):
        list(telegram.messages(data, "result.json", ChatReading("ann")))
