"""What a client of OpenAI's protocol wants, read from its JSON into one type, whichever of the endpoints it came to.

A field that changes the meaning and cannot be honoured is refused (behaviour 11 of what clients need); a field that
changes nothing here is let pass and named in the answer's header `x-edge-ttp-ignored`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edge_ttp.errors import InvalidInput
from edge_ttp.schema import MAX_CANDIDATES, MAX_TEXT, Budget, Mode, Rule, Sampling
from edge_ttp.server.complaints import explained

ME = "me"
"""The model that drafts as the person; `me/NAME` does so with the policy NAME."""
MAX_MESSAGES = 10_000
MAX_STOPS = 64

Role = Literal["system", "user", "assistant"]
_Model = TypeVar("_Model", bound=BaseModel)


class Extension(BaseModel):
    """`edge_ttp` in a request: what OpenAI's protocol has no field for."""

    model_config = ConfigDict(extra="forbid")

    deadline_s: float | None = None
    """Seconds for the whole answer."""
    mode: Mode = "balanced"
    candidates: int | None = Field(default=None, ge=1, le=MAX_CANDIDATES)
    """Exactly so many candidates; None: as many as they are worth."""
    max_candidates: int | None = Field(default=None, ge=1, le=MAX_CANDIDATES)
    select: Rule | None = None
    kind: str | None = None
    """Recall keeps to items of this kind."""
    examples: int | None = Field(default=None, ge=0, le=64)
    core: int = Field(default=0, ge=0, le=64)
    context: list[str] = []
    """Documents for this answer: shown to the policy, never stored as the user's writing."""
    remember: str | None = None
    """The input under which an accepted text is kept."""
    events: bool = False
    """Streaming: every event of the runtime as a chunk with an empty delta."""
    all_candidates: bool = False
    """All candidates with mean and variance in the answer."""

    def budget(self) -> Budget:
        """What the answer may cost."""
        return Budget(deadline_s=self.deadline_s, mode=self.mode, max_candidates=self.max_candidates)


@dataclass(frozen=True)
class Wanted:
    """One request, checked."""

    model: str
    messages: tuple[tuple[Role, str], ...]
    """What was said, oldest first; one user message for a plain prompt."""
    plain: bool = False
    """A text to continue (completions), not a conversation."""
    n: int = 1
    sampling: Mapping[str, Any] = field(default_factory=dict)
    """The fields of Sampling that the client set."""
    seed: int | None = None
    stream: bool = False
    include_usage: bool = False
    user: str | None = None
    store: bool | None = None
    best_of: int | None = None
    extension: Extension = field(default_factory=Extension)
    ignored: tuple[str, ...] = ()
    """Names of the fields that change nothing here."""

    @property
    def as_person(self) -> bool:
        """Whether the person is to be imitated."""
        return self.model == ME or self.model.startswith(ME + "/")

    @property
    def policy(self) -> str | None:
        """Name of the policy, None for the default one."""
        if self.model == ME:
            return None
        return self.model.removeprefix(ME + "/") if self.as_person else self.model


class _SharedFields(BaseModel):
    """Fields that the endpoints share."""

    model_config = ConfigDict(extra="allow")

    model: str = Field(min_length=1, max_length=500)
    stream: bool | None = None
    temperature: float | None = Field(default=None, ge=0, le=5)
    top_p: float | None = Field(default=None, ge=0, le=1)
    top_k: int | None = Field(default=None, ge=-1, le=1_000_000)
    min_p: float | None = Field(default=None, ge=0, le=1)
    typical_p: float | None = Field(default=None, gt=0, le=1)
    repetition_penalty: float | None = Field(default=None, ge=0.01, le=100)
    presence_penalty: float | None = Field(default=None, ge=-2, le=2)
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2)
    seed: int | None = None
    user: str | None = Field(default=None, max_length=256)
    safety_identifier: str | None = Field(default=None, max_length=256)
    store: bool | None = None
    edge_ttp: Extension | None = None


class _Several(_SharedFields):
    n: int | None = Field(default=None, ge=1, le=MAX_CANDIDATES)
    stop: str | list[str] | None = None
    logit_bias: dict[str, float] | None = Field(default=None, max_length=1000)
    stream_options: dict[str, Any] | None = None
    grammar: str | None = Field(default=None, max_length=MAX_TEXT)


class _Chat(_Several):
    messages: list[dict[str, Any]] = Field(min_length=1, max_length=MAX_MESSAGES)
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    response_format: dict[str, Any] | None = None


