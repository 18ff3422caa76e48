"""What it would bring to drop candidates halfway: a simulation on pools that were drawn to their end.

At checkpoints the reward model looks at beginnings and drops candidates; the others go on. Utility is that of what is
chosen in the end, against what is chosen from the whole pool. A model that was trained on whole texts misjudges
beginnings (SP-PRM, arXiv 2506.12446): how far a beginning's score tells the whole one's is fitted on other users.
Seconds come from this device's decode steps and from the judging itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_ttp.answer.select import DEFAULT_KAPPA
from edge_ttp.budget.cost import Speed
from edge_ttp.lab.bench.corpus import Query
from edge_ttp.lab.bench.drawing import DrawnText
from edge_ttp.lab.bench.ladders import Difference
from edge_ttp.reward.model import EncodedInput, EncodedPool, RewardModel
from edge_ttp.reward.user_profile import HISTORY_ITEMS, UserProfile, VectorMemory
from edge_ttp.reward.utility import agreement, tokenize

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]

CHECKPOINTS = (8, 16, 24, 32)
"""Tokens of a candidate at which the judge may look at it."""
PROMPT = 600
"""Tokens in the cache before the first one is drawn, for the reckoned time."""
STRETCHED = 150
"""Length that candidates which ran into their limit are taken to have, in the second reckoning of time."""
LONG = 48
"""Tokens of the median candidate from which a pool counts: racing is for long answers."""

Cut = Callable[[str, int], str]
"""The first tokens of a text, as text."""


@dataclass(frozen=True)
class RaceRule:
    """When which candidates are dropped."""

    at: tuple[int, ...]
    """Tokens drawn; none: nothing is dropped."""
    keep: float = 1.0
    """Share of the candidates that stays at each checkpoint, the best by the judge; 1: as many as the bound leaves."""
    bound: float | None = None
    """Standard deviations: dropped is whose upper bound is below the best one's lower bound."""
    first: float = 1.0
    """Share of the pool that is drawn at all: what racing has to beat."""

    @property
    def name(self) -> str:
        """As in the table."""
        if not self.at:
            return "all to their end" if self.first == 1 else f"draw {self.first:.0%} of them"
        how = f"bounds of {self.bound:g} sd" if self.bound is not None else f"keep {self.keep:.0%}"
        return f"{how} at {', '.join(map(str, self.at))}"


RULES = (
    RaceRule(()),
    *(RaceRule((), first=share) for share in (0.75, 0.5, 0.25)),
    *(RaceRule(at, keep=keep) for at in ((8,), (16,), (24,), (32,)) for keep in (0.75, 0.5, 0.25)),
    *(RaceRule(at, keep=0.5) for at in ((16, 32), (8, 16, 32))),
    *(RaceRule(at, bound=bound) for at in ((16,), (32,), (16, 32), (8, 16, 32)) for bound in (0.5, 1.0, 2.0)),
)


@dataclass(frozen=True, eq=False)
class JudgedBeginnings:
    """One pool whose every subset the judge can look at, whole or at its beginning."""

    reward: RewardModel
    profile: UserProfile
    source: EncodedInput
    texts: EncodedPool
    cut: dict[int, EncodedPool]
    """The same candidates' first tokens, by their number."""
    utility: Floats
    stopped: npt.NDArray[np.bool_]
    """Ended before their limit, (n,)."""

    @property
    def tokens(self) -> Places:
        """Of each candidate."""
        return np.array([one.tokens for one in self.texts.candidates], dtype=np.int64)

    def whole(self, places: Places) -> Floats:
        """Lower bounds of the whole candidates, as a request by default chooses by: the largest is chosen."""
        said = self.reward.score(self.profile, self.source, self.texts.take(places.tolist()))
        return np.asarray(said.mean - DEFAULT_KAPPA * np.sqrt(said.epistemic))

    def beginning(self, places: Places, at: int) -> Floats:
        """The same of their first `at` tokens."""
        said = self.reward.score(self.profile, self.source, self.cut[at].take(places.tolist()))
        return np.asarray(said.mean - DEFAULT_KAPPA * np.sqrt(said.epistemic))


