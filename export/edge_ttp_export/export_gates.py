"""What an exported model must hold before it is written: equal to torch, and as good in 8 bits as in FP32."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from edge_ttp.errors import EdgeTTPError
from edge_ttp.reward.model import RewardModel, Scores
from edge_ttp.reward.salience import INPUTS
from edge_ttp_export.examples import LabelledPool
from edge_ttp_export.graphs import Reader
from edge_ttp_export.minilm import Tokens
from edge_ttp_export.network import RewardNetwork
from edge_ttp_export.train import predict

MAX_TORCH_ERROR = 1e-4
MIN_SPEARMAN = 0.98
MAX_UTILITY_LOSS = 0.002
MAX_COVERAGE_CHANGE = 0.02
Z80 = 1.2815515655446004
"""Half-width of the central 80% of a standard normal."""


@dataclass(frozen=True)
class Gate:
    """One measurement with its limit."""

    name: str
    value: float
    limit: float
    at_least: bool = False

    @property
    def passed(self) -> bool:
        """Whether the value keeps the limit."""
        return self.value >= self.limit if self.at_least else self.value <= self.limit


class GateFailed(EdgeTTPError):
    """An export that is not written, because a measurement misses its limit."""

    code, exit_code = "gate_failed", 1


def check(gates: Sequence[Gate]) -> None:
    """Raises GateFailed with the numbers of every gate that is missed."""
    missed = [f"{gate.name} is {gate.value:.4g}, allowed is {gate.limit:g}" for gate in gates if not gate.passed]
    if missed:
        raise GateFailed(f"nothing was written: {'; '.join(missed)}", "train or export with other settings")


def torch_gates(
    reader: Reader, network: RewardNetwork, exported: RewardModel, pools: Sequence[LabelledPool]
) -> list[Gate]:
    """Largest difference between torch and the FP32 graphs: vectors, words' numbers, differences and variances."""
    texts = sorted({one.text for pool in pools[:20] for one in pool.encoded.candidates}, key=len)
    ids, mask = Tokens()(texts)
    with torch.no_grad():
        vectors = reader.encoder.torch(ids, mask).numpy()
    vector_error = float(np.abs(vectors - exported.encoder.encode(texts)).max())
    word_error = max(_word_error(reader, exported, pool) for pool in pools[:20])
    head_error = 0.0
    for pool in pools:
        heads, _, _ = predict(network, [(pool, range(pool.size))])[0]
        scores = score(exported, pool)
        mean = (heads.offset[0] + heads.difference[0]).numpy()
        noise = torch.exp(heads.log_variance[0]).numpy()
        words = ~pool.encoded.wordless
        head_error = max(head_error, float(np.abs(mean - scores.mean)[words].max(initial=0)))
        head_error = max(head_error, float(np.abs(noise - scores.aleatoric)[words].max(initial=0)))
        head_error = max(head_error, float(np.abs(heads.phi[0].numpy() - scores.features).max()))
    return [
        Gate("vectors, FP32 against torch, largest difference", vector_error, MAX_TORCH_ERROR),
        Gate("words, FP32 against torch, largest difference", word_error, MAX_TORCH_ERROR),
        Gate("heads, FP32 against torch, largest difference", head_error, MAX_TORCH_ERROR),
    ]


def _word_error(reader: Reader, exported: RewardModel, pool: LabelledPool) -> float:
    """The largest difference of what torch and the FP32 graph say of the words of a pool's candidates."""
    profile, source = pool.profile, pool.source
    texts = [one.text for one in pool.encoded.candidates]
    words = list(dict.fromkeys(word for tokens in pool.encoded.words for word in tokens)) or [""]
    feeds = exported.salience.feeds(source.reading, profile, source.vector, words, texts)
    with torch.no_grad():
        expected = reader.torch(*(torch.from_numpy(feeds[name]) for name in INPUTS))[0].numpy()
    return float(
        np.abs(expected - exported.salience.numbers(source.reading, profile, source.vector, words, texts)).max()
    )


def quantization_gates(
    full: RewardModel, small: RewardModel, of_full: Sequence[LabelledPool], of_small: Sequence[LabelledPool]
) -> list[Gate]:
    """How the 8-bit model ranks, selects and is calibrated against the FP32 one, on the same pools."""
    by_full, by_small = [score(full, pool) for pool in of_full], [score(small, pool) for pool in of_small]
    return ranking_gates(by_full, by_small, [pool.utility for pool in of_small])


def ranking_gates(
    full: Sequence[Scores], small: Sequence[Scores], utilities: Sequence[npt.NDArray[np.float64]]
) -> list[Gate]:
    """The same from what both say of each pool."""
    correlations, losses, covered = [], [], np.zeros((2, 2))
    for one, other, utility in zip(small, full, utilities, strict=True):
        if np.ptp(other.mean) > 0:
            correlations.append(spearman(one.mean, other.mean))
        losses.append(utility[other.mean.argmax()] - utility[one.mean.argmax()])
        for row, scores in enumerate((one, other)):
            covered[row] += within_80(scores, utility).sum(), len(utility)
    coverage = covered[:, 0] / covered[:, 1]
    return [
        Gate("rank correlation within a query, 8 bits against FP32", float(np.mean(correlations)), MIN_SPEARMAN, True),
        Gate("utility lost by choosing in 8 bits", float(np.mean(losses)), MAX_UTILITY_LOSS),
        Gate("change of the 80% interval's coverage", float(abs(coverage[0] - coverage[1])), MAX_COVERAGE_CHANGE),
    ]


def score(model: RewardModel, pool: LabelledPool, rows: Sequence[int] | None = None) -> Scores:
    """The model's scores of a pool, or of some of its candidates."""
    encoded = pool.encoded if rows is None else pool.encoded.take(rows)
    return model.score(pool.profile, pool.source, encoded)


def within_80(scores: Scores, utility: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """(N,) whether each candidate's difference from the pool's mean lies in its central 80% interval."""
    error = (utility - utility.mean()) - (scores.mean - scores.offset)
    return np.asarray(np.abs(error) <= Z80 * np.sqrt(scores.variance))


def spearman(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> float:
    """Rank correlation with mean ranks for ties; 0 where one of them is constant."""
    ranks = [_ranks(values) for values in (one, other)]
    spread = np.std(ranks[0]) * np.std(ranks[1])
    return float(np.mean((ranks[0] - ranks[0].mean()) * (ranks[1] - ranks[1].mean())) / spread) if spread else 0.0


def _ranks(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    below = (values[None, :] < values[:, None]).sum(axis=1)
    return np.asarray(below + (values[None, :] == values[:, None]).sum(axis=1) / 2, dtype=np.float64)