class _Completion(_Several):
    prompt: str | list[Any]
    max_tokens: int | None = Field(default=None, ge=1)
    best_of: int | None = Field(default=None, ge=1, le=MAX_CANDIDATES)


class _Response(_SharedFields):
    input: str | list[Any]
    instructions: str | None = Field(default=None, max_length=MAX_TEXT)
    max_output_tokens: int | None = Field(default=None, ge=1)
    text: dict[str, Any] | None = None


# A field that would change the meaning -> the values that do not.
_REFUSED: dict[str, tuple[Any, ...]] = {
    "logprobs": (None, False),
    "top_logprobs": (None, 0),
    "audio": (None,),
    "modalities": (None, ["text"]),
    "functions": (None, []),
    "function_call": (None, "none", "auto"),
    "suffix": (None, ""),
    "echo": (None, False),
    "web_search_options": (None,),
    "previous_response_id": (None,),
    "conversation": (None,),
    "background": (None, False),
    "include": (None, []),
    "prediction": (None,),
}
_MOST_TOKENS = 8192


def chat(body: Any) -> Wanted:
    """A request to /v1/chat/completions. Raises InvalidInput."""
    asked = _read(_Chat, body)
    messages = tuple(_message(one, place) for place, one in enumerate(asked.messages))
    longest = asked.max_completion_tokens or asked.max_tokens
    return _several(asked, messages, longest, _format(asked.response_format))


def completion(body: Any) -> Wanted:
    """A request to /v1/completions. Raises InvalidInput."""
    asked = _read(_Completion, body)
    prompt = asked.prompt
    if isinstance(prompt, list) and len(prompt) == 1 and isinstance(prompt[0], str):
        prompt = prompt[0]
    if not isinstance(prompt, str):
        raise InvalidInput("the prompt is not one text", "send one text; tokens and lists of prompts are not taken")
    if asked.best_of is not None and asked.best_of < (asked.n or 1):
        raise InvalidInput("best_of is less than n", "draw at least as many as are wanted")
    wanted = _several(asked, (("user", prompt),), asked.max_tokens, {})
    return Wanted(**{**vars(wanted), "plain": True, "best_of": asked.best_of})


def response(body: Any) -> Wanted:
    """A request to /v1/responses, as far as it is text. Raises InvalidInput."""
    asked = _read(_Response, body)
    messages: list[tuple[Role, str]] = []
    if asked.instructions:
        messages.append(("system", asked.instructions))
    if isinstance(asked.input, str):
        messages.append(("user", asked.input))
    else:
        for place, entry in enumerate(asked.input):
            if not isinstance(entry, dict) or entry.get("type", "message") != "message":
                raise InvalidInput(f"input {place} is not a message", "send messages of text")
            messages.append(_message(entry, place))
    settings = asked.text or {}
    made = settings.get("format") if isinstance(settings, dict) else None
    if isinstance(made, dict) and made.get("type") == "json_schema":
        made = {"type": "json_schema", "json_schema": made}
    sampling = _sampling(asked, asked.max_output_tokens, (), None, _format(made))
    return Wanted(**_common(asked), messages=_checked(messages), sampling=sampling)


def _several(
    asked: _Several, messages: Sequence[tuple[Role, str]], longest: int | None, made: Mapping[str, Any]
) -> Wanted:
    stops = (asked.stop,) if isinstance(asked.stop, str) else tuple(asked.stop or ())
    if len(stops) > MAX_STOPS:
        raise InvalidInput(f"there are {len(stops)} stop strings", f"send at most {MAX_STOPS}")
    options = asked.stream_options or {}
    return Wanted(
        **_common(asked),
        messages=_checked(messages),
        n=asked.n or 1,
        sampling=_sampling(asked, longest, stops, asked.logit_bias, made, grammar=asked.grammar),
        include_usage=bool(options.get("include_usage")),
    )


def _common(asked: _SharedFields) -> dict[str, Any]:
    return {
        "model": asked.model,
        "seed": None if asked.seed is None else asked.seed % 2**63,
        "stream": bool(asked.stream),
        "user": asked.user or asked.safety_identifier,
        "store": asked.store,
        "extension": asked.edge_ttp or Extension(),
        "ignored": _ignored(asked),
    }


def _ignored(asked: _SharedFields) -> tuple[str, ...]:
    """The names of fields without a meaning here. Raises InvalidInput for one whose meaning would be lost."""
    extra = asked.model_extra or {}
    for name, harmless in _REFUSED.items():
        if name in extra and extra[name] not in harmless:
            raise InvalidInput(f"{name} cannot be honoured here", f"leave out {name}")
    choice = extra.get("tool_choice")
    if choice not in (None, "auto", "none"):
        raise InvalidInput("tool_choice asks for a tool, and this model calls none", "send tool_choice auto or none")
    return tuple(sorted(name for name, value in extra.items() if value is not None))


