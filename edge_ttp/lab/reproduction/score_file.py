"""The score file: utilities and scores of real pools under hashed ids, small enough to keep beside the code.

A numpy archive (.npz, read without pickle). `meta` is JSON in bytes: the format, the variants, and for each set its
task, its policy, its sizes n, and which variants have a variance. A set's arrays are named by its number, such as
`0.utility`; Q queries of N candidates each:

- `user`, `query`: uint32 (Q,), salted hashes of ids. The same query of two policies has the same hash.
- `part`: uint8 (Q,), the user's place in the one split: 0 train, 1 tune, 2 report.
- `utility`: uint16 (Q, N), steps of 1/50000.
- `score.V`: int8 (Q, N), deviation from the pool's mean in 127ths of its largest deviation, `scale.V` float32 (Q,).
- `sd.V`, `epistemic.V`: uint8 (Q, N), standard deviations as 10^(-code/64).
- `picked.V`: uint16 (Q, sizes), steps of 1/50000: mean utility that the variant picks from random subsets of n
  candidates, scored anew in each; at n = N, from the whole pool.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_ttp.errors import InvalidInput
from edge_ttp.system.output_file import output_file, prepared_output

FORMAT = 1
PARTS = ("train", "tune", "report")
MAX_BYTES = 64 * 2**20

_STEPS = 50_000.0
_CODES = 127.0
_PER_DECADE = 64.0

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Scored:
    """What one variant says of a set's pools."""

    score: Floats
    """(queries, N), deviations from the pool's mean."""
    picked: Floats
    """(queries, sizes): mean utility picked from random subsets of n candidates, each scored by itself."""
    sd: Floats | None = None
    """(queries, N) standard deviation of the score's error, noise included; None where none was learned."""
    epistemic: Floats | None = None
    """(queries, N) standard deviation of the mean's own error."""


@dataclass(frozen=True)
class ScoreSet:
    """The pools of one task and policy."""

    task: str
    policy: str
    sizes: tuple[int, ...]
    """n of the curves, ascending; the last is N."""
    user: Ints
    """(queries,) hashed ids."""
    query: Ints
    """(queries,) hashed ids."""
    part: Ints
    """(queries,) places in PARTS."""
    utility: Floats
    """(queries, N)."""
    variants: Mapping[str, Scored]

    def __len__(self) -> int:
        return len(self.part)


@dataclass(frozen=True)
class ScoreFile:
    """Sets of pools, and how each variant was made."""

    sets: tuple[ScoreSet, ...]
    made: Mapping[str, Mapping[str, Any]]
    """Facts about each variant: its loss, its seed ... Numbers and short texts."""


def joined(files: Sequence[ScoreFile]) -> ScoreFile:
    """Several files as one: sets one after another, each with its own variants."""
    return ScoreFile(
        tuple(one for file in files for one in file.sets),
        {name: facts for file in files for name, facts in file.made.items()},
    )


def write_scores(path: Path, file: ScoreFile, *, force: bool = False) -> int:
    """Writes the file and returns its size in bytes. Numbers are rounded as the format says.

    Raises InvalidInput where it cannot be written, or is there already and `force` is not set.
    """
    arrays: dict[str, npt.NDArray[Any]] = {}
    sets = []
    for place, pools in enumerate(file.sets):
        put: dict[str, npt.NDArray[Any]] = {
            "user": pools.user.astype(np.uint32),
            "query": pools.query.astype(np.uint32),
            "part": pools.part.astype(np.uint8),
            "utility": _steps(pools.utility),
        }
        for name, scored in pools.variants.items():
            scale = np.abs(scored.score - scored.score.mean(axis=1, keepdims=True)).max(axis=1)
            centred = scored.score - scored.score.mean(axis=1, keepdims=True)
            code = np.divide(centred, scale[:, None], out=np.zeros_like(centred), where=scale[:, None] > 0)
            put[f"score.{name}"] = np.rint(_CODES * code).astype(np.int8)
            put[f"scale.{name}"] = scale.astype(np.float32)
            put[f"picked.{name}"] = _steps(scored.picked)
            for kind, values in (("sd", scored.sd), ("epistemic", scored.epistemic)):
                if values is not None:
                    code = -_PER_DECADE * np.log10(np.maximum(values, 1e-9))
                    put[f"{kind}.{name}"] = np.clip(np.rint(code), 0, 255).astype(np.uint8)
        arrays |= {f"{place}.{name}": values for name, values in put.items()}
        sets.append({"task": pools.task, "policy": pools.policy, "sizes": list(pools.sizes)})
    meta = json.dumps({"format": FORMAT, "variants": file.made, "sets": sets}).encode()
    arrays["meta"] = np.frombuffer(meta, np.uint8)
    held = BytesIO()
    np.savez_compressed(held, allow_pickle=False, **arrays)
    prepared_output(path, force=force)
    with output_file(path, force=force) as written:
        written.write(held.getvalue())
    return len(held.getvalue())


