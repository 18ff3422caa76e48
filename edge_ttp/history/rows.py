"""Between what crosses the border (schema.py) and what a row holds: times, JSON, fingerprints, and their checks."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Any

from edge_ttp.errors import InvalidInput, checked_type
from edge_ttp.history.user import valid_user
from edge_ttp.schema import (
    MAX_TEXT,
    Candidate,
    Feedback,
    Generation,
    HistoryItem,
    Plan,
    Sampling,
    Selection,
    Timings,
    Usage,
)

MAX_LABEL = 64
"""Longest `kind` or `source`, in characters."""

MAX_METADATA = 65_536
"""Longest metadata of one item, in characters of JSON."""

MAX_DEPTH = 32
"""Deepest nesting of JSON in a row."""

MAX_JSON = 4_000_000
"""Longest JSON of one column, in characters."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_LARGEST_INTEGER = 2**63 - 1

ITEMS = (
    "SELECT items.id, users.name, items.input, items.output, items.kind, items.created_at, items.source, "
    "items.metadata FROM items JOIN users ON users.id = items.user"
)
"""Selects what `item_from` reads."""


def to_milliseconds(moment: datetime) -> int:
    """Whole milliseconds since 1970 UTC, rounded down. A moment without a time zone counts as UTC."""
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH) // _MILLISECOND


EARLIEST = to_milliseconds(datetime.min)
LATEST = to_milliseconds(datetime.max)
"""Between these lie the moments that there are, in milliseconds since 1970."""


def from_milliseconds(milliseconds: int) -> datetime:
    """The moment in UTC. ValueError where there is no such moment."""
    try:
        return _EPOCH + _whole("the time", milliseconds) * _MILLISECOND
    except OverflowError:
        raise ValueError(f"the time {milliseconds} is out of range") from None


def checked_text(name: str, text: str) -> str:
    """`text` itself. InvalidInput if it is longer than MAX_TEXT or not valid Unicode (a lone surrogate)."""
    if len(text) > MAX_TEXT:
        raise InvalidInput(f"{name} has {len(text)} characters", f"at most {MAX_TEXT} are kept; shorten it")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidInput(
            f"{name} is not valid Unicode at character {error.start + 1}", "re-encode it as UTF-8"
        ) from None
    return text


def checked_label(name: str, label: str) -> str:
    """`label` itself (a kind or a source). InvalidInput if it is empty, too long or not printable."""
    if not label or len(label) > MAX_LABEL or not label.isprintable():
        raise InvalidInput(f"{name} {label[:80]!a} is no label", f"use 1 to {MAX_LABEL} printable characters")
    return label


def checked_item(item: HistoryItem) -> HistoryItem:
    """`item` itself. InvalidInput if a field cannot be stored; an output must not be blank, an input may be."""
    checked_type("the item", item, HistoryItem, optional=False)
    valid_user(item.user_id)
    checked_text("the input", item.input)
    if not checked_text("the output", item.output).strip():
        raise InvalidInput("the output is empty", "give the text that the user wrote")
    checked_label("kind", item.kind)
    checked_label("source", item.source)
    return item


def metadata_text(metadata: dict[str, Any]) -> str:
    """The metadata as JSON. InvalidInput if it has no JSON form or is longer than MAX_METADATA."""
    try:
        text = json.dumps(metadata, ensure_ascii=False, allow_nan=False)
        text.encode()
        _check_depth(metadata, MAX_DEPTH)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(f"the metadata cannot be written as JSON ({error})", "use plain values only") from None
    if len(text) > MAX_METADATA:
        raise InvalidInput(f"the metadata takes {len(text)} characters", f"keep it below {MAX_METADATA}")
    return text


def fingerprint(item: HistoryItem) -> bytes:
    """16 bytes that are equal for equal input and output. Kind, time and source do not count."""
    digest = hashlib.blake2b(digest_size=16)
    for text in (item.input, item.output):
        encoded = text.encode()
        digest.update(len(encoded).to_bytes(8, "big") + encoded)
    return digest.digest()


