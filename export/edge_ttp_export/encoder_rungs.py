"""The bottom rung with an encoder that is trained too: its last layers, or all that a cross-encoder sees at once.

The encoder is all-MiniLM-L6-v2 itself, whose lower layers stay as they are. `fine-tuned encoder`: vectors of candidate
and input from the trained layers, the user's mean beside them, into the bottom rung's MLP. `cross-encoder`: the input
and the outputs of the three nearest earlier items against the candidate, in one text. As on the ladder: absolute
utility, no gate, no early stopping, every score of a user whom the network has not seen.
"""

from __future__ import annotations

import copy
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edge_ttp.lab.reproduction.ladder import ARMS, CROSSED, TUNED, variant
from edge_ttp.lab.reproduction.score_file import Scored
from edge_ttp.scaling import best_of_n
from edge_ttp_export.minilm import WIDTH, MiniLMEncoder, Tokens, load_encoder
from edge_ttp_export.rungs import FOLDS, HIDDEN, RATE, SIZE, SIZES, TYPICAL, LadderPool, rung_loss, write_rungs
from edge_ttp_export.tune_queries import tune_queries

Floats = npt.NDArray[np.float64]

TRAINED_LAYERS = 2
"""Of the six."""
SHOWN = 8
"""Candidates of a pool that one step sees, drawn anew each time."""
POOLS = 4
"""Pools of a step."""
EPOCHS = {TUNED: 3, CROSSED: 1}
LAYER_RATE = 5e-5
CANDIDATE_TOKENS, CONTEXT_TOKENS = 48, 96
_BATCH = 32
NEAREST = 3
"""Earlier outputs that the cross-encoder reads."""


@dataclass(frozen=True)
class PoolTexts:
    """One pool's texts."""

    input: str
    candidates: tuple[str, ...]
    """SIZE."""
    earlier: tuple[tuple[str, str], ...]
    """The user's earlier items, input and output, oldest first."""


def read_texts(files: Sequence[Path], folder: Path, report: Callable[[str], None]) -> list[PoolTexts]:
    """The texts of the pools that `rungs.read_pools` reads from the same files, in the same order."""
    return [
        PoolTexts(
            query.item.input,
            tuple(one.text for one in drawn),
            tuple((item.input, item.output) for item in query.history),
        )
        for query, drawn in tune_queries(files, folder, SIZE, report)
    ]


class _Head(nn.Module):  # type: ignore[misc]
    """Mean and log variance from a vector: the bottom rung's MLP."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.hidden, self.mean, self.noise = nn.Linear(width, HIDDEN), nn.Linear(HIDDEN, 1), nn.Linear(HIDDEN, 1)
        nn.init.constant_(self.noise.bias, 2 * float(np.log(TYPICAL)))

    def forward(self, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """(B, N) means and log variances of (B, N, width)."""
        last = F.gelu(self.hidden(vectors))
        return self.mean(last).squeeze(-1), self.noise(last).squeeze(-1).clamp(-14, 2)


Tokenized = tuple[tuple[int, ...], tuple[int, ...]]
"""A text's token ids, and which of two parts each is of."""


class LowerLayers:
    """What the layers that stay as they are make of texts: computed once for each text, kept in half precision."""

    def __init__(self) -> None:
        self._encoder = load_encoder()
        self._kept: dict[Tokenized, Tensor] = {}

    @property
    def trained(self) -> nn.ModuleList:
        """A fresh copy of the layers above them."""
        layers = self._encoder.bert.encoder.layer
        return copy.deepcopy(layers[len(layers) - TRAINED_LAYERS :])

    def states(self, texts: Sequence[Tokenized]) -> tuple[Tensor, Tensor]:
        """(B, T, WIDTH) states after the lower layers and the (B, T) mask."""
        new = sorted({one for one in texts if one not in self._kept}, key=lambda one: len(one[0]))
        for start in range(0, len(new), _BATCH):
            self._read(new[start : start + _BATCH])
        held = [self._kept[one] for one in texts]
        mask = torch.zeros(len(held), max(len(one) for one in held), dtype=torch.long)
        for row, one in enumerate(held):
            mask[row, : len(one)] = 1
        return nn.utils.rnn.pad_sequence(held, batch_first=True).float(), mask

    def _read(self, texts: Sequence[Tokenized]) -> None:
        ids, kinds = (
            nn.utils.rnn.pad_sequence([torch.tensor(one[part]) for one in texts], batch_first=True) for part in (0, 1)
        )
        mask = torch.zeros_like(ids)
        for row, one in enumerate(texts):
            mask[row, : len(one[0])] = 1
        bert = self._encoder.bert
        with torch.no_grad():
            states = through(
                bert.encoder.layer[: len(bert.encoder.layer) - TRAINED_LAYERS],
                bert.embeddings(input_ids=ids, token_type_ids=kinds),
                mask,
            )
        for one, state in zip(texts, states, strict=True):
            self._kept[one] = state[: len(one[0])].half()


