"""Pools as rows of candidates, the form that `edge-ttp diagnose` reads: JSON lines, or Parquet."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zstandard

from edge_ttp.errors import InvalidInput
from edge_ttp.reward.model import RewardModel
from edge_ttp.schema import Candidate
from edge_ttp.system.output_file import output_file, prepared_output
from edge_ttp_export.examples import TaskFile
from edge_ttp_export.parquet import arrow, is_parquet
from edge_ttp_export.places.in_order import Here, TaskPlace
from edge_ttp_export.pool_shards import read_pools
from edge_ttp_export.text_files import Item, file_sha256, read_items
from edge_ttp_export.user_split import part_of

Row = dict[str, Any]
_AT_ONCE = 65_536
"""Rows of Parquet that are written together."""
_KINDS = {
    "user_id": "string", "query_id": "string", "order": "int64", "policy": "string", "input": "string",
    "text": "string", "tokens": "int32", "logprob": "float64", "utility": "float64", "score": "float64",
    "variance": "float64", "epistemic": "float64",
}  # fmt: skip
"""Columns of Parquet; which of them a row has depends on whether it is scored."""
_TEXTS = ("user_id", "query_id", "order", "input", "text", "tokens", "logprob", "utility")
_SCORES = ("user_id", "query_id", "policy", "tokens", "logprob", "utility", "score", "variance", "epistemic")


@dataclass(frozen=True)
class UserPools:
    """One user's pools in one file, with what the user wrote."""

    task: str
    policy: str
    """How the SHA-256 of what drew them begins."""
    items: tuple[Item, ...]
    records: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class RowMaker:
    """Makes what turns pools into rows where it is to work."""

    reward: Path | None
    """Folder of the reward model that scores; None leaves the texts instead."""
    threads: int | None = None

    def __call__(self) -> TextRows | ScoredRows:
        """It, the model loaded."""
        return TextRows() if self.reward is None else ScoredRows(RewardModel.load(self.reward, threads=self.threads))


class TextRows:
    """Rows with the candidates' texts."""

    def __call__(self, pools: UserPools) -> list[Row]:
        """A row for each candidate; the first of each query has what was asked."""
        asked = {item.order: item.input for item in pools.items}
        rows = []
        for record in pools.records:
            order = record["order"]
            query = {"user_id": record["user_id"], "query_id": f"{pools.task}/{order}", "order": order}
            for place, (drawn, utility) in enumerate(zip(record["candidates"], record["utility"], strict=True)):
                first = {"input": asked[order]} if place == 0 else {}
                told = {name: drawn[name] for name in ("text", "tokens", "logprob")}
                rows.append({**query, **first, **told, "utility": utility})
        return rows

    def close(self) -> None:
        """Nothing is held."""


class ScoredRows:
    """Rows with each candidate's score, variance and epistemic variance, without its text."""

    def __init__(self, reward: RewardModel) -> None:
        self._reward = reward

    def __call__(self, pools: UserPools) -> list[Row]:
        """A row for each candidate."""
        (user,) = {item.user_id for item in pools.items}
        task = TaskFile(pools.task, {user: list(pools.items)}, self._reward.salience)
        places = {item.order: place for place, item in enumerate(pools.items)}
        rows = []
        for record in pools.records:
            drawn = [
                Candidate(text=one["text"], tokens=int(one["tokens"]), logprob=float(one["logprob"]))
                for one in record["candidates"]
            ]
            pool = task.pool(user, places[record["order"]], drawn, record["chrf"])
            scores = self._reward.score(pool.profile, pool.source, pool.encoded)
            query = {"user_id": user, "query_id": f"{pools.task}/{pool.place}", "policy": pools.policy}
            rows += [
                {
                    **query,
                    "tokens": one.tokens,
                    "logprob": one.logprob,
                    "utility": float(pool.utility[place]),
                    "score": float(scores.mean[place]),
                    "variance": float(scores.variance[place]),
                    "epistemic": float(scores.epistemic[place]),
                }
                for place, one in enumerate(drawn)
            ]
        return rows

    def close(self) -> None:
        """The model goes with it."""


def write_rows(
    files: Sequence[Path],
    data: Sequence[Path],
    out: Path,
    part: str | None,
    *,
    reward: Path | None = None,
    report: Callable[[str], None] = lambda _: None,
    place: TaskPlace | None = None,
    threads: int | None = None,
    force: bool = False,
) -> int:
    """Writes a row per candidate, a user's together, and returns how many. `part`: only users of this part.

    With the texts; or, with the folder of a `reward` model, with its scores and without them. `out` is .jsonl.zst or
    .parquet. `place`: where rows are made, this process by default; they are the same wherever. Raises InvalidInput
    where the texts that a file was made from are not among `data`, or where there are no rows.
    """
    prepared_output(out, force=force)
    if is_parquet(out):
        arrow()
    count = 0
    with _writer(out, _TEXTS if reward is None else _SCORES, force=force) as write:
        rows = (place or Here()).run(RowMaker(reward, threads), _by_user(files, data, part, report))
        with closing(rows):  # type: ignore[type-var]  # a generator, wherever it comes from
            for some in rows:
                write(some)
                count += len(some)
        if not count:
            raise InvalidInput("there is no such candidate", "choose another --part, or make more pools")
    return count


def _by_user(
    files: Sequence[Path], data: Sequence[Path], part: str | None, report: Callable[[str], None]
) -> Iterator[UserPools]:
    by_hash = {file_sha256(path): path for path in data}
    for file in files:
        header, records = read_pools(file)
        source = by_hash.get(str(header.get("data")))
        if source is None:
            raise InvalidInput(f"the texts that {file} was made from are not given", "pass their file with --data")
        users = read_items(source)
        found: dict[str, list[dict[str, Any]]] = {}
        for record in records:
            if part is None or part_of(record["user_id"]) == part:
                found.setdefault(record["user_id"], []).append(record)
        for user, own in found.items():
            yield UserPools(header["task"], str(header["model"])[:12], tuple(users[user]), tuple(own))
        report(f"{file.name}: {len(records)} pools")


@contextmanager
def _writer(out: Path, columns: Sequence[str], *, force: bool) -> Iterator[Callable[[list[Row]], None]]:
    """What writes rows to `out`, whole or not at all."""
    with output_file(out, force=force) as file:
        if not is_parquet(out):
            with zstandard.ZstdCompressor(level=9).stream_writer(file, closefd=False) as packed:
                yield lambda rows: _put_lines(packed, rows)
            return
        pyarrow, parquet = arrow()
        schema = pyarrow.schema([(name, pyarrow.type_for_alias(_KINDS[name])) for name in columns])
        waiting: list[Row] = []
        with parquet.ParquetWriter(file, schema, compression="zstd") as writer:

            def flush() -> None:
                if waiting:
                    writer.write_table(pyarrow.Table.from_pylist(waiting, schema))
                    waiting.clear()

            def put(rows: list[Row]) -> None:
                waiting.extend(rows)
                if len(waiting) >= _AT_ONCE:
                    flush()

            yield put
            flush()


def _put_lines(packed: Any, rows: list[Row]) -> None:
    packed.write("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode())
