"""From drawn and scored candidates to the chosen one: what the rules look at, and which rule it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_ttp.answer import select
from edge_ttp.answer.select import NEEDS_SIMILARITY, Choice, Pool
from edge_ttp.reward.model import Scores
from edge_ttp.reward.utility import agreement_matrix
from edge_ttp.schema import Candidate, Rule

UNFAMILIAR = (
    "the reward model was trained on nothing like this and is too unsure to choose:"
    " the candidate that agrees most with the others was taken"
)


@dataclass(frozen=True)
class Selected:
    """The choice, and what the user should know about how it was made."""

    choice: Choice
    notes: tuple[str, ...] = ()


def choose(
    rule: Rule, candidates: Sequence[Candidate], scores: Scores | None, *, structured: bool, seed: int
) -> Selected:
    """The choice of `rule`, or of consensus where the reward model knows nothing of texts like these.

    `structured` candidates follow a grammar: ended by their length, they are not complete. `seed` is for thompson.
    """
    notes: tuple[str, ...] = ()
    if scores is not None and not scores.familiar and len(candidates) > 1:
        rule, notes = "consensus", (UNFAMILIAR,)
    pool = _pool(rule, candidates, scores, structured=structured)
    return Selected(select.select(pool, rule, rng=np.random.default_rng(seed)), notes)


def _pool(rule: Rule, candidates: Sequence[Candidate], scores: Scores | None, *, structured: bool) -> Pool:
    """What the rules look at."""
    similarity = scores.similarity if scores is not None else None
    if similarity is None and rule in NEEDS_SIMILARITY:
        similarity = agreement_matrix([one.text for one in candidates])
    whole = ("stop",) if structured else ("stop", "length")
    return Pool(
        logprob=np.array([one.logprob for one in candidates]),
        tokens=np.array([one.tokens for one in candidates]),
        complete=np.array([one.finish_reason in whole and bool(one.text) for one in candidates]),
        mean=scores.mean if scores is not None else None,
        epistemic=scores.epistemic if scores is not None else None,
        similarity=similarity,
    )