def _steps(values: Floats) -> npt.NDArray[np.uint16]:
    return np.rint(np.clip(values, 0, 1) * _STEPS).astype(np.uint16)


def read_scores(path: Path) -> ScoreFile:
    """The file at `path`. Raises InvalidInput where it is missing, or no score file of this format."""
    cure = "give a file made by `edge-ttp export scores`"
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InvalidInput(f"{path} is larger than {MAX_BYTES // 2**20} MiB", cure)
        with np.load(BytesIO(path.read_bytes()), allow_pickle=False) as archive:
            names = _small(archive.zip)
            arrays = {name: archive[name] for name in names}
        meta = json.loads(arrays.pop("meta").tobytes())
        if meta["format"] != FORMAT:
            raise InvalidInput(f"{path} is of format {meta['format']!r}, not {FORMAT}", cure)
        made = {str(name): dict(facts) for name, facts in meta["variants"].items()}
        sets = tuple(_read_set(place, facts, arrays, made) for place, facts in enumerate(meta["sets"]))
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror or error}", cure) from error
    except (KeyError, ValueError, TypeError, AttributeError, zipfile.BadZipFile, EOFError) as error:
        raise InvalidInput(f"{path} is no score file: {type(error).__name__} {error}", cure) from error
    if not sets:
        raise InvalidInput(f"{path} holds no pools", cure)
    return ScoreFile(sets, made)


def _small(archive: Any) -> list[str]:
    """The archive's names, unless they would unpack to more than a score file ever holds."""
    if sum(one.file_size for one in archive.infolist()) > 8 * MAX_BYTES:
        raise ValueError("it unpacks to too much")
    return [one.filename.removesuffix(".npy") for one in archive.infolist()]


def _read_set(
    place: int, facts: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]], made: Mapping[str, Any]
) -> ScoreSet:
    def get(name: str, kind: type, shape: tuple[int, ...]) -> npt.NDArray[Any]:
        found = arrays[f"{place}.{name}"]
        if found.dtype != np.dtype(kind) or found.shape != shape:
            raise ValueError(f"{name} of set {place} is {found.dtype} {found.shape}")
        return found

    def optional(name: str, shape: tuple[int, ...]) -> Floats | None:
        if f"{place}.{name}" not in arrays:
            return None
        return np.asarray(10.0 ** (-get(name, np.uint8, shape).astype(np.float64) / _PER_DECADE))

    sizes = tuple(int(n) for n in facts["sizes"])
    queries, largest = arrays[f"{place}.utility"].shape
    if list(sizes) != sorted(set(sizes)) or not sizes or sizes[0] < 2 or sizes[-1] != largest or queries < 1:
        raise ValueError(f"set {place} has sizes {sizes} for pools of {largest}")
    shape, row = (queries, largest), (queries,)
    part = get("part", np.uint8, row).astype(np.int64)
    if part.max() >= len(PARTS):
        raise ValueError(f"set {place} has a part {part.max()}")
    variants = {}
    for name in made:
        scale = get(f"scale.{name}", np.float32, row).astype(np.float64)
        if not np.isfinite(scale).all():
            raise ValueError(f"scale.{name} of set {place} is not finite")
        variants[name] = Scored(
            score=get(f"score.{name}", np.int8, shape) / _CODES * scale[:, None],
            picked=get(f"picked.{name}", np.uint16, (queries, len(sizes))) / _STEPS,
            sd=optional(f"sd.{name}", shape),
            epistemic=optional(f"epistemic.{name}", shape),
        )
    return ScoreSet(
        task=str(facts["task"]),
        policy=str(facts["policy"]),
        sizes=sizes,
        user=get("user", np.uint32, row).astype(np.int64),
        query=get("query", np.uint32, row).astype(np.int64),
        part=part,
        utility=get("utility", np.uint16, shape) / _STEPS,
        variants=variants,
    )
