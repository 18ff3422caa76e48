"""The standard reward model of one user alone: trained on 2, 4, 8 and 20 of their pools, judged on their later ones.

Beside it, on the same later pools: the same network of the population, and updates from 20 judgments of the user, with
the shipped model's prior and online without one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_ttp.errors import InvalidInput
from edge_ttp.lab.bench.corpus import Query
from edge_ttp.lab.bench.simulated_feedback import KINDS, weights_by_round
from edge_ttp.lab.diagnosis.scoring import picked
from edge_ttp.lab.reproduction.ladder import ARMS, ONLINE, OWN, POPULATION, PRIOR, STOCK, variant
from edge_ttp.reward.model import EncodedInput, EncodedPool, RewardModel
from edge_ttp.reward.posterior import Evidence, Weights
from edge_ttp.reward.user_profile import HISTORY_ITEMS, UserProfile, VectorMemory
from edge_ttp.schema import Candidate
from edge_ttp_export.pool_shards import read_pools
from edge_ttp_export.rungs import SIZE, SIZES, LadderPool, cuts, ladder_pool, read_kept, train_rung, write_rungs
from edge_ttp_export.text_files import file_sha256, read_items
from edge_ttp_export.text_recall import as_history
from edge_ttp_export.user_split import part_of

Floats = npt.NDArray[np.float64]
Found = dict[str, Floats]
"""What one kind of network says of all later pools, by the names of a score file."""

LEARNED = (2, 4, 8, 20)
"""Pools of the user that a network learns from: the latest of the first LEARNED[-1]."""
LEAST_LATER, MOST_LATER = 6, 20
STEPS = 150
"""Of gradient descent: as many as the ladder's population networks take."""


@dataclass(frozen=True)
class LonePool:
    """One of a user's pools: as the rungs see it, and as the shipped model does."""

    pool: LadderPool
    profile: UserProfile
    source: EncodedInput
    encoded: EncodedPool
    evidence: Evidence


@dataclass(frozen=True)
class LoneUser:
    """One user's pools, oldest first."""

    name: str
    learned: tuple[LonePool, ...]
    """LEARNED[-1] to learn from."""
    later: tuple[LonePool, ...]
    """What comes after them."""


def read_own(
    files: Sequence[Path], texts: Sequence[Path], reward: RewardModel, report: Callable[[str], None]
) -> list[LoneUser]:
    """The tune users of files of `export pools` who have enough pools, in the files' order.

    Raises InvalidInput where a file's texts are not among `texts`, or no user has enough.
    """
    by_hash = {file_sha256(path): path for path in texts}
    found = []
    for file in files:
        header, records = read_pools(file)
        source = by_hash.get(str(header.get("data")))
        if source is None:
            raise InvalidInput(f"the texts that {file} was drawn from are not given", "pass their file with --texts")
        users = {user: [as_history(item, place) for place, item in enumerate(items)]
                 for user, items in read_items(source).items()}  # fmt: skip
        orders = {user: [item.order for item in items] for user, items in read_items(source).items()}
        drawn: dict[str, list[tuple[int, list[Candidate]]]] = {}
        for record in records:
            user = str(record["user_id"])
            if part_of(user) == "tune" and len(record["candidates"]) >= SIZE:
                candidates = [
                    Candidate(text=str(one["text"]), tokens=int(one["tokens"]), logprob=float(one["logprob"]))
                    for one in record["candidates"][:SIZE]
                ]
                drawn.setdefault(user, []).append((orders[user].index(int(record["order"])), candidates))
        for user, each in drawn.items():
            if len(each) < LEARNED[-1] + LEAST_LATER:
                report(f"{user} of {file}: {len(each)} pools are too few")
                continue
            memory = VectorMemory()
            pools = []
            for place, candidates in sorted(each, key=lambda one: one[0])[: LEARNED[-1] + MOST_LATER]:
                query = Query(str(header["task"]), users[user][place], place, tuple(users[user][:place]))
                pools.append(_own_pool(query, candidates, reward, memory))
            found.append(LoneUser(user, tuple(pools[: LEARNED[-1]]), tuple(pools[LEARNED[-1] :])))
            report(f"{user}: {len(pools)} pools")
    if not found:
        raise InvalidInput(f"no user has {LEARNED[-1] + LEAST_LATER} pools", "draw more with `edge-ttp export pools`")
    return found


def _own_pool(query: Query, drawn: Sequence[Candidate], reward: RewardModel, memory: VectorMemory) -> LonePool:
    pool = ladder_pool(query, drawn, reward, memory)
    profile = reward.profile(query.history[-HISTORY_ITEMS:], memory)
    source, encoded = reward.prepare(query.item.input), reward.encode(drawn)
    said = reward.score(profile, source, encoded)
    return LonePool(pool, profile, source, encoded, Evidence("written", said.features, said.aleatoric, pool.utility))


