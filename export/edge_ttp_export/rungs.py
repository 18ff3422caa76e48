"""The ladder: the standard reward model at the bottom, one cure at a time, trained in every way on the same pools.

Bottom rung: frozen text vectors of the candidate, the input and the user's mean into an MLP (3 x 384 -> 128 -> 1),
absolute utility, a random start, nothing that watches for collapse. Each rung above adds one cure of the shipped model.
Networks are trained on some users and score the others (cross-fitting): every score is of a user it has not seen.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edge_ttp.lab.bench.corpus import Query
from edge_ttp.lab.diagnosis.scoring import cut_up, picked
from edge_ttp.lab.reproduction.ladder import ARMS, RUNGS, SHIPPED, variant
from edge_ttp.lab.reproduction.score_file import PARTS, Scored, ScoreFile, ScoreSet, write_scores
from edge_ttp.reward.features import FEATURES, feature_table, with_pool
from edge_ttp.reward.model import RewardModel
from edge_ttp.reward.user_profile import HISTORY_ITEMS, VectorMemory
from edge_ttp.reward.utility import agreement, tokenize
from edge_ttp.schema import Candidate
from edge_ttp_export.evaluate import by_default_rule
from edge_ttp_export.scores import hashed
from edge_ttp_export.tune_queries import tune_queries

Floats = npt.NDArray[np.float64]

SIZE = 16
"""Candidates of a pool."""
SIZES = (2, 4, 8, SIZE)
HIDDEN = 128
EPOCHS = 30
RATE = 1e-3
FOLDS = 3
BETA = 0.5
TYPICAL = 0.06
"""Usual spread of utility in a pool; makes losses of different kinds comparable in size."""
START = {"consensus": 1.0, "input_cosine": 1.0, "user_cosine": 1.0}


@dataclass(frozen=True)
class LadderPool:
    """One query's candidates as every rung sees them."""

    task: str
    user: str
    place: int
    vectors: npt.NDArray[np.float32]
    """(SIZE, width) of the candidates."""
    source: npt.NDArray[np.float32]
    """(width,) of the input."""
    owner: npt.NDArray[np.float32]
    """(width,) mean of the user's earlier outputs."""
    table: npt.NDArray[np.float32]
    """(SIZE, F) features that ignore the other candidates."""
    similarity: Floats
    """(SIZE, SIZE)."""
    utility: Floats
    """(SIZE,)."""
    shipped: Scored
    """What the shipped model says, by its default rule, each subset anew; one query."""


def read_pools(
    files: Sequence[Path], folder: Path, reward: RewardModel, report: Callable[[str], None]
) -> list[LadderPool]:
    """Pools of tune users from files of `bench temperature`, the first SIZE candidates at the highest temperature.

    Raises InvalidInput for files of another kind.
    """
    memories: dict[str, VectorMemory] = {}
    found = []
    for query, drawn in tune_queries(files, folder, SIZE, report):
        found.append(ladder_pool(query, drawn, reward, memories.setdefault(query.task, VectorMemory())))
    return found


def ladder_pool(query: Query, drawn: Sequence[Candidate], reward: RewardModel, memory: VectorMemory) -> LadderPool:
    """One query's SIZE candidates as every rung sees them."""
    profile = reward.profile(query.history[-HISTORY_ITEMS:], memory)
    source = reward.prepare(query.item.input)
    encoded = reward.encode(drawn)
    utility = agreement(encoded.words, [tokenize(query.item.output)])[:, 0]
    table = feature_table(
        profile, source.vector, source.words, encoded.candidates, words=encoded.words, vectors=encoded.vectors
    )
    picks = []
    for n, parts in zip(SIZES, cuts(query.place), strict=True):
        scores = [by_default_rule(reward.score(profile, source, encoded.take(part))) for part in parts]
        picks.append(np.mean([picked(utility, part, one) for part, one in zip(parts, scores, strict=True)]))
        if n == SIZE:
            said = reward.score(profile, source, encoded)
            shipped = Scored(
                scores[0][None], np.array([picks]), np.sqrt(said.variance)[None], np.sqrt(said.epistemic)[None]
            )
    owner = profile.outputs.mean(axis=0) if profile.items else np.zeros_like(source.vector)
    return LadderPool(
        query.task, query.item.user_id, query.place, encoded.vectors, source.vector, owner, table, encoded.similarity,
        utility, shipped,
    )  # fmt: skip


def cuts(place: int) -> list[list[list[int]]]:
    """The same subsets of every pool for all variants."""
    return [cut_up(SIZE, n, np.random.default_rng([place, n])) for n in SIZES]


