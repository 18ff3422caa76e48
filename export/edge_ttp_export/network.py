"""The reward network on top of frozen text vectors: offset and difference, each with its noise. Becomes heads.onnx."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edge_ttp.reward.features import CONTEXT, FEATURES
from edge_ttp.reward.word_features import WORD_FEATURES
from edge_ttp_export.minilm import WIDTH

RANK = 16
HIDDEN = 32
LAST = 12
EXPECTED = (
    "expected_overlap",  # expected ROUGE-1 F1 with what the user would have written
    "expected_precision",  # share of the candidate's tokens expected there
    "expected_recall",  # share of what is expected there that the candidate has
)
"""Columns that the network makes of the words' chances, beside FEATURES."""
COLUMNS = (*FEATURES, *EXPECTED)
DIMENSION = len(COLUMNS) + LAST
"""D, the size of the last layer."""
_LOG_LENGTH = FEATURES.index("log_length")
_HAS_HISTORY = CONTEXT.index("has_history")
_USER_LOG_LENGTH = CONTEXT.index("user_log_length")


@dataclass
class Batch:
    """B pools of at most N candidates, users with at most H items. Masks are 1 where there is something, else 0."""

    candidates: Tensor
    """(B, N, WIDTH) vectors."""
    pool_mask: Tensor
    """(B, N)."""
    source: Tensor
    """(B, WIDTH) vector of the input."""
    outputs: Tensor
    """(B, H, WIDTH) vectors of what the user wrote."""
    inputs: Tensor
    """(B, H, WIDTH)."""
    history_mask: Tensor
    """(B, H)."""
    features: Tensor
    """(B, N, F), edge_ttp.reward.features."""
    context: Tensor
    """(B, C)."""
    words: Tensor
    """(B, W, K), edge_ttp.reward.word_features; padded with rows that no candidate has."""
    membership: Tensor
    """(B, N, W)."""


@dataclass
class Heads:
    """What the network says of a batch."""

    difference: Tensor
    """(B, N) expected utility minus the pool's mean."""
    log_variance: Tensor
    """(B, N) log noise variance of the difference."""
    phi: Tensor
    """(B, N, D) last layer, centred in the pool: difference = phi . weights."""
    distance: Tensor
    """(B, N) mean squared distance from the training data in whitened coordinates, about 1 inside it."""
    offset: Tensor
    """(B,) expected utility of the pool's mean candidate."""
    offset_log_variance: Tensor
    """(B,)."""


class WordNetwork(nn.Module):  # type: ignore[misc]
    """The chance that a word is in what the user would have written, from its row of WORD_FEATURES alone."""

    mean: Tensor
    scale: Tensor
    used: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("used", torch.ones(len(WORD_FEATURES)))
        self.register_buffer("mean", torch.zeros(len(WORD_FEATURES)))
        self.register_buffer("scale", torch.ones(len(WORD_FEATURES)))
        self.layers = nn.Sequential(nn.Linear(len(WORD_FEATURES), 24), nn.GELU(), nn.Dropout(0.1), nn.Linear(24, 1))

    def forward(self, rows: Tensor) -> Tensor:
        """(...) log-odds of rows (..., K)."""
        return cast(Tensor, self.layers((rows * self.used - self.mean) / self.scale).squeeze(-1))

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def standardize(self, rows: Tensor) -> None:
        """Fixes the scales from training rows (M, K)."""
        self.mean.copy_((rows * self.used).mean(dim=0))
        self.scale.copy_((rows * self.used).std(dim=0).clamp(min=1e-3))

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def ignore(self, columns: Sequence[str]) -> None:
        """Takes these of WORD_FEATURES for 0 from now on."""
        for name in columns:
            self.used[WORD_FEATURES.index(name)] = 0


