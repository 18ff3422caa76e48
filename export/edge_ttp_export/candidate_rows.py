"""Pools as rows of candidates, the form that `edge-ttp diagnose` reads."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import zstandard

from edge_ttp.errors import InvalidInput
from edge_ttp.reward.model import RewardModel
from edge_ttp.system.output_file import output_file, prepared_output
from edge_ttp_export.examples import load_pools
from edge_ttp_export.pool_shards import read_pools
from edge_ttp_export.text_files import file_sha256, read_items
from edge_ttp_export.user_split import PARTS, Part, part_of


def write_rows(files: Sequence[Path], data: Sequence[Path], out: Path, part: str | None, *, force: bool = False) -> int:
    """Writes a line per candidate and returns how many. `part`: only users of this part.

    Raises InvalidInput where the texts that a file was made from are not among `data`, or where there are no rows.
    """
    by_hash = {file_sha256(path): path for path in data}
    lines: list[str] = []
    for file in files:
        header, records = read_pools(file)
        source = by_hash.get(str(header.get("data")))
        if source is None:
            raise InvalidInput(f"the texts that {file} was made from are not given", "pass their file with --data")
        asked = {(user, item.order): item.input for user, items in read_items(source).items() for item in items}
        for record in records:
            user, order = record["user_id"], record["order"]
            if part is not None and part_of(user) != part:
                continue
            query = {"user_id": user, "query_id": f"{header['task']}/{order}", "order": order}
            for place, (drawn, utility) in enumerate(zip(record["candidates"], record["utility"], strict=True)):
                first = {"input": asked[user, order]} if place == 0 else {}
                told = {name: drawn[name] for name in ("text", "tokens", "logprob")}
                lines.append(json.dumps({**query, **first, **told, "utility": utility}, ensure_ascii=False))
    return _write(lines, out, force)


def write_scored_rows(
    files: Sequence[Path],
    data: Sequence[Path],
    out: Path,
    part: Part | None,
    *,
    reward: RewardModel,
    report: Callable[[str], None],
    force: bool = False,
) -> int:
    """The same with each candidate's score, variance and epistemic variance under `reward`, and without its text.

    `policy` names the file that drew it, by how its SHA-256 begins. Raises InvalidInput as `write_rows`.
    """
    lines: list[str] = []
    for file in files:
        pools, _, headers = load_pools([file], data, reward.salience, report, parts=PARTS if part is None else {part})
        for pool in pools:
            scores = reward.score(pool.profile, pool.source, pool.encoded)
            query = {
                "user_id": pool.user_id,
                "query_id": f"{pool.task}/{pool.place}",
                "policy": str(headers[0]["model"])[:12],
            }
            for place, drawn in enumerate(pool.encoded.candidates):
                told = {
                    "tokens": drawn.tokens,
                    "logprob": drawn.logprob,
                    "utility": float(pool.utility[place]),
                    "score": float(scores.mean[place]),
                    "variance": float(scores.variance[place]),
                    "epistemic": float(scores.epistemic[place]),
                }
                lines.append(json.dumps({**query, **told}))
    return _write(lines, out, force)


def _write(lines: Sequence[str], out: Path, force: bool) -> int:
    if not lines:
        raise InvalidInput("there is no such candidate", "choose another --part, or make more pools")
    prepared_output(out, force=force)
    with output_file(out, force=force) as file:
        file.write(zstandard.ZstdCompressor(level=9).compress("\n".join([*lines, ""]).encode()))
    return len(lines)
