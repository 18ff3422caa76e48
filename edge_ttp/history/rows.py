"""Between what crosses the border (schema.py) and what a row holds: times, JSON, fingerprints, and their checks."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from datetime import UTC, datetime, timedelta
from typing import Any

from edge_ttp.errors import InvalidInput
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


def from_milliseconds(milliseconds: int) -> datetime:
    """The moment in UTC."""
    return _EPOCH + milliseconds * _MILLISECOND


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


def item_from(row: tuple[Any, ...]) -> HistoryItem:
    """The item of a row of ITEMS."""
    number, user, given, output, kind, created_at, source, metadata = row
    return HistoryItem(
        id=number,
        user_id=user,
        input=given,
        output=output,
        kind=kind,
        created_at=from_milliseconds(created_at),
        source=source,
        metadata=json.loads(metadata),
    )


GENERATION_COLUMNS = (
    "id, created_at, kind, model, reward, n, chosen, seed, rule, reason, "
    "sampling, plan, timings, usage, notes, prompt, text"
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


def generation_from(row: tuple[Any, ...], user: str, candidates: list[tuple[Any, ...]]) -> Generation:
    """The generation of a row of GENERATION_COLUMNS and its candidates' rows in order."""
    values = dict(zip(GENERATION_COLUMNS.split(", "), row, strict=True))
    names = CANDIDATE_COLUMNS.split(", ")
    return Generation(
        text=values["text"],
        generation_id=values["id"],
        user=user,
        prompt=values["prompt"],
        kind=values["kind"],
        model=values["model"],
        reward=values["reward"],
        n=values["n"],
        chosen=values["chosen"],
        candidates=tuple(Candidate(**dict(zip(names, candidate, strict=True))) for candidate in candidates),
        selection=Selection(rule=values["rule"], reason=values["reason"]),
        plan=Plan(**json.loads(values["plan"])),
        timings=Timings(**json.loads(values["timings"])),
        usage=Usage(**json.loads(values["usage"])),
        seed=values["seed"],
        sampling=Sampling(**json.loads(values["sampling"])),
        created_at=from_milliseconds(values["created_at"]),
        notes=tuple(json.loads(values["notes"])),
    )


FEEDBACK = (
    "SELECT feedback.id, feedback.generation, users.name, feedback.kind, feedback.candidate, feedback.text, "
    "feedback.created_at FROM feedback JOIN users ON users.id = feedback.user"
)
"""Selects what `feedback_from` reads."""


def feedback_from(row: sqlite3.Row | tuple[Any, ...]) -> Feedback:
    """The feedback of a row of FEEDBACK."""
    number, generation, user, kind, candidate, text, created_at = row
    return Feedback(
        id=number,
        generation_id=generation,
        user_id=user,
        kind=kind,
        candidate=candidate,
        text=text,
        created_at=from_milliseconds(created_at),
    )
