"""pyarrow, where a file of columns is read or written: imported then, and missed with a cure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edge_ttp.errors import ExtraMissing, InvalidInput

ENDING = ".parquet"


def is_parquet(path: Path) -> bool:
    """Whether a file or folder of this name holds columns."""
    return path.suffix == ENDING


def arrow() -> tuple[Any, Any]:
    """pyarrow and pyarrow.parquet. Raises ExtraMissing, with the cure, where they are not installed."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ModuleNotFoundError as missing:
        raise ExtraMissing("Parquet needs pyarrow", "install the extra: pip install 'edge-ttp[scale]'") from missing
    return pyarrow, pyarrow.parquet


def rows_of(path: Path, columns: list[str], cure: str, batch: int = 8192) -> Any:
    """The rows of a Parquet file as dictionaries, read in batches. Raises InvalidInput with `cure`."""
    pyarrow, parquet = arrow()
    try:
        with parquet.ParquetFile(path) as file:
            lacking = [name for name in columns if name not in file.schema_arrow.names]
            if lacking:
                raise InvalidInput(f"{path} has no column {', '.join(lacking)}", cure)
            for part in file.iter_batches(batch, columns=columns):
                yield from part.to_pylist()
    except (OSError, pyarrow.ArrowException) as error:
        raise InvalidInput(f"{path} cannot be read: {str(error)[:200]}", cure) from error