@dataclass(frozen=True)
class CutFit:
    """How a beginning's score, centred in its pool, tells the whole text's: slope, and deviation of what is left."""

    slope: float
    error: float


@dataclass(frozen=True)
class RacedPool:
    """What one pool came to under one rule. Utilities; seconds with a cached prompt."""

    user: str
    regret: float
    headroom: float
    """Best candidate's utility less the mean's."""
    seconds: float
    all_seconds: float
    """Without dropping anything."""
    long_seconds: float
    all_long_seconds: float
    """The same were candidates that ran into their limit STRETCHED tokens long."""


@dataclass(frozen=True)
class RaceRow:
    """One rule over all pools."""

    rule: str
    regret: Difference
    of_headroom: float
    """Regret over headroom, both as means."""
    faster: float
    """Times faster in drawing and judging, the prompt being cached."""
    faster_long: float
    pools: int
    users: int

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        return {**asdict(self), "regret": self.regret.as_dict()}


@dataclass(frozen=True)
class Pace:
    """What drawing and judging take on this device."""

    step_s: Callable[[Floats, Floats], Floats]
    """Seconds of decode steps by their rows and by the tokens in the cache."""
    judge_s: float
    """Of one candidate that is judged."""

    @classmethod
    def of(cls, speed: Speed, judge_s: float) -> Pace:
        """From a measured speed."""
        return cls(lambda rows, cells: speed.rows_s(rows) + speed.cell_s * rows * cells, judge_s)

    def seconds(self, drawn: Places, judged: int) -> float:
        """To draw candidates of so many tokens each (n,), together, and to judge `judged` texts."""
        steps = np.arange(1, int(drawn.max(initial=0)))
        rows = (drawn[None, :] > steps[:, None]).sum(axis=1).astype(np.float64)
        cells = PROMPT + np.cumsum(rows)
        return float(self.step_s(rows, cells).sum()) + judged * self.judge_s


def judged(
    reward: RewardModel, query: Query, candidates: Sequence[DrawnText], memory: VectorMemory, cut: Cut, *, n: int
) -> tuple[list[JudgedBeginnings], float]:
    """A query's long pools of `n` candidates at one temperature each, and the seconds that judging took a text."""
    profile = reward.profile(query.history[-HISTORY_ITEMS:], memory)
    source, truth = reward.prepare(query.item.input), [tokenize(query.item.output)]
    pools, spent, count = [], 0.0, 0
    for temperature in sorted({one.temperature for one in candidates if one.temperature > 0}):
        drawn = [one for one in candidates if one.temperature == temperature and one.text][:n]
        if len(drawn) < n or np.median([one.tokens for one in drawn]) < LONG:
            continue
        whole = reward.encode([one.candidate for one in drawn])
        began = time.perf_counter()
        beginnings = {
            at: reward.encode([_cut(one, at, cut).candidate for one in drawn]) for at in CHECKPOINTS
        }  # fmt: skip
        spent, count = spent + time.perf_counter() - began, count + len(drawn) * len(CHECKPOINTS)
        utility = agreement(whole.words, truth)[:, 0]
        stopped = np.array([one.finish_reason == "stop" for one in drawn])
        pools.append(JudgedBeginnings(reward, profile, source, whole, beginnings, utility, stopped))
    return pools, spent / max(1, count)


def _cut(one: DrawnText, at: int, cut: Cut) -> DrawnText:
    """Its beginning; the log-probability is taken as evenly spread, since only the sum was kept."""
    if one.tokens <= at:
        return one
    return DrawnText(cut(one.text, at), at, one.logprob * at / one.tokens, "length", one.temperature)


def fits(pools: Sequence[tuple[str, JudgedBeginnings]]) -> dict[str, dict[int, CutFit]]:
    """For every user, by checkpoint, what the others' pools say of beginnings."""
    looks = {
        at: [(user, _centred(pool.beginning(_all(pool), at)), _centred(pool.whole(_all(pool)))) for user, pool in pools]
        for at in CHECKPOINTS
    }
    return {user: {at: _fit([one for one in looks[at] if one[0] != user]) for at in looks} for user, _ in pools}