def through(layers: nn.ModuleList, states: Tensor, mask: Tensor) -> Tensor:
    """(B, T, WIDTH) states after these layers."""
    hidden = (1.0 - mask[:, None, None, :].to(states.dtype)) * torch.finfo(states.dtype).min
    for layer in layers:
        found = layer(states, attention_mask=hidden)
        states = found[0] if isinstance(found, tuple) else found
    return states


class _TextReader(nn.Module):  # type: ignore[misc]
    """What becomes of texts: lower layers as they are, upper ones trained, then the MLP."""

    width: int

    def __init__(self, lower: LowerLayers) -> None:
        super().__init__()
        self.lower, self.layers, self.head = lower, lower.trained, _Head(self.width)

    def vectors(self, texts: Sequence[Tokenized]) -> Tensor:
        """(B, WIDTH) unit vectors."""
        states, mask = self.lower.states(texts)
        return MiniLMEncoder.pooled(through(self.layers, states, mask), mask)

    def optimizer(self) -> torch.optim.Optimizer:
        """Slow for the encoder, as fast as the ladder's for the MLP."""
        layers, head = self.layers.parameters(), self.head.parameters()
        return torch.optim.AdamW(
            [{"params": layers, "lr": LAYER_RATE}, {"params": head, "lr": RATE}], weight_decay=0.01
        )


class Tuned(_TextReader):
    """The fine-tuned encoder."""

    width = 3 * WIDTH

    def forward(self, pools: Sequence[LadderPool], texts: Sequence[TokenPool], rows: Sequence[Any]) -> Any:
        """(B, N) means and log variances of these rows of each pool, as many of each."""
        written = [one.candidates[row] for one, part in zip(texts, rows, strict=True) for row in part]
        inputs, vectors = self.vectors([one.input for one in texts]), self.vectors(written)
        vectors = vectors.reshape(len(texts), -1, WIDTH)
        owner = torch.from_numpy(np.stack([pool.owner for pool in pools]).astype(np.float32))
        around = torch.cat([inputs, owner], dim=1).unsqueeze(1).expand(-1, vectors.shape[1], -1)
        return self.head(torch.cat([vectors, around], dim=-1))


class Crossed(_TextReader):
    """The cross-encoder."""

    width = WIDTH

    def forward(self, pools: Sequence[LadderPool], texts: Sequence[TokenPool], rows: Sequence[Any]) -> Any:
        """(B, N) means and log variances of these rows of each pool, as many of each."""
        together = [one.together(row) for one, part in zip(texts, rows, strict=True) for row in part]
        return self.head(self.vectors(together).reshape(len(texts), -1, WIDTH))


@dataclass(frozen=True)
class TokenPool:
    """One pool's texts in tokens."""

    input: Tokenized
    candidates: tuple[Tokenized, ...]
    context: Tokenized
    """The input and what was written near it."""

    @classmethod
    def of(cls, texts: PoolTexts, tokens: Tokens) -> TokenPool:
        """The pool's texts, each cut to its length."""

        def told(text: str, most: int) -> Tokenized:
            ids = tuple(int(one) for one in tokens([text])[0][0])[:most]
            return ids, (0,) * len(ids)

        context = " . ".join([texts.input, *(output for _, output in texts.earlier)])
        return cls(
            told(texts.input, CONTEXT_TOKENS),
            tuple(told(one, CANDIDATE_TOKENS) for one in texts.candidates),
            told(context, CONTEXT_TOKENS),
        )

    def together(self, row: int) -> Tokenized:
        """Context and candidate as one text of two parts."""
        first, second = self.context[0], self.candidates[row][0][1:]
        return (*first, *second), (*(0,) * len(first), *(1,) * len(second))


def nearest(pool: PoolTexts, encoder: MiniLMEncoder, tokens: Tokens) -> PoolTexts:
    """The pool with the earlier items whose inputs are nearest to its own alone, the nearest first."""
    recent = pool.earlier[-64:]
    if not recent:
        return pool
    with torch.no_grad():
        vectors = encoder(*tokens([pool.input, *(input for input, _ in recent)]))
    order = torch.argsort(vectors[1:] @ vectors[0], descending=True)[:NEAREST].tolist()
    return PoolTexts(pool.input, pool.candidates, tuple(recent[place] for place in order))


