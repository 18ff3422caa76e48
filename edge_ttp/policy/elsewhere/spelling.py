"""Prompts for an engine whose tokens nobody here knows: text spelled in numbers of four bytes, and back.

The runtime counts prompts in tokens and hands them on as such. Four bytes of UTF-8 are about a token of a usual
vocabulary, so lengths come out about right, and nothing has to be kept to read the text back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

_BYTES = 4
_MARK = 1 << 40
"""Numbers from here on say whose turn begins; no spelled text reaches them."""
_ROLES = ("system", "user", "assistant")


def spelled(text: str) -> tuple[int, ...]:
    """The text in numbers."""
    data = text.encode("utf-8", "replace")
    return tuple(int.from_bytes(b"\x01" + data[start : start + _BYTES], "big") for start in range(0, len(data), _BYTES))


def read(tokens: Iterable[int]) -> str:
    """The text that `spelled` made these of; whose turn it is says nothing."""
    pieces = (token.to_bytes(_BYTES + 1, "big").lstrip(b"\0")[1:] for token in tokens if token < _MARK)
    return b"".join(pieces).decode("utf-8", "replace")


def turns(messages: Sequence[tuple[str, str]]) -> tuple[int, ...]:
    """(role, text) messages in numbers, with the beginning of the answer to them at the end."""
    tokens: list[int] = []
    for role, text in messages:
        tokens += [_MARK + _ROLES.index(role), *spelled(text)]
    return (*tokens, _MARK + _ROLES.index("assistant"))


def as_messages(tokens: Sequence[int]) -> tuple[list[tuple[str, str]], str] | None:
    """The messages that `turns` made these of, and what of the answer stands behind them; None for plain text."""
    if not tokens or tokens[0] < _MARK:
        return None
    messages: list[tuple[str, str]] = []
    begun: list[int] = []
    role = tokens[0] - _MARK
    for token in tokens[1:]:
        if token < _MARK:
            begun.append(token)
            continue
        messages.append((_ROLES[role], read(begun)))
        role, begun = token - _MARK, []
    return messages, read(begun)
