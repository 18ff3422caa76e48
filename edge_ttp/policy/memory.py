"""What a policy takes of the memory, reckoned before anything is allocated. Pure arithmetic on the model's sizes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from edge_ttp.errors import OutOfCapacity

CacheType = Literal["f16", "q8_0"]
"""How keys and values are stored: 16 bits, or 8 bits in blocks of 32."""

MIB = 2**20
LIBRARY_BYTES = 16 * MIB
"""Code and small allocations of the library, threads included."""

_VOCABULARY_ENTRY = 160  # a token's text, score and places in the lookup tables, measured on 49,000 and 262,000 tokens
_ACTIVATION_WIDTHS = 24  # float32 rows of the embedding's width that one token needs at most while it is computed
_WORTHWHILE = 4  # candidates at once from which more bring little
_CELL_STEP = 1024  # caches grow in these steps, so that similar calls keep one
_SEQUENCE_STEP = 16


@dataclass(frozen=True)
class Layout:
    """How one call is laid out in memory."""

    width: int
    """Candidates decoded at once."""
    waves: int
    cells: int
    """Tokens that the cache must hold."""
    cache_type: CacheType
    notes: tuple[str, ...]
    """What the memory made it give up, in words."""


@dataclass(frozen=True)
class Footprint:
    """Sizes of one model, from its metadata."""

    weights: int
    """Bytes of the weights, copies in another layout included."""
    vocabulary: int
    embedding: int
    heads: int
    """Attention heads of a layer."""
    kv_elements: int
    """Elements of the keys and values of one token, all layers."""
    blocks_of_32: bool
    """Whether keys and values can be stored in blocks of 32."""
    chunk: int
    """Prompt tokens computed at once."""

    @property
    def fixed(self) -> int:
        """Bytes without any cache: weights, vocabulary, the computation of one chunk."""
        computation = self.chunk * self.embedding * 4 * _ACTIVATION_WIDTHS
        return self.weights + self.vocabulary * _VOCABULARY_ENTRY + computation + LIBRARY_BYTES

    @property
    def sequence(self) -> int:
        """Bytes for one sequence: its logits, once as they are computed and once as they are handed out."""
        return 2 * 4 * self.vocabulary

    def cell(self, cache_type: CacheType) -> int:
        """Bytes for one token in the cache, and for what a chunk's tokens compute with it: mask and scores."""
        if cache_type == "q8_0":  # flash attention never holds all scores
            return self.kv_elements * 34 // 32 + 4 * self.chunk
        return self.kv_elements * 2 + 4 * self.chunk * (1 + self.heads)

    def state(self, cache_type: CacheType) -> int:
        """Bytes for one token in a state that is kept beside the caches: its keys and values, place and owner."""
        return (self.kv_elements * 34 // 32 if cache_type == "q8_0" else self.kv_elements * 2) + 16

    def total(self, cells: int, sequences: int, cache_type: CacheType) -> int:
        """Bytes in all with a cache of `cells` tokens and `sequences` sequences."""
        return self.fixed + sequences * self.sequence + cells * self.cell(cache_type)

    def lay_out(self, *, prompt: int, max_tokens: int, n: int, most_sequences: int, limit: int | None) -> Layout:
        """The layout of a call within `limit` bytes (None: no limit).

        All candidates at once where they fit; else in as few waves as fit, equally wide. Keys and values are stored in
        8 bits only where fewer than four candidates would fit with 16: they take a third more time to read, as much as
        waves of four cost. Raises OutOfCapacity where not even one candidate fits.
        """
        most = min(n, most_sequences - 1)
        cache_type: CacheType = "f16"
        width = self._width(prompt, max_tokens, most, limit, "f16")
        if width < min(most, _WORTHWHILE) and self.blocks_of_32:
            narrow = self._width(prompt, max_tokens, most, limit, "q8_0")
            if narrow > width:
                cache_type, width = "q8_0", narrow
        if width < 1:
            assert limit is not None
            needed = self.total(prompt + max_tokens, 2, cache_type)
            raise OutOfCapacity(
                f"a prompt of {prompt} tokens and one answer of {max_tokens} need {-(-needed // MIB)} MiB with the "
                f"model, {limit // MIB} MiB are allowed",
                "allow more memory, shorten the prompt or lower --max-tokens",
            )
        waves = math.ceil(n / width)
        width = math.ceil(n / waves)
        notes = []
        if cache_type != "f16":
            notes.append("little memory: keys and values are stored in 8 bits")
        if waves > 1:
            why = "little memory" if width < most_sequences - 1 and limit is not None else "many candidates"
            notes.append(f"{why}: {n} candidates run in {waves} waves of at most {width}")
        return Layout(
            width=width,
            waves=waves,
            cells=prompt + width * max_tokens,
            cache_type=cache_type,
            notes=tuple(notes),
        )

    def rounded(self, layout: Layout, *, most_sequences: int, limit: int | None) -> tuple[int, int]:
        """Cells and sequences for a cache that holds `layout` and, within `limit`, similar calls after it."""
        sequences = min(most_sequences, -(-layout.width // _SEQUENCE_STEP) * _SEQUENCE_STEP + 1)
        cells = -(-layout.cells // _CELL_STEP) * _CELL_STEP
        if limit is not None and self.total(cells, sequences, layout.cache_type) > limit:
            return layout.cells, layout.width + 1
        return cells, sequences

    def _width(self, prompt: int, max_tokens: int, most: int, limit: int | None, cache_type: CacheType) -> int:
        if limit is None:
            return most
        free = limit - self.total(prompt, 1, cache_type)
        return min(most, free // (max_tokens * self.cell(cache_type) + self.sequence)) if free > 0 else 0
