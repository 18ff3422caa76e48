"""Every way to answer that `edge-ttp bench quality` compares, on drawn candidates: which text each way would give.

Two kinds of files hold candidates: those of `edge_ttp.lab.bench.quality_pools`, where one half of the history was
hidden, so that voice can be scored; and those of `edge_ttp.lab.bench.temperature`, for utility alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
import numpy.typing as npt

from edge_ttp.answer.select import Pool, select
from edge_ttp.lab.bench.corpus import Query
from edge_ttp.lab.bench.drawing import DrawnText
from edge_ttp.lab.bench.quality_pools import DRAWN_AT, DrawnQuery
from edge_ttp.reward.model import EncodedPool, RewardModel, Scores
from edge_ttp.reward.user_profile import HISTORY_ITEMS, UserProfile, VectorMemory
from edge_ttp.reward.utility import utility
from edge_ttp.schema import DEFAULT_RULE, HistoryItem, Rule

Floats = npt.NDArray[np.float64]

GREEDY = "greedy"
TTP = "TTP {n}"
COUNTS = (4, 16, 32)
CONSENSUS_AT = 16
PARTS = 4
"""Most disjoint pools of one size that a way is judged by."""
SHARPNESS = 0.02
"""Utility by which candidates' weights differ by a factor e in reward-weighted consensus."""


@dataclass(frozen=True)
class WayAnswer:
    """What one way answers to one query: one text, or several where chance decides which."""

    texts: tuple[str, ...]
    utility: float
    """Mean over the texts."""

    @classmethod
    def of(cls, texts: Sequence[str], written: str) -> WayAnswer:
        """Of these texts, against what the user really wrote."""
        return cls(tuple(texts), float(np.mean([utility(text, written) for text in texts])))


class Answering:
    """Answers in every way, choosing with one reward model as a request without learned evidence would."""

    def __init__(self, reward: RewardModel) -> None:
        self._reward = reward
        self._vectors: dict[str, VectorMemory] = {}

    def of_quality(self, query: Query, drawn: DrawnQuery, strangers: Sequence[Query]) -> dict[str, WayAnswer]:
        """The ways of a query whose pools were drawn with own history, with none, and with a stranger's."""
        found = dict(self._own(query, drawn.own))
        found |= self._single(query, drawn.none, "no history, ")
        found["top recalled output"] = _answered([drawn.recalled] if drawn.recalled else [], query)
        if drawn.stranger:
            found |= self._of_stranger(query, drawn, strangers[drawn.by])
        return {way: one for way, one in found.items() if one is not None}

    def of_temperatures(self, query: Query, drawn: Sequence[DrawnText]) -> dict[str, WayAnswer]:
        """The ways of a query whose pool was drawn at several temperatures with the own history."""
        return {way: one for way, one in self._own(query, drawn) if one is not None}

    def scores(self, history: Sequence[HistoryItem], query: Query, pool: EncodedPool) -> Scores:
        """What the reward model says of a pool where this history is known."""
        profile = self._profile(history, query.task)
        return self._reward.score(profile, self._reward.prepare(query.item.input), pool)

    def encode(self, drawn: Sequence[DrawnText]) -> EncodedPool:
        """The candidates' vectors and agreements."""
        return self._reward.encode([one.candidate for one in drawn])

    def _own(self, query: Query, drawn: Sequence[DrawnText]) -> Iterator[tuple[str, WayAnswer | None]]:
        yield from self._single(query, drawn, "").items()
        yield "first words of the input", _answered([first_words(query)], query)
        at = [one for one in drawn if one.temperature == DRAWN_AT]
        if not at:
            return
        encoded = self.encode(at)
        profile, source = self._profile(query.history, query.task), self._reward.prepare(query.item.input)
        for n in COUNTS:
            parts = [range(start, start + n) for start in range(0, len(at) - n + 1, n)][:PARTS]
            pools = [encoded.take(part) for part in parts]
            scored = [self._reward.score(profile, source, pool) for pool in pools]
            picks = [chosen(one, pool) for one, pool in zip(scored, pools, strict=True)]
            yield (
                TTP.format(n=n),
                _answered([at[part[pick]].text for part, pick in zip(parts, picks, strict=True)], query),
            )
            if n == CONSENSUS_AT and parts:
                agreed = [chosen(one, pool, "consensus") for one, pool in zip(scored, pools, strict=True)]
                weighed = [weighted_consensus(one) for one in scored]
                for way, places in (("consensus", agreed), ("reward-weighted consensus", weighed)):
                    texts = [at[part[pick]].text for part, pick in zip(parts, places, strict=True)]
                    yield f"{way} {n}", _answered(texts, query)

    def _single(self, query: Query, drawn: Sequence[DrawnText], prefix: str) -> dict[str, WayAnswer | None]:
        found: dict[str, WayAnswer | None] = {}
        for temperature in sorted({one.temperature for one in drawn}):
            texts = [one.text for one in drawn if one.temperature == temperature]
            way = GREEDY if temperature == 0 else f"one answer, T={temperature:g}"
            found[prefix + way] = _answered(texts[:1] if temperature == 0 else texts, query)
        return found

    def _of_stranger(self, query: Query, drawn: DrawnQuery, stranger: Query) -> dict[str, WayAnswer | None]:
        """Everything a stranger's: the history in the prompt and that of the judge."""
        at = [one for one in drawn.stranger if one.temperature == DRAWN_AT][:CONSENSUS_AT]
        pool = self.encode(at)
        pick = chosen(self.scores(stranger.history, query, pool), pool)
        greedy = [one.text for one in drawn.stranger if one.temperature == 0]
        return {
            "stranger's history, greedy": _answered(greedy, query),
            f"stranger's history, TTP {CONSENSUS_AT}": _answered([at[pick].text], query),
        }

    def _profile(self, history: Sequence[HistoryItem], task: str) -> UserProfile:
        memory = self._vectors.setdefault(task, VectorMemory())  # ids are unique within a task
        return self._reward.profile(history[-HISTORY_ITEMS:], memory)


