"""Time and memory that `edge-ttp diagnose` takes over a large file: the whole command, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_ttp.errors import EdgeTTPError, ExtraMissing
from edge_ttp.lab.bench.simulation import SETTINGS, simulate

SIZE, QUERIES = 16, 10
"""Candidates of a query, and queries of a user."""

MORE: tuple[str, ...] = ()
"""Further arguments of the command."""

_AT_ONCE = 50
"""Users that are written together."""

_COLUMNS_AT_ONCE = 2000
"""The same in Parquet."""

_TEXT = "a candidate of a usual length, some sixty characters long"


@dataclass(frozen=True)
class Taken:
    """What one run took."""

    rows: int
    file_bytes: int
    seconds: float
    peak_bytes: int
    """Largest resident memory of the process."""


def measure(rows: int, advance: Callable[[float], None], *, parquet: bool = False) -> Taken:
    """Writes a file of at least `rows` simulated candidates and diagnoses it. `advance` gets the rows written.

    Raises EdgeTTPError where the command fails.
    """
    with tempfile.TemporaryDirectory(prefix="edge-ttp-bench-") as folder:
        path = Path(folder) / ("pools.parquet" if parquet else "pools.jsonl")
        written = (write_parquet if parquet else write)(path, rows, advance)
        start = time.perf_counter()
        with path.with_suffix(".told").open("w+") as told:
            command = [sys.executable, "-m", "edge_ttp", "diagnose", str(path), "--json", *MORE]
            running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=told)
            _, status, used = os.wait4(running.pid, 0)  # of this child alone
            running.returncode = os.waitstatus_to_exitcode(status)
            seconds = time.perf_counter() - start
            if running.returncode != 0:
                told.seek(0)
                raise EdgeTTPError(f"diagnose ended with {running.returncode}: {told.read()[-300:]}")
        peak = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
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
                    "text": _TEXT + "." * (place % 7),
                }
                file.write(json.dumps(row) + "\n")
            written += len(pools.utility)
            user += _AT_ONCE
            advance(written)
    return written


def write_parquet(path: Path, rows: int, advance: Callable[[float], None]) -> int:
    """The same as columns, a user's rows together. Raises ExtraMissing where pyarrow is not installed."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ModuleNotFoundError as missing:
        raise ExtraMissing("Parquet needs pyarrow", "install the extra: pip install 'edge-ttp[scale]'") from missing
    rng = np.random.default_rng(0)
    setting = next(one for one in SETTINGS if one.name == "sign-flipped group")
    texts = pyarrow.array([_TEXT + "." * place for place in range(7)])
    queries = pyarrow.array([f"query {place}" for place in range(QUERIES)])
    written = user = 0
    writer = None
    try:
        while written < rows:
            pools = simulate(setting, "skewed", SIZE, rng, users=_COLUMNS_AT_ONCE, queries=QUERIES)
            count = len(pools.utility)
            place = np.arange(count)
            names = pyarrow.array([f"user {user + one}" for one in range(_COLUMNS_AT_ONCE)])
            table = pyarrow.table(
                {
                    "user_id": names.take(pyarrow.array(pools.user[place // SIZE])),
                    "query_id": queries.take(pyarrow.array(place // SIZE % QUERIES)),
                    "utility": pools.utility,
                    "score": pools.score,
                    "variance": 0.01 + np.abs(pools.score) / 100,
                    "text": texts.take(pyarrow.array(place % 7)),
                }
            )
            writer = writer or pyarrow.parquet.ParquetWriter(path, table.schema, compression="zstd")
            writer.write_table(table, row_group_size=2**17)
            written += count
            user += _COLUMNS_AT_ONCE
            advance(written)
    finally:
        if writer is not None:
            writer.close()
    return written
