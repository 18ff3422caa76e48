"""What a user's behaviour says of a pool of candidates: from a text they wrote, or from a judgment.

| kind | likelihood |
| --- | --- |
| written, edit | Gaussian: every candidate's utility against the user's own text |
| prefer K | K has the highest utility of its pool (softmax, Gumbel noise) |
| accept, copied | the candidate is better than its pool's mean (logistic noise); copied counts .3 |
| reject, regenerated | the candidate is worse than its pool's mean (logistic noise); regenerated counts .3 |
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np

from edge_ttp.history.learned_rows import Layer, StoredEvidence
from edge_ttp.history.rows import to_milliseconds
from edge_ttp.reward.model import Scores
from edge_ttp.reward.posterior import Evidence, EvidenceKind
from edge_ttp.reward.utility import agreement, tokenize
from edge_ttp.schema import Feedback, HistoryItem


def layer_of(reward: str, scores: Scores) -> Layer:
    """The part of `scores` that judgments learn from. `reward`: the model's fingerprint."""
    return Layer(reward, scores.features, scores.aleatoric)


def written(item: HistoryItem, layer: Layer, texts: Sequence[str]) -> StoredEvidence:
    """What the text of a past item says of candidates that were drawn for its input."""
    return StoredEvidence("written", layer, to_milliseconds(item.created_at), _utility(texts, item.output))


def judged(feedback: Feedback, layer: Layer, texts: Sequence[str]) -> StoredEvidence:
    """What a judgment says of the candidates of its generation."""
    utility = _utility(texts, feedback.text) if feedback.kind == "edit" and feedback.text is not None else None
    return StoredEvidence(feedback.kind, layer, to_milliseconds(feedback.created_at), utility, feedback.candidate)


def as_evidence(stored: StoredEvidence) -> Evidence:
    """The evidence as the posterior takes it."""
    layer = stored.layer
    return Evidence(cast(EvidenceKind, stored.kind), layer.features, layer.noise, stored.utility, stored.candidate)


def _utility(texts: Sequence[str], reference: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return agreement([tokenize(text) for text in texts], [tokenize(reference)])[:, 0]