def parsed(name: str, text: Any, longest: int = MAX_JSON) -> Any:
    """The value of a column of JSON. ValueError where it is none, or too long or deep to be this program's."""
    if len(_text(name, text)) > longest:
        raise ValueError(f"{name} takes {len(text)} characters")
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError:
        raise ValueError(f"{name} is not JSON") from None
    except RecursionError:
        raise ValueError(f"{name} is nested too deeply") from None
    _check_depth(value, MAX_DEPTH)
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _check_depth(value: object, left: int) -> None:
    if not isinstance(value, dict | list | tuple):
        return
    if not left:
        raise ValueError(f"nested deeper than {MAX_DEPTH}")
    for inner in value.values() if isinstance(value, dict) else value:
        _check_depth(inner, left - 1)


def _text(name: str, value: Any) -> str:
    """`value` itself, which is a text. Others come of damaged rows: STRICT tables would not have taken them."""
    if isinstance(value, bytes):
        raise ValueError(f"{name} is not UTF-8")
    if not isinstance(value, str):
        raise ValueError(f"{name} is no text")
    return value


def _whole(name: str, value: Any) -> int:
    if type(value) is not int:
        raise ValueError(f"{name} is no number")
    return value


def item_from(row: tuple[Any, ...]) -> HistoryItem:
    """The item of a row of ITEMS. ValueError or InvalidInput where it cannot have been stored by this program."""
    number, user, given, output, kind, created_at, source, metadata = row
    return checked_item(
        HistoryItem(
            id=_whole("its number", number),
            user_id=_text("the user id", user),
            input=_text("the input", given),
            output=_text("the output", output),
            kind=_text("the kind", kind),
            created_at=from_milliseconds(created_at),
            source=_text("the source", source),
            metadata=parsed("the metadata", metadata, MAX_METADATA),
        )
    )


GENERATION_COLUMNS = (
    "id, created_at, kind, model, reward, n, chosen, seed, rule, reason, "
    "sampling, plan, timings, usage, notes, prompt, text, remember, conversation"
)
CANDIDATE_COLUMNS = "text, tokens, logprob, finish_reason, seed, mean, variance, aleatoric, epistemic, score"


def generation_row(generation: Generation, user: int) -> tuple[Any, ...]:
    """The values of GENERATION_COLUMNS, with the user's number last."""
    checked_text("the prompt", generation.prompt)
    return (
        checked_text("the generation id", generation.generation_id),
        to_milliseconds(generation.created_at),
        None if generation.kind is None else checked_label("kind", generation.kind),
        generation.model,
        generation.reward,
        generation.n,
        generation.chosen,
        checked_seed(generation.seed),
        generation.selection.rule,
        generation.selection.reason,
        *(json.dumps(part.model_dump()) for part in (generation.sampling, generation.plan, generation.timings)),
        json.dumps(generation.usage.model_dump()),
        json.dumps(generation.notes),
        generation.prompt,
        checked_text("the text", generation.text),
        None if generation.remember is None else checked_text("the text to remember", generation.remember),
        None if generation.conversation is None else checked_label("conversation", generation.conversation),
        user,
    )


def candidate_row(candidate: Candidate, generation_id: str, position: int) -> tuple[Any, ...]:
    """The values of CANDIDATE_COLUMNS, with the generation and the position last."""
    values = candidate.model_dump()
    checked_text("a candidate", candidate.text)
    checked_seed(candidate.seed)
    return (*(values[name] for name in CANDIDATE_COLUMNS.split(", ")), generation_id, position)


def checked_seed(seed: int) -> int:
    """`seed` itself. InvalidInput if it has more than 63 bits."""
    if abs(seed) > _LARGEST_INTEGER:
        raise InvalidInput(f"the seed {seed} is too large", "use a seed below 2**63")
    return seed