def learn_alone(
    users: Sequence[LoneUser],
    others: Sequence[LadderPool],
    work: Path,
    reward: RewardModel,
    *,
    seeds: int,
    report: Callable[[str], None],
) -> None:
    """Trains everything that `work` lacks. `others`: pools that the population's network learns from."""
    work.mkdir(parents=True, exist_ok=True)
    for rung, arm, seed in _kinds(seeds):
        kept = _place(work, rung, arm, seed)
        if kept.exists():
            continue
        if rung in (ONLINE, PRIOR):
            found = _updated(users, reward, rung, arm, seed)
        elif rung == POPULATION:
            say = train_rung(others, 0, arm, seed, steps=STEPS)
            found = _joined([_said(say, user.later) for user in users])
        else:
            count = OWN.index(rung)
            found = _joined([_alone(user, LEARNED[count], arm, seed) for user in users])
        np.savez_compressed(work / "part.npz", allow_pickle=False, **found)
        (work / "part.npz").rename(kept)
        report(f"{rung}, {arm}, seed {seed + 1}")


def _kinds(seeds: int) -> Iterator[tuple[str, str, int]]:
    """Every rung, arm and seed; the shipped model needs one."""
    for rung in (*OWN, POPULATION):
        yield from ((rung, arm, seed) for arm in ARMS for seed in range(seeds))
    for rung in (ONLINE, PRIOR):
        yield rung, STOCK, 0
        yield from ((rung, arm, seed) for arm in KINDS for seed in range(seeds))


def _place(work: Path, rung: str, arm: str, seed: int) -> Path:
    return work / f"{rung}-{arm}-{seed}.npz".replace("/", " ").replace(" ", "_")


def _alone(user: LoneUser, count: int, arm: str, seed: int) -> Found:
    pools = [one.pool for one in user.learned[-count:]]
    return _said(train_rung(pools, 0, arm, seed, steps=STEPS), user.later)


def _said(say: Callable[..., Any], later: Sequence[LonePool]) -> Found:
    pools = [one.pool for one in later]
    said = say(pools, [range(SIZE)] * len(pools))
    picks = np.zeros((len(pools), len(SIZES)))
    for row, pool in enumerate(pools):
        for column, parts in enumerate(cuts(pool.place)):  # the bottom rung ignores the other candidates
            picks[row, column] = np.mean([picked(pool.utility, part, said.mean[row][part]) for part in parts])
    return {"score": said.mean, "picked": picks, "sd": np.sqrt(said.noise), "epistemic": np.sqrt(said.epistemic)}


def _updated(users: Sequence[LoneUser], reward: RewardModel, rung: str, kind: str, seed: int) -> Found:
    """What the last layer says after a judgment of each pool to learn from; of STOCK, before any."""
    found = []
    for number, user in enumerate(users):
        weights = reward.stock.mean
        if kind != STOCK:
            evidence = [one.evidence for one in user.learned]
            rounds = weights_by_round(reward.stock, evidence, kind, np.random.default_rng([seed, number]))
            *_, last = rounds
            weights = last[1] if rung == ONLINE else last[0]
        found.append(_by_weights(reward, Weights(weights, reward.stock.covariance), user.later))
    return _joined(found)


def _by_weights(reward: RewardModel, weights: Weights, later: Sequence[LonePool]) -> Found:
    scores, picks = [], []
    for one in later:
        row = []
        for parts in cuts(one.pool.place):
            each = [reward.score(one.profile, one.source, one.encoded.take(part), weights).mean for part in parts]
            row.append(np.mean([picked(one.pool.utility, part, own) for part, own in zip(parts, each, strict=True)]))
        scores.append(each[0])  # the last cut is the whole pool
        picks.append(row)
    return {"score": np.stack(scores), "picked": np.array(picks)}


def _joined(parts: Sequence[Found]) -> Found:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def write_own(
    users: Sequence[LoneUser], work: Path, out: Path, reward: RewardModel, *, seeds: int, force: bool = False
) -> int:
    """Writes what `learn_alone` left in `work` as a score file; returns its bytes."""
    made: dict[str, dict[str, Any]] = {}
    variants = {}
    for rung, arm, seed in _kinds(seeds):
        name = variant(rung, arm, seed)
        variants[name] = read_kept(_place(work, rung, arm, seed), arm)
        made[name] = {"rung": rung, "loss": arm, "seed": seed}
        if rung in (ONLINE, PRIOR):
            made[name]["reward"] = reward.fingerprint
    later = [one.pool for user in users for one in user.later]
    return write_rungs(later, variants, made, work, out, force=force)
