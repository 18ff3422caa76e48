"""The reward model: loads its folder, describes a user, scores the candidates of one pool."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_ttp.errors import InvalidInput, ModelUnavailable
from edge_ttp.reward.config import Cure, RewardConfig, prior, read_checked, read_config
from edge_ttp.reward.encoder import TextEncoder, Vectors
from edge_ttp.reward.features import FEATURES, Table, context_vector, feature_table, with_pool
from edge_ttp.reward.posterior import Weights
from edge_ttp.reward.salience import Salience, SalienceReading
from edge_ttp.reward.session import Session, default_threads
from edge_ttp.reward.user_profile import UserProfile, VectorCache, build_profile
from edge_ttp.reward.utility import Tokens, agreement, tokenize
from edge_ttp.reward.word_features import PoolWords, pool_words
from edge_ttp.schema import Candidate, HistoryItem

Floats = npt.NDArray[np.float64]

HEADS_INPUTS = (
    "candidates",
    "source",
    "history_outputs",
    "history_inputs",
    "history_mask",
    "features",
    "context",
    "words",
    "membership",
)
HEADS_OUTPUTS = ("mean", "log_variance", "phi", "distance", "offset", "offset_log_variance")

FAMILIAR = 2.0
"""Epistemic variance in units of the signal's, beyond which consensus chooses. An error of e signal variances divides a
share of headroom by about sqrt(1 + e): .43 (docs/measured/reward.md) is below consensus's .25 from 2 on."""

LIKE_EARLIER = 0.5
"""Agreement with one of the user's newest texts from which the typical candidate is familiar whatever its variance:
short answers much like earlier ones lie far from the training data too, and there the history tells most."""

_AGREEMENT_WITH_EARLIER = FEATURES.index("user_agreement_top")

MIN_VARIANCE = 1e-6
"""Smallest aleatoric variance that is reported, in squared utility units."""


@dataclass(frozen=True)
class EncodedInput:
    """An input as the scorer sees it, made once by `prepare` and used for every wave of candidates."""

    vector: Vectors
    words: Tokens
    reading: SalienceReading


@dataclass(frozen=True)
class EncodedPool:
    """The candidates of one pool with their vectors and agreements: everything that does not depend on the user."""

    candidates: tuple[Candidate, ...]
    words: tuple[Tokens, ...]
    """(N,) their tokens (edge_ttp.reward.utility)."""
    vectors: Vectors
    """(N, width)."""
    similarity: Floats
    """(N, N) agreements (edge_ttp.reward.utility)."""

    def take(self, indices: Sequence[int]) -> EncodedPool:
        """The smaller pool of these candidates."""
        rows = np.array(indices, dtype=np.int64)
        return EncodedPool(
            tuple(self.candidates[index] for index in indices),
            tuple(self.words[index] for index in indices),
            self.vectors[rows],
            self.similarity[np.ix_(rows, rows)],
        )

    def twins(self) -> list[int]:
        """(N,) for each candidate, the first one that looks the same to the scorer."""
        first: dict[tuple[str, int, float], int] = {}
        looks = [(one.text, one.tokens, one.logprob) for one in self.candidates]
        return [first.setdefault(look, index) for index, look in enumerate(looks)]

    @property
    def wordless(self) -> npt.NDArray[np.bool_]:
        """(N,) whether a candidate has no token at all."""
        return np.array([not tokens for tokens in self.words])


@dataclass(frozen=True)
class Scores:
    """What the model thinks of the N candidates of one pool. Utilities run from 0 to 1."""

    mean: Floats
    """(N,) expected utility: the query's offset plus the candidate's difference from the pool's mean."""
    aleatoric: Floats
    """(N,) noise variance of the difference, which no evidence about the user removes."""
    epistemic: Floats
    """(N,) variance of the mean's own error: uncertain weights, and distance from the training data."""
    variance: Floats
    """(N,) aleatoric + epistemic. The offset's variance, equal for all, is not in it: it cannot change a choice."""
    similarity: Floats
    """(N, N) agreement of the candidates with each other (edge_ttp.reward.utility), 1 on the diagonal."""
    features: Floats
    """(N, D) last-layer features, centred within the pool: difference = features . weights."""
    offset: float
    """Expected utility of the pool's average candidate."""
    offset_variance: float
    """Noise variance of the offset."""
    familiar: bool
    """Whether the mean means something here: False where the typical candidate's epistemic variance is more than
    FAMILIAR times the variance that means usually have within a pool, unless the candidate is LIKE_EARLIER texts."""


