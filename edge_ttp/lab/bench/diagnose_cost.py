"""Time and memory that `edge-ttp diagnose` takes over a large file: the whole command, in a process of its own."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_ttp.errors import EdgeTTPError
from edge_ttp.lab.bench.simulation import SETTINGS, simulate

SIZE, QUERIES = 16, 10
"""Candidates of a query, and queries of a user."""

_AT_ONCE = 50
"""Users that are written together."""


@dataclass(frozen=True)
class Taken:
    """What one run took."""

    rows: int
    file_bytes: int
    seconds: float
    peak_bytes: int
    """Largest resident memory of the process."""


def measure(rows: int, advance: Callable[[float], None]) -> Taken:
    """Writes a file of at least `rows` simulated candidates and diagnoses it. `advance` gets the rows written.

    Raises EdgeTTPError where the command fails.
    """
    with tempfile.TemporaryDirectory(prefix="edge-ttp-bench-") as folder:
        path = Path(folder) / "pools.jsonl"
        written = write(path, rows, advance)
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "edge_ttp", "diagnose", str(path), "--json"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        seconds = time.perf_counter() - start
        if done.returncode != 0:
            raise EdgeTTPError(f"diagnose ended with {done.returncode}: {done.stderr[-300:]}")
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        return Taken(written, path.stat().st_size, seconds, peak)


def write(path: Path, rows: int, advance: Callable[[float], None]) -> int:
    """Writes simulated candidates with texts and variances, whole users, and returns how many."""
    rng = np.random.default_rng(0)
    setting = next(one for one in SETTINGS if one.name == "sign-flipped group")
    written = user = 0
    with path.open("w", encoding="utf-8") as file:
        while written < rows:
            pools = simulate(setting, "skewed", SIZE, rng, users=_AT_ONCE, queries=QUERIES)
            for place, (utility, score) in enumerate(zip(pools.utility.tolist(), pools.score.tolist(), strict=True)):
                query = place // SIZE
                row = {
                    "user_id": f"user {user + int(pools.user[query])}",
                    "query_id": f"query {query % QUERIES}",
                    "utility": utility,
                    "score": score,
                    "variance": 0.01 + abs(score) / 100,
                    "text": "a candidate of a usual length, some sixty characters long" + "." * (place % 7),
                }
                file.write(json.dumps(row) + "\n")
            written += len(pools.utility)
            user += _AT_ONCE
            advance(written)
    return written
