"""One user's own evidence as pools: candidates for past inputs, and what the user really wrote.

Utility is agreement with the user's own text: what they wrote in answer to a past input that the policy answered anew
(`edge-ttp adapt`), or what they made of an answer by editing it. Other judgments label nothing but the candidate the
user looked at, which the score itself had chosen; they are counted. Every pool is scored by weights that have not seen
it (edge_ttp.reward.posterior), so that learning from it does not flatter the score.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_ttp.history.learning import Sourced
from edge_ttp.lab.diagnosis.score_table import Table
from edge_ttp.learning.calibration import Calibration
from edge_ttp.learning.estimate import calibration
from edge_ttp.learning.evidence import as_evidence
from edge_ttp.reward.posterior import Weights, fit_user
from edge_ttp.schema import Feedback, Generation

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class OwnPool:
    """Candidates of one query with their utilities for this user, (n,) each."""

    query: str
    texts: tuple[str, ...]
    utility: Floats
    score: Floats
    """Expected utilities, differences from the pool's mean."""
    variance: Floats


@dataclass(frozen=True)
class Own:
    """What a user's evidence under one reward model says."""

    pools: list[OwnPool]
    """Those whose candidates all have a utility."""
    record: Calibration
    trust: float
    """Share of the user's own weights in the scores of new answers, 0 to 1."""


@dataclass(frozen=True)
class Judgments:
    """What a user's judgments are."""

    answers: int
    """Answers that are stored."""
    judged: int
    """Of them, those with a judgment."""
    kinds: dict[str, int]
    """Judgments by kind; the last of a kind for each answer."""
    preferred_rank: float
    """Where the scores had ranked the candidates that the user preferred, mean: 1 first, 0 last, .5 by chance; nan
    without any."""


def own(sourced: Sequence[Sourced], stock: Weights) -> Own:
    """The pools and the calibration record of a user with this evidence, newest first."""
    size = len(stock.mean)
    usable = [one for one in sourced if one.evidence.layer.features.shape[1] == size]
    evidence = [as_evidence(one.evidence) for one in usable]
    made = fit_user(stock, evidence)
    pools = []
    for one, told, weights in zip(usable, evidence, made.unseen, strict=True):
        if told.utility is None or len(told.utility) < 2 or len(one.texts) != len(told.utility):
            continue
        epistemic = np.einsum("nd,de,ne->n", told.features, made.weights.covariance, told.features)
        variance = np.asarray(told.noise + np.maximum(epistemic, 0), dtype=np.float64)
        pools.append(OwnPool(one.name, one.texts, told.utility, told.features @ weights, variance))
    return Own(pools, calibration(evidence, made.unseen), made.trust)


def judgments(generations: Iterable[Generation], feedback: Sequence[Feedback]) -> Judgments:
    """What the judgments of one user are, and how the scores had ranked what they preferred."""
    last = {(one.generation_id, one.kind): one for one in feedback}  # in order of time: later ones replace earlier
    known = {one.generation_id: one for one in generations}
    ours = [one for (name, _), one in last.items() if name in known]
    ranks = [_rank(known[one.generation_id], one.candidate) for one in ours if one.kind == "prefer"]
    usable = [rank for rank in ranks if rank is not None]
    return Judgments(
        answers=len(known),
        judged=len({one.generation_id for one in ours}),
        kinds=dict(Counter(one.kind for one in ours).most_common()),
        preferred_rank=float(np.mean(usable)) if usable else float("nan"),
    )


def _rank(answer: Generation, place: int) -> float | None:
    """Share of the other candidates that the score puts below this one, ties counting half; None without scores."""
    means = [one.mean for one in answer.candidates]
    values = np.array([mean for mean in means if mean is not None])
    if len(values) != len(means) or len(values) < 2:
        return None
    below = float((values < values[place]).sum()) + 0.5 * (float((values == values[place]).sum()) - 1)
    return below / (len(values) - 1)


def own_table(user: str, pools: Sequence[OwnPool]) -> tuple[Table, dict[int, str]]:
    """The pools as the table that is judged, and the candidates' texts by line (from 1)."""
    texts = [text for pool in pools for text in pool.texts]
    sizes = [len(pool.texts) for pool in pools]

    def column(name: str) -> Floats:
        return np.concatenate([np.empty(0), *(getattr(pool, name) for pool in pools)])

    table = Table(
        users=[user],
        queries=[pool.query for pool in pools],
        query_user=np.zeros(len(pools), dtype=np.int64),
        query=np.repeat(np.arange(len(pools)), sizes),
        line=np.arange(1, len(texts) + 1),
        utility=column("utility"),
        score=column("score"),
        variance=column("variance"),
        length=np.array([float(len(text)) for text in texts]),
        length_unit="characters",
        has_text=True,
        has_users=True,
        bad=[],
        bad_reasons={},
    )
    return table, dict(enumerate(texts, start=1))