class RewardNetwork(nn.Module):  # type: ignore[misc]
    """mean = offset(query) + difference(candidate), difference = phi . weights.

    The last layer phi holds the standardized features themselves beside a small network's outputs, so that its weights
    say how much consensus, closeness to the user ... count; both are scaled by a predicted spread of the query.
    """

    feature_mean: Tensor
    feature_scale: Tensor
    features_map: Tensor
    vectors_mean: Tensor
    vectors_map: Tensor

    def __init__(self, dropout: float = 0.1) -> None:
        super().__init__()
        count, context = len(COLUMNS), len(CONTEXT)
        self.words = WordNetwork()
        self.register_buffer("feature_mean", torch.zeros(count))
        self.register_buffer("feature_scale", torch.ones(count))
        self.register_buffer("features_map", torch.zeros(count, count))
        self.register_buffer("vectors_mean", torch.zeros(WIDTH))
        self.register_buffer("vectors_map", torch.zeros(WIDTH, WIDTH))
        self.attention = nn.Parameter(torch.tensor([4.0, 2.0]))
        self.of_candidate = nn.Linear(WIDTH, 3 * RANK, bias=False)
        self.of_user = nn.Linear(WIDTH, RANK, bias=False)
        self.of_source = nn.Linear(WIDTH, RANK, bias=False)
        self.hidden = nn.Sequential(
            nn.Linear(2 * count + 3 * RANK + context, HIDDEN), nn.GELU(), nn.Dropout(dropout), nn.Linear(HIDDEN, LAST)
        )
        self.weights = nn.Parameter(torch.zeros(DIMENSION))
        self.noise = nn.Sequential(nn.Linear(2 * count + LAST + context, 16), nn.GELU(), nn.Linear(16, 1))
        self.spread = nn.Sequential(nn.Linear(context + 2 * count, 16), nn.GELU(), nn.Linear(16, 1))
        self.level = nn.Sequential(nn.Linear(context + 2 * count, 16), nn.GELU(), nn.Linear(16, 2))
        for head in (self.noise, self.spread, self.level):
            nn.init.zeros_(cast(nn.Linear, head[2]).weight)
        nn.init.constant_(cast(nn.Linear, self.spread[2]).bias, -3.0)  # softplus(-3) = .049: a usual spread of utility
        nn.init.zeros_(cast(nn.Linear, self.noise[2]).bias)
        with torch.no_grad():
            cast(nn.Linear, self.level[2]).bias.copy_(torch.tensor([-2.2, -5.0]))  # sigmoid(-2.2) = .1

    def forward(self, batch: Batch) -> Heads:
        """Heads of a batch. Rows outside the pool mask hold numbers without meaning."""
        mask = batch.pool_mask.unsqueeze(-1)
        plain = (self.columns(batch) - self.feature_mean) / self.feature_scale
        middle = _pool_mean(plain, mask)
        centred = plain - middle
        spread = torch.sqrt(_pool_mean(centred.square(), mask) + 1e-8)
        standard = (centred / (spread + 0.1)).clamp(-4, 4)
        context = batch.context.unsqueeze(1).expand(-1, batch.features.shape[1], -1)

        query = torch.cat([batch.context, middle.squeeze(1).clamp(-4, 4), spread.squeeze(1).clamp(0, 4)], dim=-1)
        scale = F.softplus(self.spread(query)).unsqueeze(1)
        mixed = self._interactions(batch)
        mixed = mixed - _pool_mean(mixed, mask)
        inner = self.hidden(torch.cat([standard, centred.clamp(-4, 4), mixed, context], dim=-1))
        inner = inner - _pool_mean(inner, mask)
        shape = torch.cat([standard - _pool_mean(standard, mask), inner], dim=-1)
        phi = scale * shape
        noise = self.noise(torch.cat([standard, centred.clamp(-4, 4), inner, context], dim=-1)).squeeze(-1)
        level = self.level(query)
        return Heads(
            difference=phi @ self.weights,
            log_variance=2 * torch.log(scale.squeeze(-1)) + 3 * torch.tanh(noise / 3),
            phi=phi,
            distance=self._distance(batch, plain),
            offset=torch.sigmoid(level[:, 0]),
            offset_log_variance=level[:, 1].clamp(-12, 0),
        )

    def columns(self, batch: Batch) -> Tensor:
        """(B, N, COLUMNS) the features, and what the words' chances say of each candidate.

        Its expected common tokens are the sum of its different words' chances; a word used twice counts once.
        """
        common = (batch.membership @ torch.sigmoid(self.words(batch.words)).unsqueeze(-1)).squeeze(-1)
        length = torch.exp(batch.features[..., _LOG_LENGTH]) - 1
        known = batch.context[:, _HAS_HISTORY].unsqueeze(1)
        habit = torch.exp(batch.context[:, _USER_LOG_LENGTH] * math.log(513)).unsqueeze(1) - 1
        expected = known * habit + (1 - known) * _pool_mean(length, batch.pool_mask)
        expected = expected.clamp(min=1)
        made = (2 * common / (length + expected), common / length.clamp(min=1), common / expected)
        return torch.cat([batch.features, torch.stack(made, dim=-1)], dim=-1)

    def silence_text_terms(self) -> None:
        """Leaves only the features to read, for good: what reads the text vectors themselves is 0 and not trained."""
        for part in (self.of_candidate, self.of_user, self.of_source):
            nn.init.zeros_(part.weight)
            part.requires_grad_(False)
        self.attention.requires_grad_(False)

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def scale_offset_variance(self, factor: float) -> None:
        """Multiplies the offset's noise variance by `factor` (above 0), for every query."""
        cast(nn.Linear, self.level[2]).bias[1] += math.log(factor)

    def _interactions(self, batch: Batch) -> Tensor:
        """(B, N, 3 RANK) products of the candidate with the user and the input, and the candidate itself.

        The user is a mean of what they wrote, weighted by how close an item is to this input and to this candidate.
        """
        near_source = (batch.inputs @ batch.source.unsqueeze(-1)).squeeze(-1).unsqueeze(1)
        near_candidate = batch.candidates @ batch.outputs.transpose(1, 2)
        logits = self.attention[0] * near_source + self.attention[1] * near_candidate
        known = batch.history_mask.unsqueeze(1)
        attention = torch.softmax(logits - 1e4 * (1 - known), dim=-1) * known
        user = attention @ batch.outputs
        one, two, three = (WIDTH**0.5 * self.of_candidate(batch.candidates)).chunk(3, dim=-1)
        of_user = self.of_user(user) * WIDTH**0.5
        of_source = self.of_source(batch.source).unsqueeze(1) * WIDTH**0.5
        return torch.cat([one * of_user, two * of_source, three], dim=-1)

    def _distance(self, batch: Batch, plain: Tensor) -> Tensor:
        """(B, N) the mean of two whitened squared distances, each per dimension: by features and by vector."""
        by_features = (plain @ self.features_map).square().mean(dim=-1)
        by_vector = ((batch.candidates - self.vectors_mean) @ self.vectors_map).square().mean(dim=-1)
        return (by_features + by_vector) / 2

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def standardize(self, features: Tensor, vectors: Tensor) -> None:
        """Fixes the scales of columns and distance from training candidates: (M, COLUMNS) and (M, WIDTH)."""
        self.feature_mean.copy_(features.mean(dim=0))
        self.feature_scale.copy_(features.std(dim=0).clamp(min=1e-3))
        self.vectors_mean.copy_(vectors.mean(dim=0))
        self.features_map.copy_(_whitening((features - self.feature_mean) / self.feature_scale))
        self.vectors_map.copy_(_whitening(vectors - self.vectors_mean))


def _whitening(deviations: Tensor) -> Tensor:
    """(K, K) map after which the deviations (M, K) are about uncorrelated with variance 1.

    The covariance is shrunk by a tenth of its mean eigenvalue, so that directions without variance do not explode.
    """
    values, directions = torch.linalg.eigh((deviations.T @ deviations).double() / len(deviations))
    return (directions / torch.sqrt(values + 0.1 * values.mean())).float()


def _pool_mean(values: Tensor, mask: Tensor) -> Tensor:
    """(B, 1, ...) mean over the candidates of each pool."""
    return (values * mask).sum(dim=1, keepdim=True) / mask.sum(dim=1, keepdim=True).clamp(min=1)