def _sampling(
    asked: _SharedFields,
    longest: int | None,
    stops: tuple[str, ...],
    biases: Mapping[str, float] | None,
    made: Mapping[str, Any],
    *,
    grammar: str | None = None,
) -> dict[str, Any]:
    """The fields of Sampling that were set. Raises InvalidInput for values it does not take."""
    given: dict[str, Any] = {
        "temperature": asked.temperature,
        "top_p": None if asked.top_p is None else max(asked.top_p, 1e-6),
        "top_k": None if asked.top_k is None else max(0, asked.top_k),
        "min_p": asked.min_p,
        "typical_p": asked.typical_p,
        "repetition_penalty": asked.repetition_penalty,
        "presence_penalty": asked.presence_penalty,
        "frequency_penalty": asked.frequency_penalty,
        "max_tokens": None if longest is None else min(longest, _MOST_TOKENS),
        "stop": tuple(stop for stop in stops if stop) or None,
        "logit_bias": None if biases is None else _biases(biases),
        "grammar": grammar,
        **made,
    }
    set_fields = {name: value for name, value in given.items() if value is not None}
    try:
        Sampling(**set_fields)
    except ValidationError as wrong:
        raise explained(wrong) from wrong
    return set_fields


def _biases(biases: Mapping[str, float]) -> dict[int, float]:
    """OpenAI's biases are of token ids, -100 to 100: the ends ban a token and take nothing else."""
    found: dict[int, float] = {}
    for key, bias in biases.items():
        if not (key.isascii() and key.isdecimal() and len(key) < 10) or not -100 <= bias <= 100:
            raise InvalidInput("logit_bias is not of token ids and -100 to 100", "send {token id: bias}")
        found[int(key)] = bias * 10 if abs(bias) == 100 else bias
    return found


def _format(made: Any) -> dict[str, Any]:
    """The field of Sampling that response_format means."""
    if made is None:
        return {}
    kind = made.get("type") if isinstance(made, dict) else None
    if kind == "text":
        return {}
    if kind == "json_object":
        return {"json_schema": {"type": "object"}}
    if kind == "json_schema":
        described = made.get("json_schema")
        schema = described.get("schema") if isinstance(described, dict) else None
        if isinstance(schema, dict):
            return {"json_schema": schema}
        raise InvalidInput("response_format has no json_schema.schema", "send the schema as an object")
    raise InvalidInput(f"response_format {str(kind)[:50]!r} is not known", "use text, json_object or json_schema")


def _message(message: Mapping[str, Any], place: int) -> tuple[Role, str]:
    """One message, its content a string or parts of type text. Raises InvalidInput."""
    role = message.get("role")
    if role == "developer":
        role = "system"
    if role not in ("system", "user", "assistant"):
        raise InvalidInput(f"message {place} has the role {str(role)[:50]!r}", "use system, user or assistant")
    return role, _content(message.get("content"), place)


def _content(content: Any, place: int) -> str:
    if content is None:  # an assistant's message that only called tools
        return ""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise InvalidInput(f"message {place} has no content", "send a text, or parts of type text")
    texts = []
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else None
        text = part.get("text") if isinstance(part, dict) else None
        if kind not in ("text", "input_text", "output_text") or not isinstance(text, str):
            raise InvalidInput(f"message {place} holds {str(kind)[:50]!r}, not text", "send parts of type text only")
        texts.append(text)
    return "".join(texts)


def _checked(messages: Sequence[tuple[Role, str]]) -> tuple[tuple[Role, str], ...]:
    """`messages`, where somebody asks at the end. Raises InvalidInput."""
    if not messages or messages[-1][0] != "user" or not messages[-1][1].strip():
        raise InvalidInput("the last message is not a user's text", "end with a message of the role user")
    return tuple(messages)


def _read(kind: type[_Model], body: Any) -> _Model:
    if not isinstance(body, dict):
        raise InvalidInput("the request is no JSON object", 'send {"model": ..., ...}')
    try:
        return kind.model_validate(body)
    except ValidationError as wrong:
        raise explained(wrong) from wrong


def parse_json(data: bytes) -> Any:
    """The JSON value that `data` is. Raises InvalidInput."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as wrong:
        raise InvalidInput("the request is no JSON", "send a JSON object in UTF-8") from wrong
