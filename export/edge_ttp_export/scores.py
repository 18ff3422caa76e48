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
from edge_ttp.lab.reproduction.ladder import SHIPPED
from edge_ttp.lab.reproduction.score_file import PARTS, Scored, ScoreFile, ScoreSet, write_scores
from edge_ttp.reward.model import RewardModel, Scores
from edge_ttp.schema import DEFAULT_RULE
from edge_ttp_export.checkpoint import Checkpoint, load_checkpoint
from edge_ttp_export.evaluate import by_default_rule
from edge_ttp_export.examples import LabelledPool, load_pools
from edge_ttp_export.graphs import ReaderFolders
from edge_ttp_export.network import Batch
from edge_ttp_export.selectors import Rank, untrained
from edge_ttp_export.train import collate
from edge_ttp_export.trained_rules import judge_batch

SUM = "untrained sum"
"""The rule that every trained network has to beat; it is always in the file."""

BY_DEFAULT = f"{SHIPPED}, default rule"
"""The finished model as `generate` chooses by it."""

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
    reader: ReaderFolders | None,
    trained: Mapping[str, Path],
    out: Path,
    *,
    reward: RewardModel | None = None,
    policies: Mapping[str, str],
    queries: int,
    report: Callable[[str], None],
    force: bool = False,
) -> dict[str, Any]:
    """Writes the score file and returns what is in it.

    `trained`: folders of networks by the variant's name, which read by `reader`. `reward`: a finished model, by its
    mean (SHIPPED) and by a request's default rule (BY_DEFAULT); it reads where there is no `reader`. Files of one task
    and one policy become one set. `policies`: names by how their file's SHA-256 begins.
    At most `queries` pools of each file are taken, the first.
    """
    networks = {name: load_checkpoint(folder) for name, folder in trained.items()}
    if SUM in networks:
        raise InvalidInput(f"{SUM!r} is the rule without a network", "give the network another name")
    if reader is None and (reward is None or networks):
        raise InvalidInput("nothing reads the texts", "name the networks' encoder and salience, or a reward model")
    reading = reader.graphs().runtime() if reader is not None else reward.salience  # type: ignore[union-attr]
    pools, _, headers = load_pools(files, data, reading, report)
    salt = secrets.token_bytes(_SALT_BYTES)  # kept nowhere: ids cannot be guessed and tried
    together: dict[tuple[str, str], list[LabelledPool]] = {}
    start = 0
    for header in headers:
        part = pools[start : start + header["pools"]][:queries]
        start += header["pools"]
        policy = next((name for digest, name in policies.items() if header["model"].startswith(digest)), None)
        together.setdefault((header["task"], policy or header["model"][:12]), []).extend(part)
    sets = []
    for (task, name), held in together.items():
        sets.append(score_set(held, name, networks, salt, reward))
        report(f"{task}, {name}: {len(held)} pools scored")
    made: dict[str, dict[str, Any]] = {name: _facts(network) for name, network in networks.items()}
    if reward is not None:
        facts = {"loss": "beta-nll", "name": reward.name, "reward": reward.fingerprint}
        made |= {SHIPPED: facts, BY_DEFAULT: facts | {"rule": DEFAULT_RULE}}
    size = write_scores(out, ScoreFile(tuple(sets), {SUM: {"loss": "none"}, **made}), force=force)
    return {"file": str(out), "bytes": size, "variants": [SUM, *made], "queries": sum(len(one) for one in sets)}


def score_set(
    pools: Sequence[LabelledPool],
    policy: str,
    networks: Mapping[str, Checkpoint],
    salt: bytes,
    reward: RewardModel | None = None,
) -> ScoreSet:
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
    if reward is not None:
        variants |= _by_reward(reward, pools, cuts)
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


def _by_reward(
    reward: RewardModel, pools: Sequence[LabelledPool], cuts: Sequence[Sequence[Sequence[Rows]]]
) -> dict[str, Scored]:
    """A finished model by its mean and by the default rule, every subset scored anew."""
    means, chosen, sds, epistemics, picks = [], [], [], [], []
    for pool, cut in zip(pools, cuts, strict=True):
        said = [[reward.score(pool.profile, pool.source, pool.encoded.take(rows)) for rows in parts] for parts in cut]
        whole = said[-1][0]
        means.append(whole.mean)
        chosen.append(by_default_rule(whole))
        sds.append(np.sqrt(whole.variance))
        epistemics.append(np.sqrt(whole.epistemic))
        picks.append(
            [
                [
                    np.mean([picked(pool.utility, rows, rank(one)) for rows, one in zip(parts, each, strict=True)])
                    for parts, each in zip(cut, said, strict=True)
                ]
                for rank in (_mean, by_default_rule)
            ]
        )
    by_mean, by_rule = np.array(picks).transpose(1, 0, 2)
    return {
        SHIPPED: Scored(np.stack(means), by_mean, np.stack(sds), np.stack(epistemics)),
        BY_DEFAULT: Scored(np.stack(chosen), by_rule),
    }


def _mean(scores: Scores) -> Floats:
    return scores.mean


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
