"""How far one policy's next-token distributions are from another's: what a quantization lost.

The reference is read first and kept small (its most probable tokens, and the rest as one), so that the two models need
never be in memory together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from edge_ttp.budget import device
from edge_ttp.budget.timed import CHUNK
from edge_ttp.errors import InvalidInput, ModelUnavailable, OutOfCapacity
from edge_ttp.policy import bindings
from edge_ttp.policy.memory import LIBRARY_BYTES, MIB
from edge_ttp.schema import LoraAdapter

TOP = 4096
"""Tokens of the reference kept at each position; all others count as one. 32 KiB a position."""

ROWS = 32
"""Positions whose logits are computed at once."""
_AT_ONCE = 8  # of those, compared at once: a row of a large vocabulary takes 2 MiB in 64 bits
_LEAST = 1e-12  # probability of a rest that rounding makes vanish

Logits = npt.NDArray[np.float32]
Advance = Callable[[int], None]
"""Called with the positions done so far."""


@dataclass(frozen=True)
class Passage:
    """A text of some model's tokens, and which of them it is asked to predict. Raises InvalidInput."""

    tokens: tuple[int, ...]
    scored: tuple[int, ...]
    """Indices into `tokens`, rising, from 1: each is predicted from all tokens before it."""

    def __post_init__(self) -> None:
        rising = all(before < after for before, after in zip(self.scored, self.scored[1:], strict=False))
        if not self.scored or self.scored[0] < 1 or self.scored[-1] >= len(self.tokens) or not rising:
            raise InvalidInput("a passage names no token that can be predicted", "score tokens from the second on")


class Scorer(Protocol):
    """A model that predicts (PolicyScorer; an exporter's own network; a table in tests)."""

    @property
    def vocab_size(self) -> int:
        """Length of its distributions."""

    def logits(self, passage: Passage) -> Iterator[Logits]:
        """Logits (rows, vocabulary) for the scored tokens, in their order; an array is valid until the next one."""


