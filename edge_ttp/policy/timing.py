"""What a policy's steps take on this device, timed step by step so that requests may come between."""

from __future__ import annotations

import time
from collections.abc import Sequence

from edge_ttp.budget.timed import CHUNK, Timed
from edge_ttp.errors import Cancelled
from edge_ttp.policy.bindings import Context
from edge_ttp.policy.job import Flag, Steps

_QUICK_ROWS = (1, 2, 8, 16)
_THOROUGH_ROWS = (1, 2, 4, 8, 16, 32)
_THOROUGH_PROMPT = 1024
_SMALL = 16  # tokens of the smallest chunk timed


def extent(context: int, *, thorough: bool) -> tuple[tuple[int, ...], int]:
    """The widths of the steps that are timed, and the tokens of the longest prompt, for a model of this `context`."""
    longest = _THOROUGH_PROMPT if thorough else 2 * CHUNK
    return _THOROUGH_ROWS if thorough else _QUICK_ROWS, min(longest, context // 2 // CHUNK * CHUNK)


def measuring(
    context: Context, filler: list[int], prompt: int, rows: Sequence[int], *, threads: int, stop: Flag
) -> Steps[Timed]:
    """Times reading a prompt of so many tokens, and decode steps of these widths. The cache is empty afterwards.

    Raises Cancelled where `stop` is set.
    """
    chunks: list[tuple[int, int, float]] = []
    steps: list[tuple[int, int, float]] = []
    context.prefill(filler[:CHUNK], 0, want_logits=True)  # caches warm up
    context.clear()
    for start in range(0, prompt, CHUNK):
        chunks.append((CHUNK, start, _reading(context, filler[:CHUNK], start)))
        end = start + CHUNK
        if end in (2 * CHUNK, prompt):
            steps += yield from _drawing(context, filler, end, [n for n in rows if n < context.sequences], stop)
        yield from _rest(stop)
    context.truncate(CHUNK)
    chunks.append((_SMALL, CHUNK, _reading(context, filler[:_SMALL], CHUNK)))
    context.clear()
    return Timed(threads, tuple(chunks), tuple(steps))


def _reading(context: Context, tokens: list[int], start: int) -> float:
    """Seconds that a chunk takes."""
    started = time.perf_counter()
    context.prefill(tokens, start, want_logits=True)
    return time.perf_counter() - started


def _drawing(
    context: Context, filler: list[int], position: int, widths: Sequence[int], stop: Flag
) -> Steps[list[tuple[int, int, float]]]:
    """Decode steps of these widths behind a prompt: (rows, cells, the quicker of two seconds)."""
    steps = []
    for rows in widths:
        sequences = range(1, rows + 1)
        context.fork(sequences)
        taken = []
        for at in range(position, position + 2):
            started = time.perf_counter()
            context.step(filler[:rows], [at] * rows, [[sequence] for sequence in sequences])
            taken.append(time.perf_counter() - started)
        for sequence in sequences:
            context.drop(sequence)
        steps.append((rows, position + rows, min(taken)))
        yield from _rest(stop)
    return steps


def _rest(stop: Flag) -> Steps[None]:
    """Lets requests come between."""
    yield None
    if stop.is_set():
        raise Cancelled("cancelled while the device was measured")