def _fit(looks: Sequence[tuple[str, Floats, Floats]]) -> CutFit:
    begun = np.concatenate([one for _, one, _ in looks]) if looks else np.zeros(1)
    whole = np.concatenate([one for *_, one in looks]) if looks else np.zeros(1)
    slope = float(begun @ whole / max(float(begun @ begun), 1e-12))
    return CutFit(slope, float(np.sqrt(np.mean((whole - slope * begun) ** 2))))


def race(pool: JudgedBeginnings, rule: RaceRule, fit: dict[int, CutFit], pace: Pace, user: str) -> RacedPool:
    """One pool under one rule."""
    everybody = _all(pool)
    alive = everybody[: max(1, round(rule.first * len(everybody)))]
    ends = np.where(np.isin(everybody, alive), pool.tokens, 0)
    looked = 0
    for at in rule.at:
        going = alive[pool.tokens[alive] > at]
        if len(alive) == 1 or not len(going):
            break
        said = pool.beginning(alive, at)
        looked += len(alive)
        kept = _kept(said, rule, fit[at])
        # Whoever has ended costs nothing more, and stays.
        gone = alive[~kept & (pool.tokens[alive] > at)]
        ends[gone] = at
        alive = np.setdiff1d(alive, gone)
    chosen = alive[int(np.argmax(pool.whole(alive)))]
    best = everybody[int(np.argmax(pool.whole(everybody)))]
    stretched = np.where(pool.stopped | (ends < pool.tokens), ends, STRETCHED)
    stretched_all = np.where(pool.stopped, pool.tokens, STRETCHED)
    return RacedPool(
        user=user,
        regret=float(pool.utility[best] - pool.utility[chosen]),
        headroom=float(pool.utility.max() - pool.utility.mean()),
        seconds=pace.seconds(ends, looked + len(alive)),
        all_seconds=pace.seconds(pool.tokens, len(everybody)),
        long_seconds=pace.seconds(stretched, looked + len(alive)),
        all_long_seconds=pace.seconds(stretched_all, len(everybody)),
    )


def _kept(said: Floats, rule: RaceRule, fit: CutFit) -> npt.NDArray[np.bool_]:
    if rule.bound is not None:
        behind = max(fit.slope, 0.0) * (said.max() - said)
        return np.asarray(behind <= 2 * rule.bound * fit.error)
    count = max(1, round(rule.keep * len(said)))
    kept = np.zeros(len(said), dtype=bool)
    kept[np.argsort(-said, kind="stable")[:count]] = True
    return kept


def rows(
    pools: Sequence[tuple[str, JudgedBeginnings]],
    pace: Pace,
    rules: Sequence[RaceRule] = RULES,
    *,
    advance: Callable[[float], None],
) -> list[RaceRow]:
    """The table: every rule over all pools. `advance` is called with the number of rules done."""
    fitted = fits(pools)
    found = []
    for done, rule in enumerate(rules, 1):
        raced = [race(pool, rule, fitted[user], pace, user) for user, pool in pools]
        users = [one.user for one in raced]
        regret = Difference.of([one.regret for one in raced], users)
        found.append(
            RaceRow(
                rule=rule.name,
                regret=regret,
                of_headroom=regret.mean / max(1e-9, float(np.mean([one.headroom for one in raced]))),
                faster=sum(one.all_seconds for one in raced) / sum(one.seconds for one in raced),
                faster_long=sum(one.all_long_seconds for one in raced) / sum(one.long_seconds for one in raced),
                pools=len(raced),
                users=len(set(users)),
            )
        )
        advance(done)
    return found


def _all(pool: JudgedBeginnings) -> Places:
    return np.arange(len(pool.utility))


def _centred(values: Floats) -> Floats:
    return np.asarray(values - values.mean())
