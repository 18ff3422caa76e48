"""From pools and trained networks to the numbers that the reproduction stands on: a score file without texts.

Network scores depend on the other candidates, so that the curve below N is measured by scoring random subsets anew:
every pool is cut into disjoint parts of n candidates, the same for all variants.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_ttp.errors import InvalidInput
from edge_ttp.lab.diagnosis.scoring import Rows, cut_up, picked
from edge_ttp.lab.reproduction.score_file import PARTS, Scored, ScoreFile, ScoreSet, write_scores
from edge_ttp_export.checkpoint import Checkpoint, load_checkpoint
from edge_ttp_export.examples import LabelledPool, load_pools
from edge_ttp_export.graphs import ReaderFolders
from edge_ttp_export.network import Batch
from edge_ttp_export.selectors import Rank, untrained
from edge_ttp_export.train import collate
from edge_ttp_export.trained_rules import judge_batch

SUM = "untrained sum"
"""The rule that every trained network has to beat; it is always in the file."""

_SALT_BYTES = 16
_BATCH = 64
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _NetworkView:
    """One network's view of one (cut) pool, (n,) each."""

    mean: Floats
    sd: Floats
    epistemic: Floats


def run_scores(
    files: Sequence[Path],
    data: Sequence[Path],
    reader: ReaderFolders,
    trained: Mapping[str, Path],
    out: Path,
    *,
    policies: Mapping[str, str],
    queries: int,
    report: Callable[[str], None],
    force: bool = False,
) -> dict[str, Any]:
    """Writes the score file and returns what is in it.

    `trained`: folders of networks by the variant's name. `policies`: names by how their file's SHA-256 begins.
    At most `queries` pools of each file are taken, the first.
    """
    networks = {name: load_checkpoint(folder) for name, folder in trained.items()}
    if SUM in networks:
        raise InvalidInput(f"{SUM!r} is the rule without a network", "give the network another name")
    pools, _, headers = load_pools(files, data, reader.graphs().runtime(), report)
    salt = secrets.token_bytes(_SALT_BYTES)  # kept nowhere: ids cannot be guessed and tried
    sets, start = [], 0
    for header in headers:
        part = pools[start : start + header["pools"]][:queries]
        start += header["pools"]
        policy = next((name for digest, name in policies.items() if header["model"].startswith(digest)), None)
        sets.append(score_set(part, policy or header["model"][:12], networks, salt))
        report(f"{header['file']}: {len(part)} pools scored by {len(networks)} networks")
    made = {name: _facts(network) for name, network in networks.items()}
    size = write_scores(out, ScoreFile(tuple(sets), {SUM: {"loss": "none"}, **made}), force=force)
    return {"file": str(out), "bytes": size, "variants": [SUM, *made], "queries": sum(len(one) for one in sets)}


def score_set(pools: Sequence[LabelledPool], policy: str, networks: Mapping[str, Checkpoint], salt: bytes) -> ScoreSet:
    """The numbers of one task's pools drawn from one policy, ids hashed with `salt`.

    Raises InvalidInput for pools of several tasks or sizes.
    """
    if len({(pool.task, pool.size) for pool in pools}) != 1 or pools[0].size < 2:
        raise InvalidInput("a set needs pools of one task and one size of 2 or more", "give each its own file")
    largest = pools[0].size
    sizes = (*(n for n in (2, 4, 8, 16, 32, 64, 128) if n < largest), largest)
    cuts = [[cut_up(largest, n, np.random.default_rng([place, n])) for n in sizes] for place in range(len(pools))]
    variants = {SUM: _by_rule(untrained()["sum"], pools, cuts)}
    variants |= _by_network(networks, pools, cuts)
    return ScoreSet(
        task=pools[0].task,
        policy=policy,
        sizes=sizes,
        user=hashed([pool.user_id for pool in pools], salt),
        query=hashed([f"{pool.user_id}\0{pool.place}" for pool in pools], salt),
        part=np.array([PARTS.index(pool.part) for pool in pools], dtype=np.int64),
        utility=np.stack([pool.utility for pool in pools]),
        variants=variants,
    )


