"""Lines with `messages`, as OpenAI's API and its files for fine-tuning have them: [{role, content}, ...].

What role `user` says was typed to a chatbot. In a file that somebody made to train a model on their own texts, role
`assistant` has those; the file does not tell which it is, so the caller says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from edge_ttp.schema import PROMPT_KIND

Role = Literal["user", "assistant"]

UNSAID = "without a message of that role"
REMARKS: dict[Role, str] = {
    "user": "of lines with `messages`, what role user says was taken, as kind prompt; "
    "if what the assistant says is yours (a file for fine-tuning), give --role assistant",
    "assistant": "of lines with `messages`, what role assistant says was taken as yours",
}

_MAX_MESSAGES = 10_000


def is_chat(value: Mapping[str, Any]) -> bool:
    """Whether a JSON line is a conversation."""
    return isinstance(value.get("messages"), list) and "output" not in value and "record" not in value


def written(value: Mapping[str, Any], role: Role) -> Iterator[dict[str, Any]]:
    """input, output, kind and source of each message of that role; the input is what another role said before it."""
    before = ""
    for message in value["messages"][:_MAX_MESSAGES]:
        if not isinstance(message, dict) or message.get("role") not in ("user", "assistant"):
            continue
        text = _content(message.get("content")).strip()
        if not text:
            continue
        if message["role"] == role:
            kind = {"kind": PROMPT_KIND} if role == "user" else {}
            yield {"input": before, "output": text, "source": "messages", "messages": None, **kind}
        else:
            before = text


def _content(content: object) -> str:
    """The text of a message's content: a string, or parts of which some are text."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(
        part["text"]
        for part in parts[:_MAX_MESSAGES]
        if isinstance(part, dict)
        and part.get("type") in ("text", "input_text", "output_text")
        and isinstance(part.get("text"), str)
    )
