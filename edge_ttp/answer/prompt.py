"""History and request -> the personalized prompt: the user's own examples as chat turns or as few-shot text.

Pure: knows no model and no database. What it returns is words; the policy turns them into tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from edge_ttp.schema import Speaker

Style = Literal["chat", "few-shot"]
Example = tuple[str, str]
"""Input and what the user wrote in answer to it."""

EXAMPLE_INPUT_CHARS = 400
"""An example's input is cut here: it shows what was answered, the output shows how. Reading it costs prefill time."""

LENGTHS_FROM = 32
"""Newest outputs whose lengths tell how long a candidate may be."""

_SYSTEM = "You write in the user's place. Answer the way the user answered before, with the text only."
_SYSTEM_NEW = "Answer briefly, with the text only."


@dataclass(frozen=True)
class Prompt:
    """A prompt in words: `messages` for a chat model, `text` for one that only continues text."""

    style: Style
    messages: tuple[tuple[str, str], ...]
    text: str
    stop: tuple[str, ...]
    """Strings before which an answer ends."""
    examples: int


def compose(
    request: str,
    examples: Sequence[Example],
    style: Style,
    turns: Sequence[Example] = (),
    *,
    system: str | None = None,
    context: Sequence[str] = (),
    speaker: Speaker = "user",
    several_lines: bool = False,
) -> Prompt:
    """The prompt for `request`. `examples` come best first and stand best last, next to the request.

    `turns` are what was said before in the same conversation, oldest first; they stand between examples and request.
    `system` is what the caller wants observed besides; `context` are documents that the request is about.
    An answer ends with its first line where this user's always do, unless `several_lines` are wanted.
    """
    if speaker != "user":
        return _bare(request, style if speaker == "policy" else "few-shot", turns, system, context)
    request = with_context(request, context)
    shown = [(_shorten(given), written.strip()) for given, written in reversed(examples)]
    shown += [(given.strip(), written.strip()) for given, written in turns]
    habit = bool(shown) and not any("\n" in written for _, written in shown)
    told = "\n\n".join(filter(None, (_SYSTEM if examples else _SYSTEM_NEW, (system or "").strip())))
    messages = [("system", told)]
    for given, written in shown:
        messages += [("user", given), ("assistant", written)]
    messages.append(("user", request))
    blocks = [f"Input: {given}\nOutput: {written}\n\n" for given, written in shown]
    text = "".join(blocks) + f"Input: {request.strip()}\nOutput:"
    if system and system.strip():
        text = f"{system.strip()}\n\n{text}"
    if style == "chat":
        stop: tuple[str, ...] = ("\n",) if habit and not several_lines else ()
    else:
        one_line = (habit or not shown) and not several_lines
        stop = ("\n",) if one_line else ("\n\nInput:", "\nInput:", "\nOutput:")
    return Prompt(style=style, messages=tuple(messages), text=text, stop=stop, examples=len(examples))


def _bare(request: str, style: Style, turns: Sequence[Example], system: str | None, context: Sequence[str]) -> Prompt:
    """What the caller wrote and nothing else: a conversation, or a text to go on with."""
    request = with_context(request, context)
    messages = [("system", system)] if system and system.strip() else []
    for given, written in turns:
        messages += [("user", given), ("assistant", written)]
    messages.append(("user", request))
    before = "".join(f"{given}\n{written}\n" for given, written in turns)
    text = f"{system}\n{before}{request}" if system else f"{before}{request}"
    return Prompt(style=style, messages=tuple(messages), text=text, stop=(), examples=0)


def with_context(request: str, context: Sequence[str]) -> str:
    """The request behind the documents that it is about: what is asked stands last, next to the answer."""
    return "\n\n".join((*(document.strip() for document in context), request)) if context else request


def _shorten(text: str) -> str:
    text = text.strip()
    if len(text) <= EXAMPLE_INPUT_CHARS:
        return text
    # Its beginning says what it is about, and a question often stands last.
    last = EXAMPLE_INPUT_CHARS * 3 // 8
    beginning, end = text[: EXAMPLE_INPUT_CHARS - last], text[1 - last :]
    return f"{beginning.rsplit(' ', 1)[0]} ... {end.split(' ', 1)[-1]}"


def tokens_for(lengths: Sequence[int]) -> int:
    """Longest candidate to allow, in tokens, for a user whose texts had these `lengths` (tokens, any order).

    A quarter more than the longest of them, within 16 and 512; 96 where nothing is known.
    """
    if not lengths:
        return 96
    return max(16, min(512, max(lengths) * 5 // 4 + 4))
