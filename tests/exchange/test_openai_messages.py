"""Lines with `messages`: what the person typed, or what they taught a model to say."""

from __future__ import annotations

import json
from io import BufferedReader, BytesIO

from edge_ttp.exchange import jsonl
from edge_ttp.exchange.openai_messages import Role
from edge_ttp.exchange.records import Entry, Numbered, Remark, Skipped
from edge_ttp.schema import HistoryItem

CHAT = {
    "messages": [
        {"role": "system", "content": "You are brief."},
        {"role": "user", "content": "hi there"},
        {"role": "assistant", "content": "Hello!"},
        {"role": "user", "content": [{"type": "text", "text": "and now?"}, {"type": "image_url", "image_url": {}}]},
        {"role": "assistant", "content": None},
        {"role": "tool", "content": "x"},
        "odd",
    ]
}


def read(*lines: object, role: Role = "user", kind: str | None = None) -> list[Entry]:
    data = "\n".join(json.dumps(line) for line in lines).encode()
    how = jsonl.LineReading(None, "ann", kind, role=role)
    return list(jsonl.records(BufferedReader(BytesIO(data)), "file", how))  # type: ignore[arg-type]


def items(found: list[Entry]) -> list[tuple[str, str, str]]:
    records = [one.record for one in found if isinstance(one, Numbered)]
    return [(one.input, one.output, one.kind) for one in records if isinstance(one, HistoryItem)]


def test_what_was_typed_to_a_bot_is_a_prompt_and_that_is_said() -> None:
    found = read(CHAT)
    assert items(found) == [("", "hi there", "prompt"), ("Hello!", "and now?", "prompt")]
    [remark] = [one for one in found if isinstance(one, Remark)]
    assert "--role assistant" in remark.text


def test_the_assistants_role_can_be_the_persons() -> None:
    assert items(read(CHAT, role="assistant")) == [("hi there", "Hello!", "text")]
    assert items(read(CHAT, role="assistant", kind="reply")) == [("hi there", "Hello!", "reply")]


def test_odd_lines_are_counted() -> None:
    found = read({"messages": []}, {"messages": [{"role": "user", "content": {"a": 1}}]}, {"messages": 3, "output": 1})
    assert [type(one).__name__ for one in found if not isinstance(one, Remark)] == ["Skipped", "Skipped", "BadRecord"]
    assert isinstance(found[1], Skipped)
