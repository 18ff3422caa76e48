"""Times llama.cpp under one setting, in a process of its own: some settings are read while a library loads.

python -m edge_ttp.lab.bench.engine_rounds '{"path": "x.gguf", "threads": 2, ...}'

A line on stdin asks for one round, whose seconds are answered in a line of JSON. Ends when stdin closes.
"""

from __future__ import annotations

import json
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_ttp.policy.bindings import Context, Model
from edge_ttp.policy.bindings.threadpool import pool_of
from edge_ttp.policy.memory import CacheType


@dataclass(frozen=True)
class Trying:
    """One setting, and what is timed."""

    path: str
    threads: int
    prompt: int
    """Tokens read."""
    rows: tuple[int, ...]
    """Widths of the decode steps."""
    steps: int
    """Decode steps of each width."""
    chunk: int = 128
    """Tokens computed at once while reading: n_batch and n_ubatch."""
    cache_type: CacheType = "f16"
    flash_attention: bool | None = None
    """None: as the engine has it."""
    poll: int | None = None
    """A thread pool of ggml's own that spins so long, 0 to 100."""
    gpu_layers: int = 0


def seconds(context: Context, filler: list[int], asked: Trying) -> dict[str, float]:
    """One round: seconds of reading the prompt (`read`), and of one decode step of each width, by its rows."""
    context.clear()
    began = time.perf_counter()
    for start in range(0, asked.prompt, asked.chunk):
        end = min(asked.prompt, start + asked.chunk)
        context.prefill(filler[start:end], start, want_logits=end == asked.prompt)
    found = {"read": time.perf_counter() - began}
    for rows in asked.rows:
        sequences = range(1, rows + 1)
        context.fork(sequences)
        began = time.perf_counter()
        for at in range(asked.steps):
            context.step(filler[at : at + rows], [asked.prompt + at] * rows, [[one] for one in sequences])
        found[str(rows)] = (time.perf_counter() - began) / asked.steps
        for one in sequences:
            context.drop(one)
    return found


def main(given: str) -> None:
    """Answers until stdin closes."""
    values: dict[str, Any] = json.loads(given)
    asked = Trying(**{**values, "rows": tuple(values["rows"])})
    model = Model(Path(asked.path), gpu_layers=asked.gpu_layers)
    widest = max(asked.rows)
    cells = asked.prompt + widest * (asked.steps + 1)
    context = Context(
        model,
        cells=-(-cells // 256) * 256,
        sequences=widest + 1,
        chunk=asked.chunk,
        threads=asked.threads,
        cache_type=asked.cache_type,
        flash_attention=asked.flash_attention,
    )
    words = model.tokenize("Sand runs through the glass while the boats come home. ", control=False) or [0]
    filler = (words * (asked.prompt // len(words) + widest + asked.steps + 1))[: asked.prompt + widest + asked.steps]
    with ExitStack() as open_now:
        if asked.poll is not None:
            open_now.enter_context(pool_of(context, threads=asked.threads, poll=asked.poll))
        seconds(context, filler, asked)  # memory is touched for the first time
        print(json.dumps({"ready": True}), flush=True)
        for _ in sys.stdin:
            print(json.dumps(seconds(context, filler, asked)), flush=True)
    context.close()
    model.close()


if __name__ == "__main__":
    main(sys.argv[1])
