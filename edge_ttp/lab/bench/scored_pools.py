"""Scored pools for the planner's benchmark: rows as docs/diagnosis.md has them, with the tokens of each candidate."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_ttp.errors import InvalidInput
from edge_ttp.lab.diagnosis.line_source import LineSource

Floats = npt.NDArray[np.float64]

REPORT = (8, 9)
"""Users are split by the SHA-256 of their id modulo 10: 0 to 5 train, 6 and 7 tune, 8 and 9 report."""
TUNE = (6, 7)


@dataclass(frozen=True)
class ScoredPool:
    """One query's candidates in the order they were drawn, (n,) each."""

    policy: str
    user: str
    query: str
    utility: Floats
    mean: Floats
    """Scores."""
    epistemic: Floats
    """Variance of the scores' own error; 0 where the rows have none."""
    tokens: npt.NDArray[np.int64]

    @property
    def size(self) -> int:
        """Number of candidates."""
        return len(self.utility)


def part_of(user: str) -> int:
    """Which tenth of the users this one belongs to, 0 to 9."""
    return int(hashlib.sha256(user.encode()).hexdigest(), 16) % 10


def read(files: Sequence[str], *, tenths: Sequence[int], least: int = 8) -> list[ScoredPool]:
    """The pools of at least `least` candidates whose users are in these tenths.

    Each row has user_id, query_id, utility, score and tokens; `epistemic` and `policy` (else the file's name) if there
    are any. Raises InvalidInput for a row that lacks what is needed, and where no pool is left.
    """
    pools: list[ScoredPool] = []
    for name in files:
        source = LineSource.of(name)
        rows: dict[tuple[str, str, str], list[tuple[float, float, float, int]]] = {}
        for place, row in _rows(source):
            user, query = str(row.get("user_id")), str(row.get("query_id"))
            policy = str(row.get("policy") or source.name.rsplit("/", 1)[-1])
            values = [row.get(column) for column in ("utility", "score", "tokens")]
            values.append(row.get("epistemic", 0.0))
            if not all(isinstance(value, int | float) and isfinite(value) for value in values):
                raise InvalidInput(
                    f"line {place} of {source.name} lacks a number for utility, score or tokens",
                    "give rows with user_id, query_id, utility, score and tokens",
                )
            if part_of(user) in tenths:
                utility, score, tokens, epistemic = (float(value) for value in values)  # type: ignore[arg-type]
                rows.setdefault((policy, user, query), []).append((utility, score, epistemic, max(1, int(tokens))))
        for (policy, user, query), found in rows.items():
            if len(found) >= least:
                columns = np.array(found).T
                pools.append(
                    ScoredPool(policy, user, query, columns[0], columns[1], columns[2], columns[3].astype(np.int64))
                )
    if not pools:
        raise InvalidInput(
            "the files hold no pools of the users that are reported", f"give pools of {least} candidates or more"
        )
    return pools


def _rows(source: LineSource) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line, _ in source.lines():
        try:
            row = json.loads(line or b"")
        except ValueError:
            raise InvalidInput(f"line {number} of {source.name} is not JSON", "give one JSON object per line") from None
        if not isinstance(row, dict):
            raise InvalidInput(f"line {number} of {source.name} is no object", "give one JSON object per line")
        yield number, row
