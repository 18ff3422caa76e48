"""The salience network: of the words that candidates use, which does this input call for, and this user?

It reads the encoder's token states of the input, once, and a small vector for each wordpiece, and needs no candidate
but their words. Becomes salience.onnx.
"""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edge_ttp.reward.salience import SCALE
from edge_ttp_export.minilm import WIDTH

DIMENSION = 64
"""Width of a wordpiece's vector."""
HEADS = 6
INNER = 768
PLAIN = 4
"""Columns of what training explains away: whether and how often the input has the word, its length, the input's."""


class SalienceNetwork(nn.Module):  # type: ignore[misc]
    """Two numbers for each word: affinity to input and user, and salience of its places in the input."""

    pieces: nn.Module

    def __init__(self, vocabulary: int, embedding: Tensor | None = None) -> None:
        """`embedding` (vocabulary, WIDTH), where training starts from an encoder's word vectors."""
        super().__init__()
        self.before = nn.LayerNorm(WIDTH)
        self.mixed = nn.Linear(WIDTH, 3 * WIDTH)
        self.joined = nn.Linear(WIDTH, WIDTH)
        self.inner = nn.Sequential(
            nn.LayerNorm(WIDTH), nn.Linear(WIDTH, INNER), nn.GELU(), nn.Dropout(0.1), nn.Linear(INNER, WIDTH)
        )
        self.place = nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 1))
        self.query = nn.Sequential(nn.Linear(3 * WIDTH, 192), nn.GELU(), nn.Dropout(0.2), nn.Linear(192, DIMENSION))
        self.usual = nn.Linear(DIMENSION, 1)
        self.plain = nn.Linear(PLAIN, 1)
        self.pieces = nn.Embedding(vocabulary, DIMENSION) if embedding is None else Projected(embedding)

    def forward(  # noqa: PLR0917 - the exporter passes inputs by position
        self, states: Tensor, mask: Tensor, user: Tensor, recalled: Tensor, words: Tensor, places: Tensor
    ) -> Tensor:
        """(B, V, 2) affinity and salience, in units of SCALE nats.

        `states` (B, T, WIDTH) of the input with `mask` (B, T); `user`, `recalled` (B, WIDTH) mean vectors of what the
        user wrote, zeros for a new user; `words` (B, V, P) wordpieces padded with 0; `places` (B, V, P) of the word in
        the input, padded with -1.
        """
        read = self._read(states, mask)
        weights = mask.unsqueeze(-1)
        gist = (read * weights).sum(1) / weights.sum(1).clamp(min=1)
        query = self.query(torch.cat([gist, WIDTH**0.5 * user, WIDTH**0.5 * recalled], dim=-1))
        there = (words > 0).unsqueeze(-1).to(states.dtype)
        vectors = (self.pieces(words) * there).sum(2) / there.sum(2).clamp(min=1)
        affinity = (vectors @ query.unsqueeze(-1)).squeeze(-1) / DIMENSION**0.5 + self.usual(vectors).squeeze(-1)
        at_places = self._at(self.place(read).squeeze(-1), places)
        return torch.stack([affinity, at_places], dim=-1) / SCALE

    def log_odds(self, numbers: Tensor, plain: Tensor) -> Tensor:
        """(B, V) log-odds that training fits, from what forward returned and (B, V, PLAIN)."""
        return SCALE * numbers.sum(-1) + cast(Tensor, self.plain(plain).squeeze(-1))

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def collapse(self) -> None:
        """Replaces the projection of word vectors by its result, a table."""
        if isinstance(self.pieces, Projected):
            self.pieces = nn.Embedding.from_pretrained(self.pieces.table(), freeze=True)

    def _read(self, states: Tensor, mask: Tensor) -> Tensor:
        """(B, T, WIDTH) the states after one more transformer layer."""
        batch, length, width = states.shape
        parts = self.mixed(self.before(states)).reshape(batch, length, 3, HEADS, width // HEADS).permute(2, 0, 3, 1, 4)
        query, key, value = parts[0], parts[1], parts[2]
        logits = query @ key.transpose(-1, -2) / math.sqrt(width // HEADS)
        logits = logits - 1e4 * (1 - mask)[:, None, None, :]
        attended = (torch.softmax(logits, dim=-1) @ value).transpose(1, 2).reshape(batch, length, width)
        states = states + self.joined(attended)
        return states + cast(Tensor, self.inner(states))

    @staticmethod
    def _at(values: Tensor, places: Tensor) -> Tensor:
        """(B, V) the largest value at a word's places; 0 where it has none."""
        batch, count, most = places.shape
        found = values.gather(1, places.clamp(min=0).reshape(batch, count * most)).reshape(batch, count, most)
        there = (places >= 0).to(values.dtype)
        best = (found * there - 1e4 * (1 - there)).max(dim=-1).values
        return best * there.max(dim=-1).values


class Projected(nn.Module):  # type: ignore[misc]
    """Wordpieces' vectors as a projection of an encoder's, which stay as they are."""

    def __init__(self, embedding: Tensor) -> None:
        super().__init__()
        self.register_buffer("embedding", F.layer_norm(embedding.detach(), embedding.shape[1:]), persistent=False)
        self.projection = nn.Linear(embedding.shape[1], DIMENSION)

    def forward(self, pieces: Tensor) -> Tensor:
        """(..., DIMENSION) vectors of wordpieces (...)."""
        return cast(Tensor, self.projection(F.embedding(pieces, cast(Tensor, self.embedding))))

    def table(self) -> Tensor:
        """(vocabulary, DIMENSION) of all wordpieces."""
        return cast(Tensor, self.projection(self.embedding))
