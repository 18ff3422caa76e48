"""Trains the reward network on pools: random pool sizes, early stopping by the utility of what would be chosen."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from edge_ttp.errors import InvalidInput
from edge_ttp.reward.features import FEATURES, with_pool
from edge_ttp.reward.salience import COLUMNS as COLUMNS_OF_SALIENCE
from edge_ttp.reward.word_features import WORD_FEATURES
from edge_ttp_export.examples import LabelledPool
from edge_ttp_export.losses import Loss, difference_loss, differences, offset_loss
from edge_ttp_export.network import COLUMNS, Batch, Heads, RewardNetwork
from edge_ttp_export.train_words import train_words
from edge_ttp_export.user_split import tune_half

START_WEIGHTS = {"consensus": 1.0, "input_cosine": 1.0, "user_cosine": 1.0, "expected_overlap": 1.0}
"""The last layer starts as this sum of z-scores, times START_SCALE."""
START_SCALE = 0.15
LAST_LAYER_RATE = 5.0
SMALLEST_POOL = 2
AVERAGING = 0.8
"""How much of the running mean of the weights an epoch leaves."""
COLLAPSED = 0.1
"""A network whose differences spread less than this share of the utility's spread has collapsed."""


@dataclass(frozen=True)
class TrainSettings:
    """How a network is trained. Everything that decides the result, with the pools."""

    loss: Loss = "beta-nll"
    beta: float = 0.0
    seed: int = 1
    epochs: int = 30
    patience: int = 10
    batch: int = 16
    rate: float = 2e-3
    decay: float = 0.05
    dropout: float = 0.7
    text_terms: bool = True
    """Whether the network also reads the text vectors, not only features made of them. With a few hundred pools it
    learns the vectors by heart."""
    salience: bool = True
    """Whether words' affinity and salience count: not in a network that must not know of a task which those know."""


@dataclass(frozen=True)
class Trained:
    """A trained network with the uncertainty of its last layer."""

    network: RewardNetwork
    covariance: npt.NDArray[np.float64]
    """(D, D) of the last layer's weights."""
    usual_distance: float
    """95% of the training candidates are nearer."""
    signal_variance: float
    """Mean variance of the predicted differences within a pool."""
    facts: dict[str, Any]
    """Settings, counts and the course of the training."""


Member = tuple[LabelledPool, Sequence[int]]
State = Mapping[str, Tensor]


def collate(members: Sequence[Member]) -> tuple[Batch, Tensor]:
    """A padded batch of pools, each cut to the candidates named, and their utilities (B, N)."""
    count = len(members)
    widest = max(len(rows) for _, rows in members)
    longest = max(1, *(pool.profile.items for pool, _ in members))
    width = len(members[0][0].source.vector)
    candidates = np.zeros((count, widest, width), np.float32)
    features = np.zeros((count, widest, len(FEATURES)), np.float32)
    outputs, inputs = (np.zeros((count, longest, width), np.float32) for _ in range(2))
    pool_mask, history_mask = np.zeros((count, widest), np.float32), np.zeros((count, longest), np.float32)
    utility = np.zeros((count, widest), np.float32)
    known = [pool.words.within(rows) for pool, rows in members]
    words = np.zeros((count, max(len(table) for table, _ in known), len(WORD_FEATURES)), np.float32)
    membership = np.zeros((count, widest, words.shape[1]), np.float32)
    for index, (pool, rows) in enumerate(members):
        part = pool.encoded.take(rows)
        size, items = len(rows), pool.profile.items
        candidates[index, :size] = part.vectors
        features[index, :size] = with_pool(pool.table[list(rows)], part.similarity, part.vectors)
        pool_mask[index, :size] = 1
        outputs[index, :items], inputs[index, :items] = pool.profile.outputs, pool.profile.inputs
        history_mask[index, :items] = 1
        utility[index, :size] = pool.utility[list(rows)]
        table, uses = known[index]
        words[index, : len(table)], membership[index, :size, : len(table)] = table, uses
    contexts = np.stack([pool.context(len(rows)) for pool, rows in members])
    sources = np.stack([pool.source.vector for pool, _ in members])
    arrays = (candidates, pool_mask, sources, outputs, inputs, history_mask, features, contexts, words, membership)
    return Batch(*(torch.from_numpy(array) for array in arrays)), torch.from_numpy(utility)


