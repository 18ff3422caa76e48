"""Pools as Parquet: a folder of shards, and one file with the fingerprints of all that they were made from.

    pools.parquet/
      fingerprints.json         how the pools were made, the SHA-256 of their texts and policy, and of every shard
      pools-00000.parquet ...   SHARD pools each, a row a pool
      pools-00002.jsonl.zst     the shard that is being filled: an interrupted run loses at most one pool

A shard appears whole or not at all. What is being filled is a pool file like any other (pool_file.py).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

from edge_ttp.errors import InvalidInput
from edge_ttp.system.output_file import output_file, prepared_output, refuse_kept, unwritable
from edge_ttp_export.parquet import arrow, is_parquet, rows_of
from edge_ttp_export.pool_file import FORMAT, PoolFile, read_pool_file
from edge_ttp_export.text_files import file_sha256

SHARD = 256
"""Pools of a shard."""
FINGERPRINTS = "fingerprints.json"
_CURE = "give a file or folder made by `edge-ttp export pools`"
_COLUMNS = ["user_id", "order", "part", "examples", "candidates", "utility", "chrf"]


class OpenPools(Protocol):
    """Pools that can be added to, in a file or in a folder."""

    keys: set[tuple[str, int]]
    """(user_id, order) of every pool in it."""

    def write(self, record: dict[str, Any]) -> None:
        """Adds one pool and makes it durable."""


def checked_pools(out: Path) -> None:
    """Makes sure that pools can be written to `out`, and makes its folder. Raises InvalidInput."""
    if not is_parquet(out):
        prepared_output(out, force=True)
        return
    arrow()
    try:
        refuse_kept(out, Path(os.path.realpath(out)), None)
        if out.exists() and not (out.is_dir() and ((out / FINGERPRINTS).exists() or not any(out.iterdir()))):
            raise InvalidInput(f"{out} is there, and is no folder of pools", "name another --out")
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(out, error) from error


def append_pools(out: Path, header: dict[str, Any]) -> AbstractContextManager[OpenPools]:
    """The pools at `out` to add to, made with `header` where there are none.

    Raises InvalidInput where they were made in another way, or where a shard is not what its fingerprint says.
    """
    return PoolFolder.append(out, header) if is_parquet(out) else PoolFile.append(out, header)


def read_pools(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Header and pools of a file or a folder. Raises InvalidInput for one that is missing, altered or holds none."""
    if not path.is_dir():
        return read_pool_file(path)
    told = _told(path)
    records: list[dict[str, Any]] = []
    for shard in _sound_shards(path, told):
        records += rows_of(shard, _COLUMNS, _CURE)
    filling = _filling(path, len(told["shards"]))
    if filling.exists():
        records += read_pool_file(filling)[1]
    if not records:
        raise InvalidInput(f"{path} holds no pools", _CURE)
    return {"format": FORMAT, **told["made"]}, records


def fingerprint(path: Path) -> str:
    """The SHA-256 of a file of pools, or of a folder's fingerprints."""
    return file_sha256(path / FINGERPRINTS if path.is_dir() else path)


