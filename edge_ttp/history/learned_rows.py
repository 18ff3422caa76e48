"""Between what is learned about a user and what a row holds: arrays, candidates drawn, their checks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_ttp.history.rows import parsed
from edge_ttp.schema import Candidate

Floats = npt.NDArray[np.float64]
_STORED = np.dtype("<f4")
_EXACT = np.dtype("<f8")

EVIDENCE_KINDS = frozenset({"written", "edit", "prefer", "accept", "reject", "copied", "regenerated"})
"""`written`: a past item of the user that was answered anew; the others are kinds of judgments."""


@dataclass(frozen=True)
class Layer:
    """The reward model's last layer over the candidates of one generation, as they were scored."""

    reward: str
    """Fingerprint of the reward model."""
    features: Floats
    """(N, D), centred within the pool."""
    noise: Floats
    """(N,) learned noise variances."""


@dataclass(frozen=True)
class StoredEvidence:
    """One pool and what the user's behaviour says of it. Numbers are kept in 32 bits."""

    kind: str
    layer: Layer
    moment: int
    """Milliseconds since 1970 when the user wrote or judged it; newer evidence weighs more."""
    utility: Floats | None = None
    """(N,) agreement with the user's own text; None for judgments without one."""
    candidate: int = 0
    """The candidate that was judged."""


@dataclass(frozen=True)
class StoredPosterior:
    """What a user's evidence was turned into."""

    reward: str
    version: int
    """The user's evidence count that it was made from."""
    evidence: int
    """Pools behind it."""
    trust: float
    mean: Floats
    """(D,)."""
    covariance: Floats
    """(D, D)."""
    record: str
    """The calibration record, as JSON."""


def candidates_text(candidates: Sequence[Candidate]) -> str:
    """What is kept of the candidates, as JSON."""
    return json.dumps([[one.text, one.tokens, one.logprob] for one in candidates], ensure_ascii=False)


def drawn_from(text: Any) -> tuple[Candidate, ...]:
    """The candidates of `candidates_text`. ValueError or TypeError where it is none."""
    rows = [(one, tokens, logprob) for one, tokens, logprob in parsed("the candidates", text)]
    if not rows:
        raise ValueError("no candidates")
    for one, tokens, logprob in rows:
        if not (isinstance(one, str) and type(tokens) is int and isinstance(logprob, int | float)):
            raise ValueError("a candidate is none")
    return tuple(Candidate(text=one, tokens=tokens, logprob=logprob) for one, tokens, logprob in rows)


def layer_from(reward: Any, features: Any, noise: Any, count: int | None = None) -> Layer:
    """The layer of a row; `count`: of how many candidates. ValueError where its numbers do not fit together."""
    spread = _array(noise)
    if not len(spread) or not isinstance(reward, str):
        raise ValueError("no numbers, or no reward model")
    layer = Layer(reward, _array(features).reshape(len(spread), -1), spread)
    check_layer(layer, count)
    return layer


def check_layer(layer: Layer, count: int | None = None) -> None:
    """Raises ValueError unless features and noise are finite, of the same `count` candidates, the noise above 0."""
    features, noise = layer.features, layer.noise
    if features.ndim != 2 or len(features) != len(noise) or (count is not None and len(noise) != count):
        raise ValueError("its numbers do not fit together")
    if not (np.isfinite(features).all() and np.isfinite(noise).all() and (noise > 0).all()):
        raise ValueError("its numbers are not finite, or a noise is not above 0")


def evidence_from(row: tuple[Any, ...]) -> StoredEvidence:
    """The evidence of (kind, moment, candidate, reward, features, noise, utility). ValueError where it is none."""
    kind, moment, candidate, reward, features, noise, utility = row
    if type(moment) is not int or type(candidate) is not int:
        raise ValueError("its moment or candidate is no number")
    made = StoredEvidence(
        kind, layer_from(reward, features, noise), moment, None if utility is None else _array(utility), candidate
    )
    check_evidence(made)
    return made


def check_evidence(evidence: StoredEvidence) -> None:
    """Raises ValueError unless its numbers fit together and it is of a kind that is known."""
    check_layer(evidence.layer)
    count = len(evidence.layer.noise)
    utility = evidence.utility
    if evidence.kind not in EVIDENCE_KINDS:
        raise ValueError("a kind that is not known")
    if not 0 <= evidence.candidate < count:
        raise ValueError(f"there is no candidate {evidence.candidate}")
    if utility is not None and (utility.shape != (count,) or not np.isfinite(utility).all()):
        raise ValueError("its utilities do not fit")
    if utility is None and evidence.kind in ("written", "edit"):
        raise ValueError("its utilities are missing")


def posterior_from(reward: str, row: tuple[Any, ...]) -> StoredPosterior:
    """The posterior of (version, evidence, trust, mean, covariance, record). ValueError where it is none."""
    version, evidence, trust, mean, covariance, record = row
    center = _array(mean, _EXACT)
    spread = _array(covariance, _EXACT).reshape(len(center), len(center))
    parsed("the record", record)
    if not (np.isfinite(center).all() and np.isfinite(spread).all() and 0 <= trust <= 1):
        raise ValueError("its numbers are not finite")
    return StoredPosterior(reward, version, evidence, trust, center, spread, record)


def bytes_of(values: npt.ArrayLike) -> bytes:
    """The values in 32 bits."""
    return np.asarray(values, _STORED).tobytes()


def exact_bytes_of(values: Floats) -> bytes:
    """The values in 64 bits."""
    return values.astype(_EXACT).tobytes()


def _array(blob: Any, stored: np.dtype[Any] = _STORED) -> Floats:
    if not isinstance(blob, bytes):
        raise ValueError("no array of numbers")
    return np.frombuffer(blob, stored).astype(np.float64)
