"""From drawn and scored candidates to the chosen one: what the rules look at, and which rule it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_ttp.answer import select
from edge_ttp.answer.prompt import Example
from edge_ttp.answer.repeats import Earlier
from edge_ttp.answer.select import NEEDS_SIMILARITY, Choice, Pool
from edge_ttp.reward.model import Scores
from edge_ttp.reward.utility import agreement_matrix
from edge_ttp.schema import Candidate, Rule

UNFAMILIAR = (
    "the reward model was trained on nothing like this and is too unsure to choose:"
    " the candidate that agrees most with the others was taken"
)


_REPEATS = "repeats an earlier answer, with {!r} in it, which was not asked about now"


@dataclass(frozen=True)
class Selected:
    """The choice, and what the user should know about how it was made."""

    choice: Choice
    notes: tuple[str, ...] = ()
    remarks: tuple[str | None, ...] = ()
    """What speaks against each candidate."""


def remarks(candidates: Sequence[Candidate], request: str, past: Sequence[Example]) -> list[str | None]:
    """What speaks against each candidate, in words; None where nothing. `past`: what the user answered to what."""
    earlier = Earlier(request, list(dict.fromkeys(past)))
    kept = {one.text: earlier.stale(one.text) for one in candidates}
    return [None if (word := kept[one.text]) is None else _REPEATS.format(word) for one in candidates]


def choose(
    rule: Rule,
    candidates: Sequence[Candidate],
    scores: Scores | None,
    *,
    seed: int,
    against: Sequence[str | None] | None = None,
    goes_on: bool = False,
) -> Selected:
    """The choice of `rule`, or of consensus where the reward model knows nothing of texts like these.

    `against`: what speaks against each candidate (`remarks`). `goes_on`: whether one that its length cut would be
    continued. `seed` is for thompson.
    """
    notes: list[str] = []
    if scores is not None and not scores.familiar and len(candidates) > 1:
        rule = "consensus"
        notes.append(UNFAMILIAR)
    said = list(against or [None] * len(candidates))
    pool = _pool(rule, candidates, scores, said, goes_on=goes_on)
    choice = select.select(pool, rule, rng=np.random.default_rng(seed))
    marked = [one for one in said if one is not None]
    if said[choice.index] is not None:
        notes.append(f"the answer {said[choice.index]}: no better one was drawn")
    elif marked:
        notes.append(f"{len(marked)} of {len(candidates)} candidates were marked down: one {marked[0]}")
    return Selected(choice, tuple(notes), tuple(said))


def _pool(
    rule: Rule,
    candidates: Sequence[Candidate],
    scores: Scores | None,
    against: Sequence[str | None],
    *,
    goes_on: bool,
) -> Pool:
    """What the rules look at."""
    similarity = scores.similarity if scores is not None else None
    if similarity is None and rule in NEEDS_SIMILARITY:
        similarity = agreement_matrix([one.text for one in candidates])
    return Pool(
        logprob=np.array([one.logprob for one in candidates]),
        tokens=np.array([one.tokens for one in candidates]),
        complete=np.array([one.finish_reason == "stop" and bool(one.text) for one in candidates]),
        running_on=np.array([goes_on and one.finish_reason == "length" and bool(one.text) for one in candidates]),
        marked=np.array([one is not None for one in against]),
        mean=scores.mean if scores is not None else None,
        epistemic=scores.epistemic if scores is not None else None,
        similarity=similarity,
    )
