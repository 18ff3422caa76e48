"""In which pieces a prompt is read, and how much of one that was read can stand for another. Pure arithmetic.

Logits must not depend on what a cache held before: a recorded seed replays the same candidates whatever ran earlier.
llama.cpp computes rows in groups, and which group a row falls into decides how it is rounded. So pieces begin at
multiples of a decoder's grain, and none is smaller: every token is then computed in the same place of its group,
whether the tokens before it were read just now or long ago.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

Tokens = npt.NDArray[np.int32]

GRAIN = 8
"""Tokens to which reuse is exact where rows are computed apart from one another: the largest group of rows that
llama.cpp's kernels of any format take together. Measured to the bit on Q4_0, Q4_1, Q4_K, Q8_0 and F16."""


def alike(first: Sequence[int] | Tokens, second: Sequence[int] | Tokens) -> int:
    """How many tokens both begin with."""
    count = min(len(first), len(second))
    differ = np.flatnonzero(np.asarray(first[:count]) != np.asarray(second[:count]))
    return int(differ[0]) if len(differ) else count


def reusable(shared: int, length: int, *, grain: int, chunk: int) -> int:
    """Tokens that a prompt of `length` need not be read again for, of which `shared` were read before.

    The last piece is always read, since its logits are wanted.
    """
    kept = min(shared, length - _least(grain, chunk))
    return max(0, kept - kept % grain)


def pieces(start: int, end: int, *, grain: int, chunk: int) -> Iterator[tuple[int, int]]:
    """First and last token (exclusive) of every piece of a prompt from `start`, a multiple of the grain, to `end`."""
    least = _least(grain, chunk)
    while start < end:
        stop = min(end, start + chunk)
        if 0 < end - stop < least:
            stop -= grain
        yield start, stop
        start = stop


def _least(grain: int, chunk: int) -> int:
    """Fewest tokens of a last piece. A decoder that reads in whole chunks alone leaves whatever is left over."""
    return grain if grain < chunk else 1
