"""Batches of a Parquet file as the columns that a diagnosis reads, with what is wrong in each row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]

LARGEST = 1e100
"""Numbers from here on are out of range."""


@dataclass(frozen=True)
class Names:
    """A column of ids."""

    known: list[str | None]
    """The different ids of the batch; None for a row without one."""
    code: Ints
    """(rows,) places in `known`."""


class RowBatch:
    """One batch. A null is what a missing key is in JSON: the row does not have it."""

    def __init__(self, batch: Any) -> None:
        self._batch = batch
        self.rows = int(batch.num_rows)
        self.usable: Booleans = np.ones(self.rows, dtype=np.bool_)
        self.wrong: list[tuple[str, Booleans]] = []
        """Reasons, and the rows that are unusable for them; each row stands under its first."""

    def refuse(self, reason: str, rows: Booleans) -> None:
        """Notes that these rows cannot be used, where nothing was wrong with them before."""
        rows = rows & self.usable
        if rows.any():
            self.wrong.append((reason, rows))
            self.usable &= ~rows

    def numbers(self, name: str | None) -> Floats:
        """(rows,) the column's finite numbers, nan where a row has none."""
        import pyarrow

        nothing = np.full(self.rows, np.nan)
        if name is None or name not in self._batch.schema.names:
            return nothing
        column = self._batch.column(name)
        present = ~column.is_null().to_numpy(zero_copy_only=False)
        kinds = pyarrow.types
        if not (kinds.is_integer(column.type) or kinds.is_floating(column.type) or kinds.is_null(column.type)):
            self.refuse(f"{name} is no number", present)
            return nothing
        values: Floats = column.cast(pyarrow.float64()).to_numpy(zero_copy_only=False).astype(np.float64)
        self.refuse(f"{name} is NaN", np.isnan(values) & present)
        self.refuse(f"{name} is infinite or out of range", ~np.isnan(values) & ~(np.abs(values) < LARGEST))
        return values

    def names(self, name: str, longest: int) -> Names:
        """The column's ids: texts or whole numbers."""
        import pyarrow

        if name not in self._batch.schema.names:
            return Names([None], np.zeros(self.rows, dtype=np.int64))
        column = self._batch.column(name)
        kinds = pyarrow.types
        if kinds.is_dictionary(column.type):
            column = column.dictionary_decode()
        if kinds.is_integer(column.type) or kinds.is_null(column.type):
            column = column.cast(pyarrow.string())
        if not (kinds.is_string(column.type) or kinds.is_large_string(column.type)):
            self.refuse(f"{name} is neither a text nor a whole number", np.ones(self.rows, dtype=np.bool_))
            return Names([None], np.zeros(self.rows, dtype=np.int64))
        encoded = column.dictionary_encode()
        known: list[str | None] = encoded.dictionary.to_pylist()
        code = encoded.indices.fill_null(len(known)).to_numpy(zero_copy_only=False).astype(np.int64)
        bad = np.array([one is not None and not 0 < len(one) <= longest for one in [*known, None]])
        self.refuse(f"{name} is empty or longer than {longest} characters", bad[code])
        return Names([*known, None], code)

    def characters(self) -> Floats:
        """(rows,) lengths of the texts, nan where a row has none."""
        import pyarrow
        import pyarrow.compute

        if "text" not in self._batch.schema.names:
            return np.full(self.rows, np.nan)
        column = self._batch.column("text")
        if pyarrow.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        if not (pyarrow.types.is_string(column.type) or pyarrow.types.is_large_string(column.type)):
            return np.full(self.rows, np.nan)
        length = pyarrow.compute.utf8_length(column).cast(pyarrow.float64())
        return np.asarray(length.to_numpy(zero_copy_only=False), dtype=np.float64)

    @property
    def columns(self) -> list[str]:
        """Names of the columns that were read."""
        return list(self._batch.schema.names)