class _Rung(nn.Module):  # type: ignore[misc]
    """The network of one rung: mean and log variance of each candidate."""

    def __init__(self, rung: int, width: int) -> None:
        super().__init__()
        self.rung = rung
        features = len(FEATURES) if rung >= RUNGS.index("word features") else 0
        self.hidden = nn.Linear(3 * width + features, HIDDEN)
        self.mean, self.noise = nn.Linear(HIDDEN, 1), nn.Linear(HIDDEN, 1)
        nn.init.constant_(self.noise.bias, 2 * float(np.log(TYPICAL)))
        start = torch.zeros(len(FEATURES))
        if rung >= RUNGS.index("start weights"):
            for name, value in START.items():
                start[FEATURES.index(name)] = 0.15 * TYPICAL * value
        self.skip = nn.Parameter(start, requires_grad=rung >= RUNGS.index("start weights"))

    def forward(self, vectors: Tensor, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, N) means, log variances, and (B, N, HIDDEN) last layer, of (B, N, 3 width) and (B, N, F)."""
        inputs = vectors if self.hidden.in_features == vectors.shape[-1] else torch.cat([vectors, features], -1)
        last = F.gelu(self.hidden(inputs))
        mean = self.mean(last).squeeze(-1) + features @ self.skip
        if self.rung >= RUNGS.index("differences"):
            mean, last = mean - mean.mean(1, keepdim=True), last - last.mean(1, keepdim=True)
        return mean, self.noise(last).squeeze(-1).clamp(-14, 2), last


def _inputs(pools: Sequence[LadderPool], rows: Sequence[Sequence[int]], rung: int) -> tuple[Tensor, Tensor, Tensor]:
    """Vectors, features, utilities of some candidates of each pool, as the rung sees them."""
    vectors, features, utilities = [], [], []
    for pool, part in zip(pools, rows, strict=True):
        chosen = list(part)
        own = pool.vectors[chosen]
        if rung >= RUNGS.index("standardized in the pool"):
            own = (own - own.mean(axis=0)) / (own.std(axis=0) + 1e-2)
        count = len(chosen)
        around = np.broadcast_to(np.concatenate([pool.source, pool.owner]), (count, 2 * len(pool.source)))
        vectors.append(np.concatenate([own, around], axis=1))
        table = with_pool(pool.table[chosen], pool.similarity[np.ix_(chosen, chosen)], pool.vectors[chosen])
        spread = table.std(axis=0)
        features.append((table - table.mean(axis=0)) / np.where(spread > 1e-6, spread, 1.0))
        utilities.append(pool.utility[chosen])
    first, second, third = (
        torch.from_numpy(np.stack(one).astype(np.float32)) for one in (vectors, features, utilities)
    )
    return first, second, third


def rung_loss(arm: str, mean: Tensor, noise: Tensor, target: Tensor) -> Tensor:
    """The arm's loss of (pools, candidates) means and log variances."""
    error = (target - mean).square()
    if arm == "bradley-terry":
        better = target.unsqueeze(2) - target.unsqueeze(1) > 1e-6
        margins = (mean.unsqueeze(2) - mean.unsqueeze(1)) / TYPICAL
        return (F.softplus(-margins) * better).sum() / better.sum().clamp(min=1)
    if arm == "mse":
        return error.mean() / (2 * TYPICAL**2)
    loss = 0.5 * (error * torch.exp(-noise) + noise)
    if arm == "beta-nll":  # Seitzer et al. 2022
        loss = loss * torch.exp(BETA * noise.detach()) / TYPICAL ** (2 * BETA)
    return loss.mean()


@dataclass(frozen=True)
class RungView:
    """What a network says, (pools, candidates) each; variances."""

    mean: Floats
    noise: Floats
    epistemic: Floats


