"""llama_decode and nothing else: the calls of one request again, to time what the engine adds between them."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_ttp.errors import OutOfCapacity
from edge_ttp.policy.bindings.context import Context
from edge_ttp.policy.bindings.library import llama_cpp


@dataclass(frozen=True)
class Step:
    """One decode call, and the sequences that are dropped before it."""

    tokens: tuple[int, ...]
    position: int
    """The same for all rows: a step appends one token to every sequence."""
    members: tuple[tuple[int, ...], ...]
    """Sequences of each row."""
    drops: tuple[int, ...] = ()


def replay(context: Context, sequences: Sequence[int], steps: Sequence[Step]) -> float:
    """Seconds that llama_decode takes for `steps` after the prompt in sequence 0, each over a batch made beforehand.

    `sequences` are forked before and dropped after it, untimed. Raises OutOfCapacity where llama.cpp finds no room.
    """
    handle, memory = context.handle, llama_cpp.llama_get_memory(context.handle)
    batches = [_batch(step) for step in steps]
    context.fork(sequences)
    seconds = 0.0
    try:
        for step, (batch, _) in zip(steps, batches, strict=True):
            for sequence in step.drops:
                llama_cpp.llama_memory_seq_rm(memory, sequence, -1, -1)
            started = time.perf_counter()
            code = llama_cpp.llama_decode(handle, batch)
            llama_cpp.llama_get_logits_ith(handle, 0)  # waits for a GPU
            seconds += time.perf_counter() - started
            if code != 0:
                raise OutOfCapacity(f"llama_decode returned {code} for {len(step.tokens)} rows", "measure fewer")
    finally:
        for sequence in sequences:
            context.drop(sequence)
    return seconds


def _batch(step: Step) -> tuple[Any, list[Any]]:
    """The llama_batch of a step, and the arrays that it points into."""
    counts = np.array([len(row) for row in step.members], dtype=np.int32)
    owners = np.array([sequence for row in step.members for sequence in row], dtype=np.int32)
    starts = owners.ctypes.data + (np.cumsum(counts) - counts) * owners.itemsize
    arrays: dict[str, npt.NDArray[Any]] = {
        "token": np.array(step.tokens, dtype=np.int32),
        "pos": np.full(len(counts), step.position, dtype=np.int32),
        "n_seq_id": counts,
        "seq_id": starts.astype(np.uintp),
        "logits": np.ones(len(counts), dtype=np.int8),
    }
    batch = llama_cpp.llama_batch()
    batch.n_tokens = len(counts)
    for name, array in arrays.items():
        setattr(batch, name, ctypes.cast(ctypes.c_void_p(array.ctypes.data), type(getattr(batch, name))))
    return batch, [owners, *arrays.values()]