def train(
    real: Sequence[LabelledPool],
    tune: Sequence[LabelledPool],
    settings: TrainSettings,
    report: Callable[[str], None],
) -> Trained:
    """The network with the best mean share of headroom on `tune`, trained on `real` pools.

    Raises InvalidInput where there are too few pools to train or to stop by, or where the result has collapsed.
    """
    if len(real) < 20 or len(tune) < 5:
        raise InvalidInput(f"{len(real)} pools to train and {len(tune)} to tune are too few", "make more pools")
    stopping, fitting = _halves(tune)
    torch.manual_seed(settings.seed)
    source = random.Random(settings.seed)
    network = RewardNetwork(settings.dropout)
    if not settings.salience:
        network.words.ignore(COLUMNS_OF_SALIENCE)
    word_loss = train_words(network.words, real, settings.seed)
    report(f"words: loss {word_loss:.4f}")
    _prepare(network, real)
    if not settings.text_terms:
        network.silence_text_terms()
    learned = [(name, one) for name, one in network.named_parameters() if one.requires_grad]
    decayed = [one for name, one in learned if one.dim() > 1]
    plain = [one for name, one in learned if one.dim() <= 1 and name != "weights"]
    groups = [
        {"params": decayed, "weight_decay": settings.decay},
        {"params": plain, "weight_decay": 0.0},
        # The last layer starts at one rule and has to reach others: its steps are larger.
        {"params": [network.weights], "weight_decay": 0.0, "lr": LAST_LAYER_RATE * settings.rate},
    ]
    optimizer = torch.optim.AdamW(groups, lr=settings.rate)
    best, best_state, best_epoch, course = -np.inf, network.state_dict(), 0, []
    averaged, mean_state = copy.deepcopy(network), None
    for epoch in range(settings.epochs):
        loss = _epoch(network, optimizer, [*real, *real], settings, source)
        mean_state = _averaged(mean_state, network.state_dict())
        averaged.load_state_dict(mean_state)
        share = selection_share(averaged, stopping, seed=settings.seed)
        course.append({"epoch": epoch, "loss": round(loss, 4), "tune_share": round(share, 4)})
        report(f"epoch {epoch + 1} of {settings.epochs}: loss {loss:.4f}, tune share {share:.3f}")
        if share > best:
            best, best_epoch = share, epoch
            best_state = {name: value.clone() for name, value in mean_state.items()}
        if epoch - best_epoch >= settings.patience:
            break
    network.load_state_dict(best_state)
    network.eval()
    spread = score_spread(network, tune)
    if spread < COLLAPSED:
        raise InvalidInput(
            f"the network has collapsed: its scores spread {spread:.3f} of the utility's spread",
            "train with another --loss, --beta or --seed",
        )
    _calibrate_offset(network, fitting)
    chosen, scale = _choose_covariance(network, real, fitting)
    distances, signal = _training_distances(network, real)
    facts = {
        "settings": asdict(settings),
        "pools": {"train": len(real), "tune": len(tune)},
        "word_loss": round(word_loss, 4),
        "best_epoch": best_epoch,
        "tune_share": round(best, 4),
        "score_spread": round(spread, 4),
        "effective_candidates": scale,
        "course": course,
    }
    return Trained(network, chosen, float(np.quantile(distances, 0.95)), signal, facts)


def _halves(tune: Sequence[LabelledPool]) -> tuple[list[LabelledPool], list[LabelledPool]]:
    """Tune pools to stop by and tune pools to fit variances on: of different users, where there are any.

    A network that was stopped where it does best on some users is surer of them than of others.
    """
    parts = tuple([pool for pool in tune if tune_half(pool.user_id) == half] for half in (0, 1))
    return (parts[0], parts[1]) if all(parts) else (list(tune), list(tune))


def _averaged(mean: State | None, state: State) -> State:
    """The running mean of the weights over epochs (Polyak & Juditsky 1992).

    A single epoch's network chooses by chance a little better or worse; stopping at the best of them would be stopping
    at the luckiest.
    """
    if mean is None:
        return {name: value.clone() for name, value in state.items()}
    return {name: AVERAGING * mean[name] + (1 - AVERAGING) * value for name, value in state.items()}


def predict(network: RewardNetwork, members: Sequence[Member], batch: int = 64) -> list[tuple[Heads, Tensor, Tensor]]:
    """Heads, utilities and masks of the members, in batches, without gradients."""
    network.eval()
    found = []
    with torch.no_grad():
        for start in range(0, len(members), batch):
            inputs, utility = collate(members[start : start + batch])
            found.append((network(inputs), utility, inputs.pool_mask))
    return found


def selection_share(
    network: RewardNetwork, pools: Sequence[LabelledPool], *, seed: int, sizes: Sequence[int] = (4, 8, 16)
) -> float:
    """Mean over tasks and pool sizes of the headroom share that the largest predicted difference reaches.

    Share: (sum of chosen - sum of mean) / (sum of best - sum of mean) over the pools of a task. Every pool is cut to
    three random pools of each smaller size.
    """
    source = random.Random(seed)
    members = []
    for size in sizes:
        for pool in pools:
            if pool.size >= size:
                members += [(pool, source.sample(range(pool.size), size)) for _ in range(3 if size < pool.size else 1)]
    gained: dict[tuple[str, int], list[float]] = {}
    place = 0
    for heads, utility, mask in predict(network, members):
        ranked = heads.difference.masked_fill(mask == 0, -1e9)
        for row in range(len(utility)):
            pool, rows = members[place]
            values = utility[row, : len(rows)]
            mean, chosen = values.mean().item(), utility[row, int(ranked[row].argmax())].item()
            sums = gained.setdefault((pool.task, len(rows)), [0.0, 0.0])
            sums[0] += chosen - mean
            sums[1] += values.max().item() - mean
            place += 1
    return float(np.mean([gain / max(headroom, 1e-9) for gain, headroom in gained.values()]))


