"""Candidates with their texts, scored by a reward model of this project: `diagnose --model`.

The model sees what it would have seen in use: the input, the user's items from before the query, all candidates of the
query together. Since its scores depend on the other candidates, the measured curve comes from random subsets, each
scored anew.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from io import BufferedReader
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from edge_ttp.errors import InvalidInput
from edge_ttp.exchange.dates import time_of
from edge_ttp.exchange.jsonl import LineReading, records
from edge_ttp.exchange.records import BadRecord, Numbered
from edge_ttp.history.importing import checked
from edge_ttp.lab.diagnosis.judge import Picked
from edge_ttp.lab.diagnosis.score_table import Source, Table
from edge_ttp.reward.model import EncodedInput, EncodedPool, RewardModel
from edge_ttp.reward.user_profile import UserProfile, VectorMemory
from edge_ttp.scaling import LONGEST_CURVE, Pools, longest_curve
from edge_ttp.schema import Candidate, HistoryItem, utc_now

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Rows = list[int]

_COVERED = 4
"""A pool is cut about n / _COVERED times into parts of n, so that each n costs about the same."""


@dataclass
class AskedQuery:
    """One query as its rows tell it."""

    user: str
    input: str
    before: datetime | None
    """The user's items from before this moment are what the model may know; None: all but those with this input."""
    drawn: list[Candidate] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)


def score_table(
    table: Table, source: Source, model: RewardModel, history: Path | None, advance: Callable[[float], None]
) -> tuple[Table, Picked]:
    """The table with the model's means as scores and its variances, and what it picks from smaller pools.

    `history` holds the users' items (JSON lines: user_id, input, output, order or created_at); None: all users are new
    to the model. `advance` gets the queries scored. Raises InvalidInput, with its line, for a candidate without a text
    or an input, and for an unreadable history.
    """
    queries = read_queries(source, table)
    items = read_history(history) if history is not None else {}
    vectors = VectorMemory()
    sizes = _sizes(table)
    place_of = {int(line): place for place, line in enumerate(table.line)}
    score, variance = np.zeros(len(table.line)), np.zeros(len(table.line))
    picked = np.full((len(table.queries), len(sizes)), np.nan)
    for number in range(len(table.queries)):
        query = queries[number]
        profile = model.profile(known_before(items.get(query.user, ()), query.before, query.input), vectors)
        prepared, encoded = model.prepare(query.input), model.encode(query.drawn)
        said = model.score(profile, prepared, encoded)
        at = [place_of[line] for line in query.lines]
        score[at], variance[at] = said.mean, said.variance
        if table.utility is not None:
            picked[number] = _picks(model, (profile, prepared, encoded), table.utility[at], sizes, number)
        advance(number + 1)
    return replace(table, score=score, variance=variance), Picked(np.array(sizes), picked)


def known_before(items: Sequence[HistoryItem], before: datetime | None, asked: str) -> list[HistoryItem]:
    """The items from before a moment; without one, all that do not answer this very input."""
    if before is not None:
        return [item for item in items if item.created_at < before]
    return [item for item in items if item.input != asked]


def read_history(path: Path) -> dict[str, list[HistoryItem]]:
    """The items of each user in a JSON lines file, numbered, so that vectors can be kept by number.

    Raises InvalidInput for a file that cannot be read, or for its first line that is no item.
    """
    by_user: dict[str, list[HistoryItem]] = {}
    try:
        with path.open("rb") as stream:
            reading = LineReading(user=None, fallback="me")
            lines = cast("BufferedReader[Any]", stream)
            for one in checked(partial(records, lines, str(path), reading)):
                if isinstance(one, BadRecord):
                    raise InvalidInput(f"line {one.number} of {path}: {one.reason}", "correct the line")
                if isinstance(one, Numbered) and isinstance(one.record, HistoryItem):
                    item = one.record.model_copy(update={"id": one.number})
                    by_user.setdefault(item.user_id, []).append(item)
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror or error}", "give a JSON lines file") from error
    return by_user


