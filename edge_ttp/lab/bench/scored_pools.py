"""Scored pools for the planner's benchmark: rows as docs/diagnosis.md has them, with the tokens of each candidate."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_ttp.answer.select import DEFAULT_KAPPA
from edge_ttp.errors import InvalidInput
from edge_ttp.lab.diagnosis.line_source import LineSource
from edge_ttp.lab.diagnosis.score_table import Columns, read_table
from edge_ttp.lab.diagnosis.scoring import known_before, read_history, read_queries
from edge_ttp.reward.model import EncodedInput, EncodedPool, RewardModel
from edge_ttp.reward.user_profile import UserProfile, VectorMemory

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
    anew: Callable[[npt.NDArray[np.int64]], Floats] | None = None
    """Scores of some of the candidates, by their places, as the model gives them where only those were drawn. None:
    scores that ignore the other candidates, `mean` being right in any company."""

    def scores(self, places: npt.NDArray[np.int64]) -> Floats:
        """(len(places),) scores of these candidates where no others were drawn."""
        return self.mean[places] if self.anew is None else self.anew(places)

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
        except (ValueError, RecursionError):
            raise InvalidInput(f"line {number} of {source.name} is not JSON", "give one JSON object per line") from None
        if not isinstance(row, dict):
            raise InvalidInput(f"line {number} of {source.name} is no object", "give one JSON object per line")
        yield number, row


class Rescoring:
    """Reads rows with texts (`edge-ttp export rows`) as pools whose every subset a reward model scores anew."""

    def __init__(self, model: RewardModel, history: Path | None) -> None:
        """`history`: the users' items as JSON lines; None: all users are new to the model."""
        self._model, self._history = model, history

    def read(self, files: Sequence[str], *, tenths: Sequence[int], least: int = 8) -> list[ScoredPool]:
        """The pools of at least `least` candidates whose users are in these tenths. Raises InvalidInput as `read`.

        Rows without texts are read as they are: their scores are taken to ignore the other candidates.
        """
        items = read_history(self._history) if self._history is not None else {}
        vectors, pools = VectorMemory(), []
        for name in files:
            source = LineSource.of(name)
            table = read_table(source, Columns("utility", None, None), lambda done: None)
            if table.utility is None:
                raise InvalidInput(f"{source.name} has no utilities", "give rows made by `edge-ttp export rows`")
            if not table.has_text:
                pools += read([name], tenths=tenths, least=least)
                continue
            place_of = {int(line): place for place, line in enumerate(table.line)}
            for number, query in read_queries(source, table).items():
                if part_of(query.user) not in tenths or len(query.drawn) < least:
                    continue
                profile = self._model.profile(
                    known_before(items.get(query.user, ()), query.before, query.input), vectors
                )
                prepared, encoded = self._model.prepare(query.input), self._model.encode(query.drawn)
                anew = partial(_anew, self._model, profile, prepared, encoded)
                everyone = np.arange(len(query.drawn))
                said = self._model.score(profile, prepared, encoded)
                utility = table.utility[[place_of[line] for line in query.lines]]
                tokens = np.array([one.tokens for one in query.drawn], dtype=np.int64)
                policy = source.name.rsplit("/", 1)[-1]
                pools.append(
                    ScoredPool(
                        policy, query.user, table.queries[number], utility, anew(everyone), said.epistemic, tokens, anew
                    )
                )
        if not pools:
            raise InvalidInput(
                "the files hold no pools of the users that are reported", f"give pools of {least} candidates or more"
            )
        return pools


def _anew(
    model: RewardModel, profile: UserProfile, source: EncodedInput, pool: EncodedPool, places: npt.NDArray[np.int64]
) -> Floats:
    """Scores by the rule that a request has by default: the lower bound of what the model says of these alone."""
    said = model.score(profile, source, pool.take(places.tolist()))
    return said.mean - DEFAULT_KAPPA * np.sqrt(said.epistemic)
