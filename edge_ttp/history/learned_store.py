"""The part of a history that holds what was learned about its users, and vectors of their items."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy.typing as npt

from edge_ttp.history import learning, vectors
from edge_ttp.history.connection import Connections
from edge_ttp.history.learned_rows import Layer, StoredEvidence, StoredPosterior
from edge_ttp.history.learning import Calibrated, Sourced
from edge_ttp.history.sieve import Sieve
from edge_ttp.history.vectors import Vector
from edge_ttp.schema import Candidate, Feedback, HistoryItem
from edge_ttp.system.arguments import checked_arguments


@checked_arguments
class LearnedStore:
    """Methods of History (history/store.py) about what was learned; under the same promises."""

    def __init__(self, connections: Connections, sieve: Sieve) -> None:
        self._connections = connections
        self._sieve = sieve

    def uncalibrated(self, user_id: str, limit: int) -> list[HistoryItem]:
        """The user's newest items with an input for which no candidates were drawn yet; not what judgments added."""
        with self._connections.reading() as db:
            return learning.uncalibrated(db, user_id, limit, self._sieve)

    def calibrate(
        self, item: HistoryItem, model: str, candidates: Sequence[Candidate], evidence: StoredEvidence
    ) -> bool:
        """Stores the candidates drawn for a past item with the evidence; False if the item is gone or has some."""
        with self._connections.writing() as db:
            return learning.put_calibration(db, item, model, candidates, evidence)

    def outdated(self, user_id: str, reward: str) -> tuple[list[Calibrated], list[Feedback]]:
        """Calibrated items and judgments without evidence under the reward model with this fingerprint."""
        with self._connections.reading() as db:
            return learning.outdated(db, user_id, reward, self._sieve)

    def renew_evidence(self, source: Calibrated | Feedback, evidence: StoredEvidence) -> None:
        """Stores evidence under another reward model in the place of the old; nothing if its source is gone."""
        with self._connections.writing() as db:
            learning.renew(db, source, evidence)

    def evidence(self, user_id: str, reward: str, limit: int) -> tuple[int, list[StoredEvidence]]:
        """(the user's evidence count, their evidence under this reward model from the newest on)."""
        with self._connections.reading() as db:
            return learning.select_evidence(db, user_id, reward, limit, self._sieve)

    def sourced_evidence(self, user_id: str, reward: str, limit: int) -> list[Sourced]:
        """The same evidence, each piece with the candidates' texts."""
        with self._connections.reading() as db:
            return learning.sourced_evidence(db, user_id, reward, limit, self._sieve)

    def posterior(self, user_id: str, reward: str) -> StoredPosterior | None:
        """The user's posterior under this reward model; None where it is missing or the evidence has changed."""
        with self._connections.reading() as db:
            return learning.posterior(db, user_id, reward)

    def save_posterior(self, user_id: str, made: StoredPosterior, *, wait_s: float | None = None) -> bool:
        """Stores a posterior; False, and nothing, if the evidence has changed since. `wait_s` as above."""
        with self._connections.writing(wait_s) as db:
            return learning.put_posterior(db, user_id, made)

    # Vectors

    def vectors(self, item_ids: Collection[int], encoder: str) -> dict[int, Vector]:
        """item id -> (dimension,) float32, for those items whose vector by this encoder is stored."""
        with self._connections.reading() as db:
            return vectors.select_vectors(db, item_ids, encoder)

    def put_vectors(self, encoder: str, by_item: Mapping[int, npt.ArrayLike], *, wait_s: float | None = None) -> int:
        """Stores vectors by item id, replacing older ones of the same encoder; returns how many. `wait_s` as above."""
        with self._connections.writing(wait_s) as db:
            return vectors.insert_vectors(db, encoder, by_item)

    def layer(self, generation_id: str) -> Layer | None:
        """The reward model's last layer over a generation's candidates, None where none was stored."""
        with self._connections.reading() as db:
            return learning.layer(db, generation_id, self._sieve)