def read_queries(source: Source, table: Table) -> dict[int, AskedQuery]:
    """The queries by their number in the table."""
    numbers = {int(line): int(query) for line, query in zip(table.line, table.query, strict=True)}
    now = utc_now()
    found: dict[int, AskedQuery] = {}
    for line, raw, _ in source.lines():
        number = numbers.get(line)
        if number is None or raw is None:
            continue
        row = json.loads(raw.removeprefix(b"\xef\xbb\xbf"))
        text, asked = row.get("text"), row.get("input")
        if not isinstance(text, str):
            raise InvalidInput(f"line {line} of {source.name} has no `text`", "--model needs every candidate's text")
        query = found.get(number)
        if query is None:
            if not isinstance(asked, str):
                raise InvalidInput(
                    f"line {line} of {source.name} has no `input`, and is its query's first", "say what was asked"
                )
            dated = any(row.get(key) is not None for key in ("order", "created_at", "date"))
            user = table.users[table.query_user[number]]
            query = found[number] = AskedQuery(user, asked, _moment(row, now, line, source.name) if dated else None)
        elif asked is not None and asked != query.input:
            raise InvalidInput(f"line {line} of {source.name} has another `input` than its query", "check `query_id`")
        tokens, logprob = row.get("tokens"), row.get("logprob")
        query.drawn.append(
            Candidate(
                text=text,
                tokens=tokens if type(tokens) is int and tokens > 0 else len(text.split()) + 1,
                # Unknown for all: nothing is told apart.
                logprob=float(logprob) if type(logprob) in (int, float) else 0.0,
            )
        )
        query.lines.append(line)
    return found


def _moment(row: Mapping[str, Any], now: datetime, line: int, name: str) -> datetime:
    try:
        return time_of(row, now)
    except ValueError as error:
        raise InvalidInput(f"line {line} of {name}: {error}", "correct the line") from error


def _sizes(table: Table) -> list[int]:
    """n of the curve: doublings up to the largest that enough pools have, and that one."""
    utility = table.utility if table.utility is not None else np.zeros(len(table.line))
    pools, _ = Pools.of(utility, np.zeros(len(utility)), table.query, table.query_user)
    evidence = pools.evidence()
    longest = longest_curve(evidence.size[evidence.informative])
    return sorted({2**k for k in range(int(np.log2(LONGEST_CURVE)) + 1) if 2**k < longest} | {longest})


def _picks(
    model: RewardModel,
    seen: tuple[UserProfile, EncodedInput, EncodedPool],
    utility: Floats,
    sizes: Sequence[int],
    seed: int,
) -> Floats:
    """(sizes,) mean utility picked among n candidates, each subset scored by itself; nan where the pool is smaller."""
    profile, prepared, encoded = seen
    found = np.full(len(sizes), np.nan)
    for column, n in enumerate(sizes):
        if n == 1:
            found[column] = utility.mean()
        elif n <= len(utility):
            parts = cut_up(len(utility), n, np.random.default_rng([seed, n]))
            values = [picked(utility, rows, model.score(profile, prepared, encoded.take(rows)).mean) for rows in parts]
            found[column] = np.mean(values)
    return found


def cut_up(largest: int, n: int, rng: np.random.Generator) -> list[Rows]:
    """Random disjoint parts of n of the candidates 0 .. largest-1, from several shuffles where n is large."""
    if n == largest:
        return [list(range(largest))]
    parts: list[Rows] = []
    for _ in range(max(1, n // _COVERED)):
        order = rng.permutation(largest)
        parts += [sorted(order[start : start + n].tolist()) for start in range(0, largest - n + 1, n)]
    return parts


def picked(utility: Floats, rows: Rows, scores: Floats) -> float:
    """Utility of the candidate among `rows` with the largest of `scores`, ties shared evenly."""
    return float(utility[rows][scores == scores.max()].mean())