def _answered(texts: Sequence[str], query: Query) -> WayAnswer | None:
    return WayAnswer.of(texts, query.item.output) if texts else None


def chosen(scores: Scores, pool: EncodedPool, rule: Rule | None = None) -> int:
    """Which candidate a request would answer with: by `rule`, by default as `generate` does."""
    known = Pool(
        logprob=np.array([one.logprob for one in pool.candidates]),
        tokens=np.array([one.tokens for one in pool.candidates]),
        complete=np.array([bool(one.text) for one in pool.candidates]),
        mean=scores.mean,
        epistemic=scores.epistemic,
        similarity=scores.similarity,
    )
    return select(known, rule or (DEFAULT_RULE if scores.familiar else "consensus")).index


def weighted_consensus(scores: Scores) -> int:
    """The candidate most like the others, each counting exp(mean / SHARPNESS): agreement with those that are good."""
    weight = np.exp((scores.mean - scores.mean.max()) / SHARPNESS)
    similarity = scores.similarity - np.diag(np.diag(scores.similarity))
    return int(np.argmax(similarity @ weight / np.maximum(weight.sum() - weight, 1e-12)))


def first_words(query: Query) -> str:
    """The first words of the input, as many as the user usually writes."""
    usual = median(len(one.output.split()) for one in query.history) if query.history else 8
    return " ".join(query.item.input.split()[: max(1, round(usual))])


def best_single(answers: Mapping[str, Mapping[object, WayAnswer]]) -> str | None:
    """The way to give one answer that has the largest mean utility: to be found on tune users only."""
    singles = {way: found for way, found in answers.items() if way == GREEDY or way.startswith("one answer")}
    if not singles:
        return None
    return max(singles, key=lambda way: float(np.mean([one.utility for one in singles[way].values()])))