class PolicyScorer:
    """A GGUF policy, with LoRA adapters if given, that predicts whole texts. A context manager: its end frees memory.

    Raises ModelUnavailable or OutOfCapacity where it does not load.
    """

    def __init__(self, path: Path, *, threads: int, gpu_layers: int = 0, adapters: Sequence[LoraAdapter] = ()) -> None:
        self._threads = threads
        self._model = load(path, gpu_layers=gpu_layers)
        self._adapters: list[tuple[bindings.LoadedAdapter, float]] = []
        self._context: bindings.Context | None = None
        self.vocab_size = self._model.vocab_size
        try:
            for adapter in adapters:
                self._adapters.append((bindings.LoadedAdapter(self._model, Path(adapter.path)), adapter.scale))
        except ModelUnavailable:
            self.close()
            raise

    def logits(self, passage: Passage) -> Iterator[Logits]:
        """Logits (rows, vocabulary) for the scored tokens, some rows at a time."""
        context = self._prepare(passage.scored[-1])
        context.clear()
        wanted = {index - 1 for index in passage.scored}
        places = range(passage.scored[-1])
        for predicts, run in groupby(places, key=wanted.__contains__):
            indices = list(run)
            step = ROWS if predicts else CHUNK
            for first in range(0, len(indices), step):
                part = indices[first : first + step]
                tokens = [passage.tokens[index] for index in part]
                if predicts:
                    yield context.step(tokens, part, [[0]] * len(part))
                else:
                    context.prefill(tokens, part[0], want_logits=False)

    def _prepare(self, length: int) -> bindings.Context:
        if length > self._model.context_trained:
            raise InvalidInput(
                f"a passage of {length} tokens exceeds the model's context of {self._model.context_trained}", "cut it"
            )
        if self._context is None or self._context.cells < length:
            if self._context is not None:
                self._context.close()
            self._context = bindings.Context(
                self._model, cells=-(-length // 256) * 256, sequences=ROWS, chunk=CHUNK, threads=self._threads
            )
            if self._adapters:
                self._context.adapt(self._adapters)
        return self._context

    def close(self) -> None:
        """Frees the memory."""
        if self._context is not None:
            self._context.close()
            self._context = None
        for adapter, _ in self._adapters:
            adapter.close()
        self._adapters = []
        self._model.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def load(path: Path, *, gpu_layers: int = 0) -> bindings.Model:
    """The model in `path`, laid out as the runtime does. Raises ModelUnavailable or, beforehand, OutOfCapacity."""
    size, free = path.stat().st_size if path.is_file() else 0, device.available_memory()
    if size + LIBRARY_BYTES > free:
        raise OutOfCapacity(
            f"the model {path.name} needs over {(size + LIBRARY_BYTES) // MIB} MiB, {free // MIB} MiB are free",
            "make room or choose a smaller format",
        )
    return bindings.Model(path, gpu_layers=gpu_layers, spare_memory=2 * size + LIBRARY_BYTES > free)


@dataclass(frozen=True)
class Reference:
    """One model's predictions of some passages, the less probable tokens of each position taken together."""

    passages: tuple[Passage, ...]
    vocab_size: int
    ids: npt.NDArray[np.int32]
    """(positions, kept): the most probable tokens, in no order."""
    logprobs: npt.NDArray[np.float32]
    """(positions, kept): their log-probabilities."""
    observed: npt.NDArray[np.float64]
    """(positions,): log-probability of the token that stands in the text."""
    best: npt.NDArray[np.int32]
    """(positions,): the most probable token."""


@dataclass(frozen=True)
class Fidelity:
    """How a model's predictions differ from the reference's, over all positions. Divergences in nats."""

    positions: int
    mean_kl: float
    """Mean of KL(reference || model). A lower bound, as the reference's less probable tokens count as one."""
    mean_kl_error: float
    """Standard error of the mean, the positions of a passage counted as one cluster; 0 for a single passage."""
    p99_kl: float
    top1_agreement: float
    """Share of positions where both find the same token the most probable one."""
    perplexity: float
    perplexity_reference: float

    def as_dict(self) -> dict[str, Any]:
        """For JSON and manifests."""
        return asdict(self)


def reference(
    scorer: Scorer, passages: Sequence[Passage], *, top: int = TOP, advance: Advance | None = None
) -> Reference:
    """The predictions of `scorer`, to compare others with."""
    if not passages:
        raise InvalidInput("there is no text to compare on", "give a text")
    kept = min(top, scorer.vocab_size)
    ids, logprobs, observed, best = [], [], [], []
    for values, targets in _rows(scorer, passages, advance):
        chosen = np.argpartition(values, -kept, axis=1)[:, -kept:].astype(np.int32)
        ids.append(chosen)
        logprobs.append(np.take_along_axis(values, chosen, axis=1).astype(np.float32))
        observed.append(values[np.arange(len(targets)), targets])
        best.append(values.argmax(axis=1).astype(np.int32))
    return Reference(
        passages=tuple(passages),
        vocab_size=scorer.vocab_size,
        ids=np.concatenate(ids),
        logprobs=np.concatenate(logprobs),
        observed=np.concatenate(observed),
        best=np.concatenate(best),
    )


def compare(scorer: Scorer, against: Reference, *, advance: Advance | None = None) -> Fidelity:
    """How the predictions of `scorer` differ from `against`. Raises InvalidInput for another vocabulary."""
    if scorer.vocab_size != against.vocab_size:
        raise InvalidInput(
            f"the models have {against.vocab_size} and {scorer.vocab_size} tokens", "compare formats of one model"
        )
    divergences, observed, agreed = [], [], []
    done = 0
    for values, targets in _rows(scorer, against.passages, advance):
        here = slice(done, done + len(targets))
        done = here.stop
        theirs = against.logprobs[here].astype(np.float64)
        ours = np.take_along_axis(values, against.ids[here], axis=1)
        divergences.append(_divergence(theirs, ours, whole=against.ids.shape[1] == against.vocab_size))
        observed.append(values[np.arange(len(targets)), targets])
        agreed.append(values.argmax(axis=1) == against.best[here])
    divergence = np.concatenate(divergences)
    return Fidelity(
        positions=done,
        mean_kl=float(divergence.mean()),
        mean_kl_error=_clustered_error(divergence, [len(passage.scored) for passage in against.passages]),
        p99_kl=float(np.quantile(divergence, 0.99)),
        top1_agreement=float(np.concatenate(agreed).mean()),
        perplexity=math.exp(-float(np.concatenate(observed).mean())),
        perplexity_reference=math.exp(-float(against.observed.mean())),
    )


def _rows(
    scorer: Scorer, passages: Sequence[Passage], advance: Advance | None
) -> Iterator[tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]]:
    """Log-probabilities (rows, vocabulary) and the tokens that follow (rows,), block by block."""
    done = 0
    for passage in passages:
        expected = np.array([passage.tokens[index] for index in passage.scored], dtype=np.int64)
        start = 0
        for block in scorer.logits(passage):
            for first in range(0, len(block), _AT_ONCE):
                values = block[first : first + _AT_ONCE].astype(np.float64)
                values -= values.max(axis=1, keepdims=True)
                values -= np.log(np.exp(values).sum(axis=1, keepdims=True))
                yield values, expected[start : start + len(values)]
                start += len(values)
            if advance is not None:
                advance(done + start)
        done += start


def _divergence(
    theirs: npt.NDArray[np.float64], ours: npt.NDArray[np.float64], *, whole: bool
) -> npt.NDArray[np.float64]:
    """KL (rows,) of the kept tokens and of the rest taken as one token, from log-probabilities (rows, kept)."""
    p = np.exp(theirs)
    total: npt.NDArray[np.float64] = (p * (theirs - ours)).sum(axis=1)
    if not whole:
        rest, our_rest = (np.maximum(1 - np.exp(side).sum(axis=1), _LEAST) for side in (theirs, ours))
        total += rest * np.log(rest / our_rest)
    return np.maximum(total, 0.0)  # rounding


def _clustered_error(values: npt.NDArray[np.float64], sizes: Sequence[int]) -> float:
    if len(sizes) < 2:
        return 0.0
    ends = np.cumsum(sizes)
    sums = np.add.reduceat(values - values.mean(), np.concatenate([[0], ends[:-1]]))
    return float(np.sqrt((sums**2).sum() * len(sizes) / (len(sizes) - 1)) / len(values))