class PoolFolder:
    """A folder of shards open for appending. `keys` holds (user_id, order) of every pool in it."""

    def __init__(self, folder: Path, fingerprints: dict[str, Any], keys: set[tuple[str, int]]) -> None:
        self._folder, self._told, self.keys = folder, fingerprints, keys
        self._stack, self._records = ExitStack(), list[dict[str, Any]]()

    @classmethod
    @contextmanager
    def append(cls, folder: Path, header: dict[str, Any]) -> Iterator[PoolFolder]:
        """The folder to add to. What is being filled is made a shard when the block ends without an error."""
        header = json.loads(json.dumps(header))
        if not (folder / FINGERPRINTS).exists():
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700)
            _tell(folder, {"format": FORMAT, "made": header, "shards": {}})
        fingerprints = _told(folder)
        if fingerprints["made"] != header:
            made = fingerprints["made"]
            differing = sorted(key for key in {*made, *header} if made.get(key) != header.get(key))
            raise InvalidInput(f"{folder} was made with another {', '.join(differing)}", "choose another --out")
        keys = {
            (str(row["user_id"]), int(row["order"]))
            for shard in _sound_shards(folder, fingerprints)
            for row in rows_of(shard, ["user_id", "order"], _CURE)
        }
        for old in folder.glob("pools-*.jsonl.zst"):
            if old != _filling(folder, len(fingerprints["shards"])):
                old.unlink()  # its shard was told of before a stop kept it from going
        pools = cls(folder, fingerprints, keys)
        with pools._stack:
            pools._fill()
            yield pools
            if pools._records:
                pools._seal()

    def write(self, record: dict[str, Any]) -> None:
        """Adds one pool and makes it durable."""
        self._file.write(record)
        self._records.append(record)
        self.keys.add((str(record["user_id"]), int(record["order"])))
        if len(self._records) >= SHARD:
            self._seal()
            self._fill()

    def _fill(self) -> None:
        """Opens the next shard, with what is in it already."""
        path = _filling(self._folder, len(self._told["shards"]))
        self._file = self._stack.enter_context(PoolFile.append(path, self._told["made"]))
        self._records = read_pool_file(path)[1]
        self.keys |= self._file.keys

    def _seal(self) -> None:
        """Makes the shard that was filled a Parquet file."""
        pyarrow, parquet = arrow()
        number = len(self._told["shards"])
        shard = self._folder / f"pools-{number:05}.parquet"
        with output_file(shard, force=True) as stream:
            parquet.write_table(pyarrow.Table.from_pylist(self._records, _schema(pyarrow)), stream, compression="zstd")
        self._told["shards"][shard.name] = {"sha256": file_sha256(shard), "pools": len(self._records)}
        _tell(self._folder, self._told)
        self._stack.close()
        _filling(self._folder, number).unlink()
        self._records = []


def _schema(pyarrow: Any) -> Any:
    candidate = {
        "text": pyarrow.string(),
        "tokens": pyarrow.int32(),
        "logprob": pyarrow.float64(),
        "finish_reason": pyarrow.string(),
    }
    kinds = {
        "user_id": pyarrow.string(),
        "order": pyarrow.int64(),
        "part": pyarrow.string(),
        "examples": pyarrow.int32(),
        "candidates": pyarrow.list_(pyarrow.struct(candidate.items())),
        "utility": pyarrow.list_(pyarrow.float64()),
        "chrf": pyarrow.list_(pyarrow.float64()),
    }
    return pyarrow.schema([(name, kinds[name]) for name in _COLUMNS])


def _filling(folder: Path, number: int) -> Path:
    return folder / f"pools-{number:05}.jsonl.zst"


def _told(folder: Path) -> dict[str, Any]:
    try:
        told = json.loads((folder / FINGERPRINTS).read_text(encoding="utf-8"))
        sound = told["format"] == FORMAT and isinstance(told["made"], dict) and isinstance(told["shards"], dict)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidInput(f"{folder} has no {FINGERPRINTS} that can be read", _CURE) from error
    if not sound:
        raise InvalidInput(f"{folder} is no folder of pools of format {FORMAT}", _CURE)
    return dict(told)


def _tell(folder: Path, fingerprints: dict[str, Any]) -> None:
    with output_file(folder / FINGERPRINTS, force=True) as stream:
        stream.write(json.dumps(fingerprints, ensure_ascii=False, indent=1).encode() + b"\n")


def _sound_shards(folder: Path, fingerprints: dict[str, Any]) -> Iterator[Path]:
    """The shards in their order, each what its fingerprint says."""
    for number, (name, one) in enumerate(fingerprints["shards"].items()):
        shard = folder / name
        if name != f"pools-{number:05}.parquet" or not shard.is_file():
            raise InvalidInput(f"{folder} lacks its shard {name[:40]}", "copy the folder again")
        if file_sha256(shard) != one.get("sha256"):
            raise InvalidInput(f"{shard} is not what its fingerprint says", "copy it again")
        yield shard
