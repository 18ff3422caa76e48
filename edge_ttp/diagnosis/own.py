"""One user's own evidence as pools: answers of which all candidates are stored, and what the user then wrote instead.

An edited text labels every candidate of its answer: utility is agreement with it (edge_ttp.utility). Accepting,
rejecting and preferring label nothing but what the user looked at, and an accepted answer was chosen by the very score
that is judged; they are counted, and say how the score ranked the candidate that the user preferred.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from edge_ttp.diagnosis.table import Table
from edge_ttp.schema import Feedback, Generation
from edge_ttp.utility import agreement, tokenize


@dataclass(frozen=True)
class OwnPool:
    """Candidates of one query with their utilities for this user."""

    query: str
    texts: tuple[str, ...]
    utility: tuple[float, ...]
    score: tuple[float, ...]
    """The reward model's expected utilities."""
    variance: tuple[float, ...] | None
    """None where one is missing."""


@dataclass(frozen=True)
class Judgments:
    """What a user's judgments are, beside the pools that they label."""

    reward: str | None
    """The reward model that is judged: that of the newest judged answer with scores."""
    answers: int
    """Answers that are stored."""
    judged: int
    """Of them, those with a judgment."""
    kinds: dict[str, int]
    """Judgments by kind; the last of a kind for each answer."""
    other: int
    """Edited answers that do not count, since another reward model or none scored them."""
    preferred_rank: float
    """Where the score had ranked the candidates that the user preferred, mean: 1 first, 0 last, .5 by chance; nan
    without any."""


def own_pools(generations: Iterable[Generation], feedback: Sequence[Feedback]) -> tuple[list[OwnPool], Judgments]:
    """The labelled pools of one user, oldest first, and what the judgments are."""
    last = {(one.generation_id, one.kind): one for one in feedback}  # in order of time: later ones replace earlier
    known = {one.generation_id: one for one in generations}
    ours = [one for (name, _), one in last.items() if name in known]
    scored = [known[one.generation_id] for one in ours if _scores(known[one.generation_id]) is not None]
    reward = max(scored, key=lambda one: one.created_at).reward if scored else None
    pools: list[OwnPool] = []
    ranks: list[float] = []
    other = 0
    for one in ours:
        answer = known[one.generation_id]
        score = _scores(answer) if answer.reward == reward else None
        if one.kind == "edit" and one.text is not None:
            if score is None:
                other += 1
            else:
                pools.append(_labelled(answer, score, one.text))
        elif one.kind == "prefer" and score is not None and len(score) > 1:
            ranks.append(_rank(score, one.candidate))
    return pools, Judgments(
        reward=reward,
        answers=len(known),
        judged=len({one.generation_id for one in ours}),
        kinds=dict(Counter(one.kind for one in ours).most_common()),
        other=other,
        preferred_rank=float(np.mean(ranks)) if ranks else float("nan"),
    )


def _scores(answer: Generation) -> tuple[float, ...] | None:
    """The candidates' expected utilities; None where one has none."""
    means = [one.mean for one in answer.candidates]
    return None if any(mean is None for mean in means) else tuple(mean for mean in means if mean is not None)


def _labelled(answer: Generation, score: tuple[float, ...], reference: str) -> OwnPool:
    texts = tuple(one.text for one in answer.candidates)
    utility = agreement([tokenize(text) for text in texts], [tokenize(reference)])[:, 0]
    variance = [one.variance for one in answer.candidates]
    return OwnPool(
        query=answer.generation_id,
        texts=texts,
        utility=tuple(utility.tolist()),
        score=score,
        variance=None if any(one is None for one in variance) else tuple(one for one in variance if one is not None),
    )


def _rank(score: Sequence[float], place: int) -> float:
    """Share of the other candidates that the score puts below this one, ties counting half."""
    values = np.array(score)
    below = float((values < values[place]).sum()) + 0.5 * (float((values == values[place]).sum()) - 1)
    return below / (len(values) - 1)


def own_table(user: str, pools: Sequence[OwnPool]) -> tuple[Table, dict[int, str]]:
    """The pools as the table that is judged, and the candidates' texts by line (from 1)."""
    texts = [text for pool in pools for text in pool.texts]
    sizes = [len(pool.texts) for pool in pools]
    known = all(pool.variance is not None for pool in pools) and bool(pools)
    variance = [value for pool in pools for value in pool.variance or ()]
    table = Table(
        users=[user],
        queries=[pool.query for pool in pools],
        query_user=np.zeros(len(pools), dtype=np.int64),
        query=np.repeat(np.arange(len(pools)), sizes),
        line=np.arange(1, len(texts) + 1),
        utility=np.array([value for pool in pools for value in pool.utility]),
        score=np.array([value for pool in pools for value in pool.score]),
        variance=np.array(variance) if known else None,
        length=np.array([float(len(text)) for text in texts]),
        length_unit="characters",
        has_text=True,
        has_users=True,
        bad=[],
        bad_reasons={},
    )
    return table, dict(enumerate(texts, start=1))
