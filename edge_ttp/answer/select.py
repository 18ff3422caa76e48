"""Variance-aware selection: which of N scored candidates to answer with. Pure numpy, no I/O, no clock.

Each rule turns the pool into one score per candidate and takes the largest; ties go to the first.

- mean: the expected utility. Optimal where the reward model is right about its own mean.
- lcb: lower confidence bound, mean - kappa * sqrt(epistemic): distrusts what the model knows little about.
- shrink: draws each mean towards the pool's by m + t2 / (t2 + epistemic) * (mean - m).
- thompson: one draw from Normal(mean, epistemic) per candidate: explores, for where feedback follows.
- consensus: highest mean similarity to the other candidates; needs no reward model.
- logprob: highest log-probability per token under the policy; what was not drawn has none.
- first: the first candidate, what plain sampling would have said.

The rules act on the epistemic variance (the error of the mean itself): the aleatoric part is noise around a mean that
is already shrunk, and taking it off again would punish the best candidates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import numpy as np
import numpy.typing as npt

from edge_ttp.errors import InvalidInput
from edge_ttp.schema import Rule

Floats = npt.NDArray[np.float64]

RULES: tuple[Rule, ...] = get_args(Rule)
NEEDS_REWARD: frozenset[Rule] = frozenset({"mean", "lcb", "shrink", "thompson"})
NEEDS_SIMILARITY: frozenset[Rule] = frozenset({"consensus"})

IN_UTILITY: frozenset[Rule] = frozenset({"mean", "lcb", "shrink", "thompson", "consensus"})
"""Rules whose scores are utilities."""

AHEAD = 0.05
"""How far a cut candidate has to be ahead of the complete ones, utility units. A decision: some margin, since complete
texts are wanted, and a small one, since a cut one that is chosen is gone on with (answer/ending.py)."""

DEFAULT_KAPPA = 1.0
"""Standard deviations of its own error that lcb takes off a mean: best on tune users (docs/measured/reward.md)."""

DEFAULT_T2 = 0.003
"""Error variance at which shrink halves a mean's distance from the pool's, squared utility units; on tune users too."""


@dataclass(frozen=True)
class Pool:
    """What is known about N candidates. `mean`, `epistemic` and `similarity` may be absent."""

    logprob: Floats
    """Sum of the tokens' log-probabilities, (N,)."""
    tokens: npt.NDArray[np.int64]
    """Tokens drawn, (N,); 0 for what was not drawn."""
    complete: npt.NDArray[np.bool_]
    """Whether the candidate ended by itself, (N,). Cut-off ones are chosen only where all are."""
    running_on: npt.NDArray[np.bool_] | None = None
    """Whether the candidate was cut by its length alone and would be continued, (N,). Such are chosen only where they
    are ahead of every complete one by more than AHEAD."""
    marked: npt.NDArray[np.bool_] | None = None
    """Whether something speaks against the candidate, (N,). Such are chosen only where nothing else is left."""
    mean: Floats | None = None
    """Expected utility, (N,)."""
    epistemic: Floats | None = None
    """Variance of the mean's own error, (N,), squared utility units."""
    similarity: Floats | None = None
    """Agreement of the candidates with one another, (N, N), 0 to 1."""


@dataclass(frozen=True)
class Choice:
    """The candidate chosen, the scores it was chosen by, and the reason in words."""

    index: int
    scores: Floats
    rule: Rule
    reason: str


def select(
    pool: Pool,
    rule: Rule,
    *,
    kappa: float = DEFAULT_KAPPA,
    t2: float = DEFAULT_T2,
    rng: np.random.Generator | None = None,
) -> Choice:
    """The choice of `rule` among the candidates of `pool`.

    `kappa` (lcb) is in standard deviations, `t2` (shrink) in squared utility units, `rng` is for thompson alone.
    Raises InvalidInput for an empty pool or where the rule's inputs are absent.
    """
    n = len(pool.logprob)
    if n == 0:
        raise InvalidInput("there is no candidate to choose from", "allow more time or memory")
    scores = _scores(pool, rule, kappa, t2, rng)
    usable = np.isfinite(scores)
    if (usable & pool.complete).any():
        kept = pool.complete
        if pool.running_on is not None and rule in IN_UTILITY:
            kept = kept | (pool.running_on & (scores > scores[usable & pool.complete].max() + AHEAD))
        usable &= kept
    if pool.marked is not None and (usable & ~pool.marked).any():
        usable &= ~pool.marked
    if not usable.any():
        raise InvalidInput(f"the rule {rule!r} has no finite score for any candidate", "use --select first")
    index = int(np.argmax(np.where(usable, scores, -np.inf)))
    return Choice(index=index, scores=scores, rule=rule, reason=_reason(pool, rule, scores, index, kappa))


def _scores(pool: Pool, rule: Rule, kappa: float, t2: float, rng: np.random.Generator | None) -> Floats:
    n = len(pool.logprob)
    if rule == "first":
        return -np.arange(n, dtype=np.float64)
    if rule == "logprob":
        per_token = pool.logprob / np.maximum(pool.tokens, 1)
        return np.asarray(np.where(pool.tokens > 0, per_token, -np.inf), dtype=np.float64)
    if rule == "consensus":
        if pool.similarity is None:
            raise InvalidInput("consensus needs the candidates' similarities", "pass similarity, or use --select first")
        if n == 1:
            return np.zeros(1)
        return np.asarray((pool.similarity.sum(axis=1) - np.diag(pool.similarity)) / (n - 1), dtype=np.float64)
    if pool.mean is None or pool.epistemic is None:
        raise InvalidInput(f"the rule {rule!r} needs a reward model's scores", "use --select consensus")
    if rule == "mean":
        return pool.mean
    error = np.maximum(pool.epistemic, 0.0)
    if rule == "lcb":
        return np.asarray(pool.mean - kappa * np.sqrt(error), dtype=np.float64)
    if rule == "shrink":
        centre = pool.mean.mean()
        return np.asarray(centre + t2 / (t2 + error) * (pool.mean - centre), dtype=np.float64)
    if rng is None:
        raise InvalidInput("the rule 'thompson' draws at random", "pass a seeded generator")
    return np.asarray(rng.normal(pool.mean, np.sqrt(error)), dtype=np.float64)


def _reason(pool: Pool, rule: Rule, scores: Floats, index: int, kappa: float) -> str:
    n = len(scores)
    if n == 1:
        return "the only candidate"
    place = f"candidate {index + 1} of {n}"
    if rule == "first":
        return f"{place}: the first, as asked"
    what = {
        "mean": "the highest expected utility",
        "lcb": f"the highest lower bound of utility (kappa {kappa:g})",
        "shrink": "the highest expected utility after shrinking uncertain ones",
        "thompson": "the highest draw from its utility's distribution",
        "consensus": "the most agreement with the other candidates",
        "logprob": "the highest log-probability per token",
    }[rule]
    others = np.delete(scores, index)
    finite = others[np.isfinite(others)]
    lead = f", {scores[index]:.3f} against {finite.max():.3f} for the next" if len(finite) else ""
    cut = "" if pool.complete[index] else "; none was complete"
    return f"{place} has {what}{lead}{cut}"
