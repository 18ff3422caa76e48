"""Three candidates, a judge that finds them all alike, and what its last layer is: for what is learned of judgments."""

from __future__ import annotations

from typing import cast

from fakes import FakeReward

from edge_ttp.history.learned_rows import Layer
from edge_ttp.learning.evidence import layer_of
from edge_ttp.reward.model import RewardModel
from edge_ttp.schema import Candidate

REWARD = cast(RewardModel, FakeReward(judge=lambda text: 0.1))
TEXTS = ["short", "a little longer", "the longest of all the candidates"]


def drawn() -> list[Candidate]:
    return [Candidate(text=text, tokens=3, logprob=-1.0) for text in TEXTS]


def layer() -> Layer:
    scores = REWARD.score(REWARD.profile([], _NoVectors()), "say", drawn())  # type: ignore[arg-type]
    return layer_of(REWARD.fingerprint, scores)


class _NoVectors:
    def get(self, *_: object) -> dict[int, object]:
        return {}

    def put(self, *_: object) -> None: ...
