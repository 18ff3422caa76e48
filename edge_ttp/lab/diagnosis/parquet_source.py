"""Scored pools as Parquet: a file, or a folder of them, read in batches of columns."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_ttp.errors import ExtraMissing, InvalidInput

ENDING = ".parquet"
BATCH = 65_536
"""Rows read at once."""


@dataclass(frozen=True)
class ParquetSource:
    """Rows that can be read more than once, numbered from 1 through all files."""

    name: str
    """For messages."""
    files: tuple[Path, ...]

    @classmethod
    def of(cls, argument: str) -> ParquetSource:
        """The file, or the files of the folder in the order of their names. Raises InvalidInput."""
        path = Path(argument)
        files = tuple(sorted(path.glob(f"*{ENDING}"))) if path.is_dir() else (path,)
        if not files or not all(file.is_file() for file in files):
            raise InvalidInput(f"there is no Parquet file {argument}", "give one, or a folder of them")
        return cls(argument, files)

    @property
    def size(self) -> int:
        """Bytes to read, as stored."""
        return sum(file.stat().st_size for file in self.files)

    def batches(self, columns: set[str]) -> Iterator[tuple[int, Any, float]]:
        """(rows before it, a batch of those of the columns that there are, bytes read so far).

        Raises InvalidInput for a file that is damaged or none.
        """
        pyarrow, parquet = _arrow()
        before, done = 0, 0.0
        try:
            for file in self.files:
                with parquet.ParquetFile(file, memory_map=False, pre_buffer=False) as opened:
                    each = file.stat().st_size / max(opened.metadata.num_rows, 1)
                    wanted = [name for name in opened.schema_arrow.names if name in columns]
                    for batch in opened.iter_batches(BATCH, columns=wanted, use_threads=False):
                        yield before, batch, done
                        before += batch.num_rows
                        done += batch.num_rows * each
        except (OSError, pyarrow.ArrowException) as error:
            raise InvalidInput(f"{self.name} cannot be read: {str(error)[:200]}", "write it anew") from error

    def lines(self) -> Iterator[tuple[int, bytes | None, int]]:
        """The rows as lines of JSON, as a LineSource has them: (number from 1, line, bytes read so far)."""
        columns = {"user_id", "query_id", "order", "created_at", "input", "text", "tokens", "logprob"}
        for before, batch, done in self.batches(columns):
            for place, row in enumerate(batch.to_pylist(), 1):
                told = {name: value for name, value in row.items() if value is not None}
                yield before + place, json.dumps(told, default=str).encode(), int(done)

    def texts(self, lines: set[int]) -> dict[int, str]:
        """The `text` of each of these rows that has one."""
        found: dict[int, str] = {}
        last = max(lines, default=0)
        for before, batch, _ in self.batches({"text"}) if last else ():
            if before >= last or not batch.num_columns:
                break
            for line in sorted(one for one in lines if before < one <= before + batch.num_rows):
                text = batch.column(0)[line - before - 1].as_py()
                if isinstance(text, str):
                    found[line] = text
        return found


def is_parquet(argument: str) -> bool:
    """Whether a command's argument names columns."""
    return argument.endswith((ENDING, f"{ENDING}/"))


def _arrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ModuleNotFoundError as missing:
        raise ExtraMissing("Parquet needs pyarrow", "install the extra: pip install 'edge-ttp[scale]'") from missing
    return pyarrow, pyarrow.parquet