class RewardModel:
    """A loaded reward model. Deterministic; may be used from several threads."""

    def __init__(self, config: RewardConfig, fingerprint: str, salience: Salience, heads: Session) -> None:
        """Use `load`."""
        self.config = config
        self.name = config.name
        self.fingerprint = fingerprint
        """Changes with any of the model's files; keys what was learned on its features."""
        self.encoder, self.salience = salience.encoder, salience
        self._heads = heads
        self.weights_mean, self.weights_covariance = prior(config.weights)
        self.stock = Weights(self.weights_mean, self.weights_covariance)
        """Every user's prior."""

    @classmethod
    def load(cls, folder: Path | str, *, threads: int | None = None) -> RewardModel:
        """The model in `folder` (reward.json and the files it names), on `threads` CPU threads.

        Raises ModelUnavailable, with the cure, where a file is missing, truncated, altered or not what it should be.
        """
        where = Path(folder)
        config, digest = read_config(where)
        count = default_threads() if threads is None else threads
        graph, tokenizer = (read_checked(where, file) for file in (config.encoder.graph, config.encoder.tokenizer))
        encoder = TextEncoder(
            graph,
            tokenizer,
            name=config.name,
            fingerprint=encoder_fingerprint(config),
            width=config.encoder.width,
            max_tokens=config.encoder.max_tokens,
            threads=count,
        )
        salience = Salience(read_checked(where, config.salience), encoder, name=config.name, threads=count)
        heads = Session(
            read_checked(where, config.heads),
            name=f"heads.onnx of {config.name}",
            inputs=HEADS_INPUTS,
            outputs=HEADS_OUTPUTS,
            threads=1,  # a few small products: waking threads would cost more than it saves
        )
        model = cls(config, digest[:16], salience, heads)
        model.score(
            model.profile(()), "", [Candidate(text=text, tokens=1, logprob=-1.0) for text in "ab"]
        )  # a graph of other shapes fails here
        return model

    def profile(self, history: Sequence[HistoryItem], vectors: VectorCache | None = None) -> UserProfile:
        """The user who wrote `history`: items of one user in any order; none for a new user.

        Vectors of items that `vectors` does not have are computed and put there.
        """
        return build_profile(self.encoder, history, vectors)

    def prepare(self, input_text: str) -> EncodedInput:
        """The input's vector and words, to be passed to `score` instead of the text when it is called again."""
        return EncodedInput(self.encoder.encode([input_text])[0], tokenize(input_text), self.salience.read(input_text))

    def encode(self, candidates: Sequence[Candidate]) -> EncodedPool:
        """The vectors and agreements of a pool of candidates."""
        texts = [one.text for one in candidates]
        words = tuple(tokenize(text) for text in texts)
        return EncodedPool(tuple(candidates), words, self.encoder.encode(texts), agreement(words, words))

    def score(
        self,
        profile: UserProfile,
        input_text: str | EncodedInput,
        candidates: Sequence[Candidate] | EncodedPool,
        weights: Weights | None = None,
    ) -> Scores:
        """Scores of a pool of candidates, by their texts, numbers of tokens and log-probabilities.

        `weights`: what this user's own evidence says of the last layer; None for the stock model's.

        All candidates of one input belong in one call: consensus and the difference from the pool's mean need them.
        A candidate without a word has utility 0 by definition of the utility, and gets it. Raises InvalidInput for an
        empty pool or a profile made by another encoder.
        """
        if profile.encoder != self.encoder.fingerprint:
            raise InvalidInput("the profile was made by another reward model", "call profile() of this model")
        source = self.prepare(input_text) if isinstance(input_text, str) else input_text
        pool = candidates if isinstance(candidates, EncodedPool) else self.encode(candidates)
        if not pool.candidates:
            raise InvalidInput("there is no candidate to score", "pass at least one")
        table = feature_table(
            profile, source.vector, source.words, pool.candidates, words=pool.words, vectors=pool.vectors
        )
        table = with_pool(table, pool.similarity, pool.vectors)
        context = context_vector(profile, source.vector, source.words, len(pool.candidates))
        texts = [one.text for one in pool.candidates]
        salience = partial(self.salience.numbers, source.reading, profile, source.vector, texts=texts)
        words = pool_words(profile, source.vector, source.words, pool.words, salience)
        mean, log_variance, phi, distance, offset, offset_log_variance = self._run(
            profile, source.vector, pool.vectors, table=table, context=context, words=words
        )
        # Equal candidates tie to the bit, although the graph's rounding depends on a row's place.
        same = pool.twins()
        mean, log_variance, phi, distance = mean[same], log_variance[same], phi[same], distance[same]
        beyond = np.maximum(0.0, distance / self.config.distance.usual - 1)
        covariance = self.weights_covariance
        if weights is not None:
            mean, covariance = mean + phi @ (weights.mean - self.weights_mean), weights.covariance
        epistemic = np.einsum("nd,de,ne->n", phi, covariance, phi)
        epistemic = np.maximum(epistemic, 0) + self.config.distance.variance * beyond
        aleatoric = np.maximum(np.exp(np.clip(log_variance, -20, 2)), MIN_VARIANCE)
        wordless = pool.wordless
        mean[wordless], aleatoric[wordless], epistemic[wordless] = 0.0, MIN_VARIANCE, 0.0
        return Scores(
            mean=mean,
            aleatoric=aleatoric,
            epistemic=epistemic,
            variance=aleatoric + epistemic,
            similarity=pool.similarity,
            features=phi,
            offset=float(offset[0]),
            offset_variance=float(np.exp(np.clip(offset_log_variance[0], -20, 2))),
            familiar=self._familiar(epistemic, table),
        )

    def _familiar(self, epistemic: Floats, table: Table) -> bool:
        near = float(np.median(table[:, _AGREEMENT_WITH_EARLIER])) >= LIKE_EARLIER
        return near or bool(np.median(epistemic) <= FAMILIAR * (self.config.distance.variance or np.inf))

    def _run(
        self, profile: UserProfile, source: Vectors, vectors: Vectors, *, table: Table, context: Table, words: PoolWords
    ) -> list[Floats]:
        width = self.encoder.width
        new_user = profile.items == 0  # the graph attends over at least one row; the mask hides it
        outputs = np.zeros((1, width), np.float32) if new_user else profile.outputs
        inputs = np.zeros((1, width), np.float32) if new_user else profile.inputs
        mask = np.full(len(outputs), 0.0 if new_user else 1.0, dtype=np.float32)
        feeds = (vectors, source, outputs, inputs, mask, table, context, *words.within(range(len(vectors))))
        values = self._heads.run(dict(zip(HEADS_INPUTS, feeds, strict=True)))
        count, size = len(vectors), len(self.weights_mean)
        shapes = [(count,), (count,), (count, size), (count,), (1,), (1,)]
        results = [np.array(one, dtype=np.float64) for one in values]
        if [one.shape for one in results] != shapes or not all(np.isfinite(one).all() for one in results):
            raise ModelUnavailable(f"heads.onnx of {self.name} gave no usable scores", Cure)
        return results


def encoder_fingerprint(config: RewardConfig) -> str:
    """Names what a text's vector depends on: the encoder's weights, its tokenizer, and where texts are cut."""
    parts = (config.encoder.graph.sha256, config.encoder.tokenizer.sha256, str(config.encoder.max_tokens))
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()[:16]
