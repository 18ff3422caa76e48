"""What a request may be asked with: the options of every way to ask, and OpenAI's messages in our words."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypedDict

from edge_ttp.answer.select import RULES
from edge_ttp.errors import InvalidInput, checked_type, shown
from edge_ttp.policy.job import Priority
from edge_ttp.schema import Budget, Rule, Sampling, Speaker

Message = Mapping[str, Any]
"""A message as OpenAI has it: {"role": "system", "user" or "assistant", "content": text, or parts of type text}."""

Turn = tuple[str, str] | Message
"""An earlier prompt and its answer; or a message of either side."""


class Options(TypedDict, total=False):
    """The options of Runtime.generate, Runtime.stream, AsyncRuntime.generate and AsyncRuntime.stream alike."""

    user: str | None
    messages: Sequence[Message] | None
    turns: Sequence[Turn]
    system: str | None
    context: Sequence[str]
    n: int | None
    budget: Budget | None
    select: Rule
    sampling: Sampling | None
    seed: int | None
    kind: str | None
    examples: int | None
    core: int
    recall_for: str | None
    remember: str | None
    conversation: str | None
    speaker: Speaker
    model: str | None
    adapter: str | None
    priority: Priority
    store: bool
    cancel: threading.Event | None


def check_names(options: Mapping[str, object]) -> None:
    """Raises InvalidInput for an option that there is not."""
    for name in options:
        if name not in Options.__annotations__:
            raise InvalidInput(f"there is no option {name!r}", f"choose among {', '.join(Options.__annotations__)}")


_TYPES: dict[str, tuple[type, ...]] = {
    "prompt": (str,),
    "user": (str,),
    "system": (str,),
    "n": (int,),
    "budget": (Budget,),
    "select": (str,),
    "sampling": (Sampling,),
    "seed": (int,),
    "kind": (str,),
    "examples": (int,),
    "core": (int,),
    "recall_for": (str,),
    "speaker": (str,),
    "model": (str,),
    "adapter": (str,),
    "priority": (str,),
    "store": (bool,),
    "generation_id": (str,),
    "candidate": (int,),
    "text": (str,),
    "limit": (int,),
    "for_s": (int, float),
    "threads": (int,),
    "memory_bytes": (int,),
}
_NEVER_NONE = frozenset({"select", "speaker", "priority", "store", "generation_id"})


def check_types(**given: object) -> None:
    """Raises InvalidInput for a value of a type that its name does not take."""
    for name, value in given.items():
        if name in _TYPES:
            checked_type(name, value, *_TYPES[name], optional=name not in _NEVER_NONE)
    context = given.get("context", ())
    if not isinstance(context, str | Sequence) or any(not isinstance(one, str) for one in context):
        raise InvalidInput("context is no list of texts", "give documents as texts")


def checked_flag(cancel: object) -> threading.Event | None:
    """`cancel` itself. InvalidInput where it cannot be asked whether it is set."""
    if cancel is not None and not callable(getattr(cancel, "is_set", None)):
        raise InvalidInput(f"cancel={shown(cancel)} cannot end a request", "give a threading.Event")
    return cancel  # type: ignore[return-value]  # it is asked for nothing else


def checked_rule(rule: Rule) -> Rule:
    """`rule` itself. InvalidInput where there is no such rule."""
    if rule not in RULES:
        raise InvalidInput(f"there is no selection rule {rule!r}", f"choose one of {', '.join(RULES)}")
    return rule


def in_turns(given: Sequence[Turn]) -> tuple[tuple[str, str], ...]:
    """Earlier prompts with their answers, oldest first, from pairs or from messages. InvalidInput for other shapes."""
    if isinstance(given, (str, bytes, Mapping)) or not isinstance(given, Iterable):
        raise _no_turns(given)
    turns = list(given)
    if any(isinstance(one, Mapping) for one in turns):
        said = [_message(one) for one in turns]
        if any(role == "system" for role, _ in said):
            raise InvalidInput("a system message is no earlier turn", "give it as system=, or all as messages=")
        if said[-1][0] == "user":
            raise InvalidInput("the last earlier turn has no answer", "give it as the prompt, or all as messages=")
        return _pairs(said)[0]
    for one in turns:
        if not (isinstance(one, (tuple, list)) and len(one) == 2 and all(isinstance(part, str) for part in one)):
            raise _no_turns(one)
    return tuple((one[0], one[1]) for one in turns)  # type: ignore[index]  # pairs, as checked


def in_messages(messages: Sequence[Message]) -> tuple[str, tuple[tuple[str, str], ...], str | None]:
    """(prompt, earlier turns, what the system says) of a conversation in OpenAI's shape. InvalidInput for others."""
    if isinstance(messages, (str, bytes, Mapping)) or not isinstance(messages, Iterable):
        raise InvalidInput("messages are no list", 'give [{"role": "user", "content": "..."}]')
    said = [_message(one) for one in messages]
    system = "\n\n".join(text for role, text in said if role == "system") or None
    said = [one for one in said if one[0] != "system"]
    if not said or said[-1][0] != "user":
        raise InvalidInput("the last message is not the user's", "end with what is to be answered")
    turns, prompt = _pairs(said)
    return prompt, turns, system


def _pairs(said: list[tuple[str, str]]) -> tuple[tuple[tuple[str, str], ...], str]:
    """Prompts with their answers, and the prompt that has none yet. What one side says in a row is one text."""
    merged: list[tuple[str, str]] = []
    for role, text in said:
        if merged and merged[-1][0] == role:
            merged[-1] = (role, f"{merged[-1][1]}\n\n{text}")
        else:
            merged.append((role, text))
    if merged and merged[0][0] == "assistant":
        merged.insert(0, ("user", ""))
    prompt = merged.pop()[1] if merged and merged[-1][0] == "user" else ""
    return tuple((merged[at][1], merged[at + 1][1]) for at in range(0, len(merged), 2)), prompt


def _message(given: object) -> tuple[str, str]:
    """Role (system, user or assistant) and text of one message."""
    if not isinstance(given, Mapping) or not {"role", "content"} <= set(given):
        raise _no_turns(given)
    role = "system" if given["role"] == "developer" else given["role"]
    if role not in ("system", "user", "assistant"):
        raise InvalidInput(
            f"a message of the role {role!r} cannot be shown to the policy", "use system, user and assistant"
        )
    return role, _content(given["content"])


def _content(content: object) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, Sequence):
        parts = []
        for part in content:
            if not isinstance(part, Mapping) or part.get("type") not in ("text", "input_text", "output_text"):
                kind = part.get("type") if isinstance(part, Mapping) else type(part).__name__
                raise InvalidInput(f"a message has a part of type {kind!r}", "give text alone")
            parts.append(str(part.get("text", "")))
        return "".join(parts)
    raise InvalidInput(f"a message's content is {type(content).__name__}", "give a text, or parts of type text")


def _no_turns(given: object) -> InvalidInput:
    return InvalidInput(
        f"{shown(given, 60)} is no turn of a conversation",
        'give (prompt, answer), or {"role": "user", "content": "..."}',
    )