def train_rung(
    pools: Sequence[LadderPool], rung: int, arm: str, seed: int, *, steps: int | None = None
) -> Callable[..., RungView]:
    """Trains one network; returns what says of pools cut to rows. No early stopping, no gate.

    `steps`: as many of gradient descent in place of EPOCHS, so that few pools are not learned less thoroughly.
    """
    torch.manual_seed(seed)
    network = _Rung(rung, len(pools[0].source))
    optimizer = torch.optim.AdamW(
        [one for one in network.parameters() if one.requires_grad], lr=RATE, weight_decay=0.01
    )
    everyone = [range(SIZE)] * len(pools)
    vectors, features, utility = _inputs(pools, everyone, rung)
    target = utility - utility.mean(1, keepdim=True) if rung >= RUNGS.index("differences") else utility
    rounds = EPOCHS if steps is None else -(-steps // -(-len(pools) // 16))
    for _ in range(rounds):
        order = torch.randperm(len(pools))
        for start in range(0, len(pools), 16):
            batch = order[start : start + 16]
            mean, noise, _ = network(vectors[batch], features[batch])
            loss = rung_loss(arm, mean, noise, target[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        mean, noise, last = network(vectors, features)
        # Bayesian linear regression on the last layer (Bishop 2006, section 3.3); a pool counts as one observation.
        weight = torch.exp(-noise) if arm in ("gaussian", "beta-nll") else torch.full_like(noise, TYPICAL**-2)
        gram = torch.einsum("bn,bnd,bne->de", weight / SIZE, last, last).double().numpy()
        prior = float(network.mean.weight.square().mean())
    covariance = np.linalg.inv(gram + np.eye(HIDDEN) / max(prior, 1e-9))

    def say(asked: Sequence[LadderPool], rows: Sequence[Sequence[int]]) -> RungView:
        with torch.no_grad():
            found = network(*_inputs(asked, rows, rung)[:2])
        mean, noise, last = (one.double().numpy() for one in found)
        return RungView(mean, np.exp(noise), np.maximum(np.einsum("bnd,de,bne->bn", last, covariance, last), 0))

    return say


def climb(
    pools: Sequence[LadderPool], work: Path, *, seeds: int, report: Callable[[str], None], most: int | None = None
) -> bool:
    """Trains every rung, arm and seed that `work` lacks, at most `most` of them; returns whether all are there."""
    work.mkdir(parents=True, exist_ok=True)
    done = 0
    for rung in range(len(RUNGS)):
        for arm in ARMS:
            for seed in range(seeds):
                kept = work / f"{rung}-{arm}-{seed}.npz"
                if kept.exists():
                    continue
                if most is not None and done >= most:
                    return False
                found = _cross_fitted(pools, rung, arm, seed)
                np.savez_compressed(work / "part.npz", allow_pickle=False, **found)
                (work / "part.npz").rename(kept)
                done += 1
                report(f"{RUNGS[rung]}, {arm}, seed {seed + 1}")
    return True


def _cross_fitted(pools: Sequence[LadderPool], rung: int, arm: str, seed: int) -> dict[str, Floats]:
    fold = np.array([zlib.crc32(f"{seed} {pool.user}".encode()) % FOLDS for pool in pools])
    score, picks = np.zeros((len(pools), SIZE)), np.zeros((len(pools), len(SIZES)))
    noise, epistemic = np.ones((len(pools), SIZE)), np.ones((len(pools), SIZE))
    for part in range(FOLDS):
        say = train_rung([pool for pool, one in zip(pools, fold, strict=True) if one != part], rung, arm, seed)
        rows = np.flatnonzero(fold == part).tolist()
        asked = [pools[row] for row in rows]
        said = say(asked, [range(SIZE)] * len(asked))
        score[rows], noise[rows], epistemic[rows] = said.mean, said.noise, said.epistemic
        for row, pool in zip(rows, asked, strict=True):
            for column, parts in enumerate(cuts(pool.place)):
                each = say([pool] * len(parts), parts).mean
                chosen = [picked(pool.utility, one, own) for one, own in zip(parts, each, strict=True)]
                picks[row, column] = np.mean(chosen)
    return {"score": score, "picked": picks, "sd": np.sqrt(noise), "epistemic": np.sqrt(epistemic)}


def write_ladder(
    pools: Sequence[LadderPool], work: Path, out: Path, reward: RewardModel, *, seeds: int, force: bool = False
) -> int:
    """Writes what `climb` left in `work`, and what the shipped model says, as a score file; returns its bytes."""
    made: dict[str, dict[str, Any]] = {SHIPPED: {"loss": "beta-nll", "name": reward.name, "reward": reward.fingerprint}}
    variants = {
        SHIPPED: Scored(
            *(np.concatenate([getattr(pool.shipped, name) for pool in pools])
              for name in ("score", "picked", "sd", "epistemic"))
        )
    }  # fmt: skip
    for rung, name in enumerate(RUNGS):
        for arm in ARMS:
            for seed in range(seeds):
                variants[variant(name, arm, seed)] = read_kept(work / f"{rung}-{arm}-{seed}.npz", arm)
                made[variant(name, arm, seed)] = {"rung": name, "loss": arm, "seed": seed}
    return write_rungs(pools, variants, made, work, out, force=force)


def read_kept(path: Path, arm: str) -> Scored:
    """What was kept of one network trained by the loss `arm`; without deviations where that learns none."""
    with np.load(path) as held:
        learned = ("sd", "epistemic") if arm in ("gaussian", "beta-nll") else ()
        return Scored(held["score"], held["picked"], **{name: held[name] for name in learned})


def write_rungs(
    pools: Sequence[LadderPool],
    variants: Mapping[str, Scored],
    made: Mapping[str, Mapping[str, Any]],
    work: Path,
    out: Path,
    *,
    force: bool = False,
) -> int:
    """Writes what the variants say of these pools of tune users, row by row, a set a task; returns the file's bytes."""
    salt = b"ladder" + work.name.encode()
    sets = []
    for task in sorted({pool.task for pool in pools}):
        rows = [row for row, pool in enumerate(pools) if pool.task == task]
        mine = [pools[row] for row in rows]
        sets.append(
            ScoreSet(
                task=task,
                policy="SmolLM2-135M Q4_1",
                sizes=SIZES,
                user=hashed([pool.user for pool in mine], salt),
                query=hashed([f"{pool.user}\0{pool.place}" for pool in mine], salt),
                part=np.full(len(mine), PARTS.index("tune"), dtype=np.int64),
                utility=np.stack([pool.utility for pool in mine]),
                variants={name: _of(one, rows) for name, one in variants.items()},
            )
        )
    return write_scores(out, ScoreFile(tuple(sets), made), force=force)


def _of(scored: Scored, rows: Sequence[int]) -> Scored:
    """What is said of some of the queries."""
    return Scored(
        scored.score[rows],
        scored.picked[rows],
        None if scored.sd is None else scored.sd[rows],
        None if scored.epistemic is None else scored.epistemic[rows],
    )
