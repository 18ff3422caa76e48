"""What recalled examples add to an answer, for users of short and of long texts: what the planner reckons with.

The tables are what `edge-ttp bench recall` prints of tune users (docs/measured/answers.md says how they are made).
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

import numpy as np

LONG_TEXTS = 32
"""Users whose median text has more tokens write long texts."""

Table = tuple[tuple[int, float], ...]

SHORT: Table = ((0, 0.0), (1, 0.14), (2, 0.14), (4, 0.17), (8, 0.31))
LONG: Table = ((0, 0.0), (1, 0.14), (2, 0.14), (4, 0.17), (8, 0.29))
"""Examples, and what so many add to every candidate, in units of the utility's spread within a pool. As much for more
than the last number."""


def writes_long(lengths: Sequence[int]) -> bool:
    """Whether texts of these lengths, in tokens, are long ones. Nothing known: they are not."""
    return bool(lengths) and median(lengths) > LONG_TEXTS


def worth(examples: int, *, long: bool) -> float:
    """What `examples` add to every candidate of a user of long or of short texts, in units of the utility's spread."""
    counts, adds = zip(*(LONG if long else SHORT), strict=True)
    return float(np.interp(examples, counts, adds))