def score_spread(network: RewardNetwork, pools: Sequence[LabelledPool]) -> float:
    """Median over pools of sd(predicted difference) / sd(utility), where the utilities differ at all."""
    ratios = []
    for heads, utility, mask in predict(network, [(pool, range(pool.size)) for pool in pools]):
        truth = differences(utility, mask).square().sum(1).sqrt()
        found = (heads.difference * mask).square().sum(1).sqrt()
        ratios += (found / truth)[truth > 1e-6].tolist()
    return float(np.median(ratios)) if ratios else 0.0


def _prepare(network: RewardNetwork, pools: Sequence[LabelledPool]) -> None:
    """Scales from the training candidates; the last layer starts as the untrained sum."""
    columns = []
    with torch.no_grad():
        for pool in pools:
            batch, _ = collate([(pool, range(pool.size))])
            columns.append(network.columns(batch)[0])
        vectors = torch.from_numpy(np.concatenate([pool.encoded.vectors for pool in pools]))
        network.standardize(torch.cat(columns), vectors)
        for index, name in enumerate(COLUMNS):
            network.weights[index] = START_SCALE * START_WEIGHTS.get(name, 0.0)
        network.weights[len(COLUMNS) :] = 0.1 * torch.randn(len(network.weights) - len(COLUMNS))


def _epoch(
    network: RewardNetwork,
    optimizer: torch.optim.Optimizer,
    pools: Sequence[LabelledPool],
    settings: TrainSettings,
    source: random.Random,
) -> float:
    network.train()
    shuffled = source.sample(list(pools), len(pools))
    total = 0.0
    for start in range(0, len(shuffled), settings.batch):
        part = shuffled[start : start + settings.batch]
        members = [(pool, source.sample(range(pool.size), source.randint(SMALLEST_POOL, pool.size))) for pool in part]
        batch, utility = collate(members)
        heads = network(batch)
        loss = difference_loss(settings.loss, settings.beta, heads, utility, batch.pool_mask)
        loss = (loss + 0.2 * offset_loss(heads, utility, batch.pool_mask)).mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        total += loss.item() * len(part)
    return total / len(shuffled)


def _choose_covariance(
    network: RewardNetwork, real: Sequence[LabelledPool], tune: Sequence[LabelledPool]
) -> tuple[npt.NDArray[np.float64], float]:
    """Covariance (D, D) of the last layer's weights, and the effective number of candidates per pool behind it.

    Bayesian linear regression (Bishop 2006, section 3.3) on the centred last layer with the predicted noise. Candidates
    of a pool are judged against one reference and are not independent: a pool counts as so many candidates, chosen by
    the likelihood of the tune pools under noise + epistemic variance.
    """
    prior = float(network.weights.detach().square().mean())
    gram = np.zeros((len(network.weights), len(network.weights)))
    for heads, _, mask in predict(network, [(pool, range(pool.size)) for pool in real]):
        precision = torch.exp(-heads.log_variance) * mask / mask.sum(1, keepdim=True)
        gram += torch.einsum("bn,bnd,bne->de", precision, heads.phi, heads.phi).double().numpy()
    held_out = predict(network, [(pool, range(pool.size)) for pool in tune])
    best, chosen, scale = np.inf, np.eye(len(gram)), 1.0
    for effective in (0.5, 1.0, 2.0, 4.0, 8.0, 16.0):
        covariance = np.linalg.inv(effective * gram + np.eye(len(gram)) / prior)
        covariance = (covariance + covariance.T) / 2
        matrix = torch.from_numpy(covariance).float()
        losses = []
        for heads, utility, mask in held_out:
            epistemic = torch.einsum("bnd,de,bne->bn", heads.phi, matrix, heads.phi)
            total = torch.exp(heads.log_variance) + epistemic
            error = differences(utility, mask) - heads.difference
            losses.append((0.5 * (error.square() / total + torch.log(total)) * mask).sum() / mask.sum())
        loss = float(torch.stack(losses).mean())
        if loss < best:
            best, chosen, scale = loss, covariance, effective
    return chosen, scale


def _calibrate_offset(network: RewardNetwork, tune: Sequence[LabelledPool]) -> None:
    """Scales the offset's noise variance so that on tune pools squared errors are as large as it says, on average."""
    ratios = []
    for heads, utility, mask in predict(network, [(pool, range(pool.size)) for pool in tune]):
        error = (utility * mask).sum(1) / mask.sum(1) - heads.offset
        ratios += (error.square() * torch.exp(-heads.offset_log_variance)).tolist()
    network.scale_offset_variance(max(float(np.mean(ratios)), 1e-3))


def _training_distances(network: RewardNetwork, real: Sequence[LabelledPool]) -> tuple[npt.NDArray[np.float64], float]:
    distances, variances = [], []
    for heads, _, mask in predict(network, [(pool, range(pool.size)) for pool in real]):
        distances.append(heads.distance[mask > 0].double().numpy())
        variances.append(((heads.difference * mask).square().sum(1) / mask.sum(1)).double().numpy())
    return np.concatenate(distances), float(np.concatenate(variances).mean())