def hashed(ids: Sequence[str], salt: bytes) -> npt.NDArray[np.int64]:
    """The first 32 bits of each id's salted SHA-256."""
    return np.array([int.from_bytes(hashlib.sha256(salt + one.encode()).digest()[:4], "big") for one in ids])


def _by_rule(rank: Rank, pools: Sequence[LabelledPool], cuts: Sequence[Sequence[Sequence[Rows]]]) -> Scored:
    found = [
        [np.mean([picked(pool.utility, rows, rank(pool, rows)) for rows in parts]) for parts in cut]
        for pool, cut in zip(pools, cuts, strict=True)
    ]
    return Scored(score=np.stack([rank(pool, range(pool.size)) for pool in pools]), picked=np.array(found))


def _by_network(
    networks: Mapping[str, Checkpoint], pools: Sequence[LabelledPool], cuts: Sequence[Sequence[Sequence[Rows]]]
) -> dict[str, Scored]:
    """Every network over all cut pools at once: cutting and collating costs more than the networks do."""
    members = [
        (place, column, rows)
        for place, cut in enumerate(cuts)
        for column, parts in enumerate(cut)
        for rows in parts
    ]  # fmt: skip
    last = len(cuts[0]) - 1
    sums = {name: np.zeros((len(pools), last + 1)) for name in networks}
    whole: dict[str, dict[int, _NetworkView]] = {name: {} for name in networks}
    for start in range(0, len(members), _BATCH):
        part = members[start : start + _BATCH]
        batch, _ = collate([(pools[place], rows) for place, _, rows in part])
        for name, network in networks.items():
            said = _say(network, batch, [(pools[place], rows) for place, _, rows in part])
            for (place, column, rows), one in zip(part, said, strict=True):
                sums[name][place, column] += picked(pools[place].utility, rows, one.mean) / len(cuts[place][column])
                if column == last:
                    whole[name][place] = one
    scored = {}
    for name, network in networks.items():
        of_pool = [whole[name][place] for place in range(len(pools))]
        learned = network.made["settings"]["loss"] == "beta-nll"
        scored[name] = Scored(
            score=np.stack([one.mean for one in of_pool]),
            picked=sums[name],
            sd=np.stack([one.sd for one in of_pool]) if learned else None,
            epistemic=np.stack([one.epistemic for one in of_pool]) if learned else None,
        )
    return scored


def _say(checkpoint: Checkpoint, batch: Batch, members: Sequence[tuple[LabelledPool, Rows]]) -> list[_NetworkView]:
    """What the runtime's scorer would say, equal and wordless candidates as it treats them."""
    judged, offset = judge_batch(checkpoint, batch)
    said = []
    for row, (pool, rows) in enumerate(members):
        size = len(rows)
        mean, spread = offset[row] + judged.mean[row, :size], judged.epistemic[row, :size].copy()
        total = judged.aleatoric[row, :size] + spread
        part = pool.encoded.take(rows)
        same = part.twins()  # equal candidates tie to the bit
        mean, spread, total = mean[same], spread[same], total[same]
        wordless = part.wordless
        mean[wordless], spread[wordless], total[wordless] = 0.0, 0.0, 0.0
        said.append(_NetworkView(mean, np.sqrt(total), np.sqrt(spread)))
    return said


def _facts(checkpoint: Checkpoint) -> dict[str, Any]:
    """How a network was made, without the names of files."""
    settings, pools = checkpoint.made["settings"], checkpoint.made["pools"]
    return {
        "loss": settings["loss"],
        "beta": settings["beta"],
        "seed": settings["seed"],
        "text_terms": settings["text_terms"],
        "train_pools": pools["train"],
        "tune_share": checkpoint.made["tune_share"],
    }
