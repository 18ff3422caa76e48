"""OpenAI's protocol as engines speak it: what is asked for, and what their lines say. Pure: sends nothing."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from edge_ttp.errors import InvalidInput
from edge_ttp.policy.elsewhere.spelling import as_messages, read
from edge_ttp.policy.request import Request
from edge_ttp.schema import MAX_CANDIDATES, FinishReason

Way = Literal["chat/completions", "completions"]

_MAX_PIECE = 200_000
"""Characters of one piece of an answer: more is no answer to a request of ours."""
_ROUNDING = 1e-4
"""How far above 0 an engine may round a log-probability."""


@dataclass(frozen=True)
class Abilities:
    """What an engine was seen to do, one way of asking it."""

    n: bool = True
    """Several choices a request."""
    logprobs: bool = True
    """The log-probabilities of what it drew."""
    extras: bool = True
    """top_k, min_p and further fields that OpenAI does not have."""

    @property
    def in_words(self) -> str:
        """For people."""
        told = [
            "n choices a request" if self.n else "one choice a request",
            "log-probabilities" if self.logprobs else "no log-probabilities",
            "top-k and min-p" if self.extras else "neither top-k nor min-p",
        ]
        return ", ".join(told)


@dataclass(frozen=True)
class Piece:
    """What one line of an answer says of one choice."""

    choice: int
    text: str = ""
    tokens: int | None = None
    """None where the engine does not say."""
    logprob: float | None = None
    """Of these tokens together, natural logarithm."""
    finish: FinishReason | None = None


@dataclass(frozen=True)
class AnswerLine:
    """One line of an answer."""

    pieces: tuple[Piece, ...]
    prompt_tokens: int | None = None


class NotOpenAI(ValueError):
    """What came is no line of this protocol."""


def way_of(prompt: Sequence[int]) -> Way:
    """How this prompt is asked: as a conversation, or as text to go on with."""
    return "completions" if as_messages(prompt) is None else "chat/completions"


def refuse_unsent(request: Request) -> None:
    """Raises InvalidInput for what this protocol has no word for; nothing that was asked for is left out silently."""
    sampling = request.sampling
    if sampling.grammar is not None:
        raise InvalidInput("an engine elsewhere takes no GBNF grammar", "give a JSON schema, or draw on this device")
    if sampling.adapters:
        raise InvalidInput("an engine elsewhere has its own adapters", "name one of its models with --model")
    if sampling.logit_bias:
        raise InvalidInput(
            "a bias is for tokens, which an engine elsewhere numbers its own way",
            "leave it out, or draw on this device",
        )
    if sampling.typical_p != 1:
        raise InvalidInput("engines elsewhere do not agree on typical_p", "leave it out, or draw on this device")


def body(
    request: Request, model: str, abilities: Abilities, *, n: int, seed: int, temperature: float
) -> dict[str, Any]:
    """What is posted for `n` candidates of `request`."""
    sampling = request.sampling
    messages = as_messages(request.prompt)
    asked: dict[str, Any] = {
        "model": model,
        "max_tokens": request.max_tokens,
        "temperature": temperature,
        "top_p": sampling.top_p,
        "seed": seed % 2**31,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if messages is None:
        asked["prompt"] = read(request.prompt)
        if abilities.logprobs:
            asked["logprobs"] = 1
    else:
        asked["messages"] = [{"role": role, "content": text} for role, text in messages[0]]
        if abilities.logprobs:
            asked |= {"logprobs": True, "top_logprobs": 1}
    if n > 1:
        asked["n"] = n
    if request.stop:
        asked["stop"] = list(request.stop)
    for name in ("presence_penalty", "frequency_penalty"):
        if getattr(sampling, name):
            asked[name] = getattr(sampling, name)
    if sampling.json_schema is not None:
        asked["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": sampling.json_schema, "strict": True},
        }
    if abilities.extras:
        asked |= {"top_k": sampling.top_k or -1, "min_p": sampling.min_p}
        if sampling.repetition_penalty != 1:  # vLLM's name and llama.cpp's
            asked |= {"repetition_penalty": sampling.repetition_penalty, "repeat_penalty": sampling.repetition_penalty}
    elif sampling.repetition_penalty != 1:
        raise InvalidInput("this engine has no repetition penalty", "use --presence-penalty or --frequency-penalty")
    return asked


def data_of(line: bytes) -> bytes | None:
    """What a line of an event stream carries; None for comments and blanks."""
    return line[5:].strip() if line.startswith(b"data:") else None


def said(data: bytes) -> AnswerLine:
    """What one line's object says. Raises NotOpenAI."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise NotOpenAI("a line that is no JSON") from error
    if not isinstance(found, dict):
        raise NotOpenAI("a line that is no object")
    if "error" in found:
        raise NotOpenAI(f"an error: {error_text(data)}")
    choices = found.get("choices")
    if not isinstance(choices, list):
        raise NotOpenAI("a line without choices")
    usage = found.get("usage")
    prompt = usage.get("prompt_tokens") if isinstance(usage, dict) else None
    return AnswerLine(tuple(_pieces(choices)), prompt if type(prompt) is int and prompt >= 0 else None)


def error_text(data: bytes) -> str:
    """The message in an engine's refusal, shortened."""
    try:
        found = json.loads(data)
        inner = found.get("error", found.get("detail", found.get("message", found)))
        text = inner.get("message", inner) if isinstance(inner, Mapping) else inner
    except (ValueError, AttributeError, RecursionError):
        text = data.decode("utf-8", "replace")
    shown = "".join(character if character.isprintable() else " " for character in str(text)[:400])
    return " ".join(shown.split())[:200]


def _pieces(choices: list[Any]) -> Iterator[Piece]:
    for choice in choices:
        if not isinstance(choice, dict):
            raise NotOpenAI("a choice that is no object")
        index = choice.get("index", 0)
        if type(index) is not int or not 0 <= index < MAX_CANDIDATES:
            raise NotOpenAI("a choice without a number")
        delta = choice.get("delta") or choice.get("message") or {}
        text = delta.get("content") if isinstance(delta, dict) else None
        text = choice.get("text") if text is None else text
        text = text if isinstance(text, str) else ""
        if len(text) > _MAX_PIECE:
            raise NotOpenAI("a piece that is no answer's")
        tokens, logprob = _measured(choice.get("logprobs"))
        # Half a pair of surrogates is no text.
        text = text.encode("utf-8", "replace").decode("utf-8")
        yield Piece(index, text, tokens, logprob, _finish(choice.get("finish_reason")))


def _measured(given: Any) -> tuple[int | None, float | None]:
    """Tokens of a piece and their log-probability; (None, None) where it is not said."""
    if not isinstance(given, dict):
        return None, None
    values = given.get("token_logprobs")
    if values is None and isinstance(given.get("content"), list):
        values = [one.get("logprob") if isinstance(one, dict) else None for one in given["content"]]
    if not isinstance(values, list) or not values:
        return None, None
    if not all(type(value) in (int, float) and math.isfinite(value) and value <= _ROUNDING for value in values):
        return len(values), None
    return len(values), min(0.0, float(sum(values)))


def _finish(reason: Any) -> FinishReason | None:
    if reason is None:
        return None
    return "length" if reason == "length" else "stop"