_GENERATION_TEXTS = ("id", "kind", "model", "reward", "rule", "reason", "prompt", "text", "remember", "conversation")
_GENERATION_NUMBERS = ("n", "chosen", "seed")


def generation_from(row: tuple[Any, ...], user: str, candidates: list[tuple[Any, ...]]) -> Generation:
    """The generation of a row of GENERATION_COLUMNS and its candidates' rows (position, then CANDIDATE_COLUMNS).

    ValueError or InvalidInput where they cannot have been stored by this program.
    """
    values = dict(zip(GENERATION_COLUMNS.split(", "), row, strict=True))
    for name in _GENERATION_TEXTS:
        if values[name] is not None:
            _text(name, values[name])
    for name in _GENERATION_NUMBERS:
        _whole(name, values[name])
    parts = {name: parsed(name, values[name]) for name in ("plan", "timings", "usage", "sampling", "notes")}
    made = Generation(
        text=values["text"],
        generation_id=values["id"],
        user=valid_user(_text("the user id", user)),
        prompt=values["prompt"],
        kind=values["kind"],
        model=values["model"],
        reward=values["reward"],
        n=values["n"],
        chosen=values["chosen"],
        candidates=tuple(_candidate_from(one, at) for at, one in enumerate(candidates)),
        selection=Selection(rule=values["rule"], reason=values["reason"]),
        plan=Plan(**parts["plan"]),
        timings=Timings(**parts["timings"]),
        usage=Usage(**parts["usage"]),
        seed=values["seed"],
        sampling=Sampling(**parts["sampling"]),
        created_at=from_milliseconds(values["created_at"]),
        notes=tuple(parts["notes"]),
        remember=values["remember"],
        conversation=values["conversation"],
    )
    check_candidates(made)
    return made


def _candidate_from(row: tuple[Any, ...], at: int) -> Candidate:
    values = dict(zip(CANDIDATE_COLUMNS.split(", "), row[1:], strict=True))
    if row[0] != at:
        raise ValueError(f"candidate {at} is missing")
    _text("a candidate", values["text"])
    numbers = [value for value in values.values() if isinstance(value, float)]
    if not all(map(isfinite, numbers)):
        raise ValueError(f"candidate {at} has a number that is infinite")
    return Candidate(**values)


def check_candidates(generation: Generation) -> None:
    """Raises InvalidInput unless `chosen` and `n` fit the generation's candidates."""
    count = len(generation.candidates)
    if not count or not 0 <= generation.chosen < count or generation.n < count:
        raise InvalidInput(
            f"generation {generation.generation_id} has {count} candidates for n={generation.n}, "
            f"chosen={generation.chosen}",
            "record a generation with its candidates and the index of one of them",
        )


FEEDBACK = (
    "SELECT feedback.id, feedback.generation, users.name, feedback.kind, feedback.candidate, feedback.text, "
    "feedback.created_at, (SELECT count(*) FROM candidates WHERE candidates.generation = feedback.generation) "
    "FROM feedback JOIN users ON users.id = feedback.user"
)
"""Selects what `feedback_from` reads."""


def feedback_from(row: sqlite3.Row | tuple[Any, ...]) -> Feedback:
    """The feedback of a row of FEEDBACK. ValueError or InvalidInput where this program cannot have stored it."""
    number, generation, user, kind, candidate, text, created_at, candidates = row
    if not 0 <= _whole("the candidate", candidate) < candidates:
        raise ValueError(f"there is no candidate {candidate}")
    if (kind == "edit") != (text is not None):
        raise ValueError(f"{kind} with a text" if text is not None else "an edit without its text")
    return Feedback(
        id=_whole("its number", number),
        generation_id=_text("the generation", generation),
        user_id=valid_user(_text("the user id", user)),
        kind=_text("the kind", kind),  # type: ignore[arg-type]  # checked by pydantic
        candidate=candidate,
        text=None if text is None else _text("the text", text),
        created_at=from_milliseconds(created_at),
    )