def tune_encoders(
    pools: Sequence[LadderPool],
    texts: Sequence[PoolTexts],
    work: Path,
    *,
    seeds: int,
    arms: Sequence[str] | None = None,
    report: Callable[[str], None],
) -> None:
    """Trains what `work` lacks, a fold at a time: the fine-tuned encoder with `arms`, the cross-encoder with mse."""
    work.mkdir(parents=True, exist_ok=True)
    wanted = [(TUNED, arm, seed) for arm in arms or ARMS for seed in range(seeds)] + [(CROSSED, "mse", 0)]
    lower, tokens = LowerLayers(), Tokens()
    read: dict[str, list[TokenPool]] = {TUNED: [], CROSSED: []}
    for kind, arm, seed in wanted:
        fold = np.array([zlib.crc32(f"{seed} {pool.user}".encode()) % FOLDS for pool in pools])
        for part in range(FOLDS):
            kept = work / f"{kind}-{arm}-{seed}-{part}.npz".replace(" ", "_")
            if kept.exists():
                continue
            if not read[kind]:
                near = texts if kind == TUNED else [nearest(one, load_encoder(), tokens) for one in texts]
                read[kind] = [TokenPool.of(one, tokens) for one in near]
            seen, asked = np.flatnonzero(fold != part).tolist(), np.flatnonzero(fold == part).tolist()
            reader = _train(lower, [pools[row] for row in seen], [read[kind][row] for row in seen], (kind, arm, seed))
            mean, noise = _say(reader, [pools[row] for row in asked], [read[kind][row] for row in asked])
            np.savez_compressed(work / "part.npz", rows=np.array(asked), score=mean, sd=np.exp(noise / 2))
            (work / "part.npz").rename(kept)
            report(f"{kind}, {arm}, seed {seed + 1}, part {part + 1} of {FOLDS}")


def _train(
    lower: LowerLayers, pools: Sequence[LadderPool], texts: Sequence[TokenPool], wanted: tuple[str, str, int]
) -> _TextReader:
    kind, arm, seed = wanted
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    reader: _TextReader = (Tuned if kind == TUNED else Crossed)(lower)
    reader.eval()  # no dropout, as everywhere on the ladder
    optimizer = reader.optimizer()
    for _ in range(EPOCHS[kind]):
        order = rng.permutation(len(pools))
        for start in range(0, len(pools), POOLS):
            batch = order[start : start + POOLS].tolist()
            rows = [rng.permutation(SIZE)[:SHOWN] for _ in batch]
            mean, noise = reader([pools[one] for one in batch], [texts[one] for one in batch], rows)
            utility = np.stack([pools[one].utility[row] for one, row in zip(batch, rows, strict=True)])
            loss = rung_loss(arm, mean, noise, torch.from_numpy(utility.astype(np.float32)))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return reader


def _say(reader: _TextReader, pools: Sequence[LadderPool], texts: Sequence[TokenPool]) -> tuple[Floats, Floats]:
    means, noises = [], []
    with torch.no_grad():
        for pool, one in zip(pools, texts, strict=True):
            mean, noise = reader([pool], [one], [range(SIZE)])
            means.append(mean[0].double().numpy())
            noises.append(noise[0].double().numpy())
    return np.stack(means), np.stack(noises)


def write_tuned(pools: Sequence[LadderPool], work: Path, out: Path, *, force: bool = False) -> int:
    """Writes every whole network that `tune_encoders` left in `work` as a score file; returns its bytes."""
    utility = np.stack([pool.utility for pool in pools])
    made: dict[str, dict[str, Any]] = {}
    variants: dict[str, Scored] = {}
    for kind, arms in ((TUNED, ARMS), (CROSSED, ("mse",))):
        for arm in arms:
            seed = 0
            while (score := _whole(work, kind, arm, seed, utility.shape)) is not None:
                mean, sd = score
                name = variant(kind, arm, seed)
                made[name] = {"rung": kind, "loss": arm, "seed": seed}
                learned = sd if arm in ("gaussian", "beta-nll") else None
                # A score of one text, or of one and its context, ignores the other candidates: the curve is exact.
                variants[name] = Scored(mean, best_of_n(utility, mean, SIZES), learned, None)
                seed += 1
    return write_rungs(pools, variants, made, work, out, force=force)


def _whole(work: Path, kind: str, arm: str, seed: int, shape: tuple[int, ...]) -> tuple[Floats, Floats] | None:
    """Scores and standard deviations of all pools, or None where a part is missing."""
    score, sd = np.full(shape, np.nan), np.full(shape, np.nan)
    for part in range(FOLDS):
        kept = work / f"{kind}-{arm}-{seed}-{part}.npz".replace(" ", "_")
        if not kept.exists():
            return None
        with np.load(kept) as held:
            score[held["rows"]], sd[held["rows"]] = held["score"], held["sd"]
    return (score, sd) if np.isfinite(score).all() else None
