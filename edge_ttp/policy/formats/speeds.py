"""How fast the formats of one model are on this device: reading a prompt, and decoding many candidates together.

The formats take turns: every round visits each of them once, and ratios are taken within a round, so that a machine
that gets slower or busier meanwhile slows all of them. One model is in memory at a time.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_ttp.budget.timed import CHUNK
from edge_ttp.errors import InvalidInput, OutOfCapacity
from edge_ttp.policy import bindings
from edge_ttp.policy.formats.fidelity import load
from edge_ttp.policy.gpu import ALL_LAYERS

COUNTS = (1, 8, 32)
"""Candidates decoded together."""
PROMPT_TOKENS = 256
"""Prompt that is timed, and that the candidates continue."""
ANSWER_TOKENS = 24
"""Length of a candidate in the usual request."""
USUAL = (8, 32)
"""Candidates of the usual requests."""
ROUNDS = 5

_STEPS = {1: 16, 8: 10, 32: 8}

Advance = Callable[[int], None]
"""Called with the visits done so far."""


@dataclass(frozen=True)
class Visit:
    """One look at a format: medians within a second or so."""

    prompt_token_s: float
    step_s: Mapping[int, float]
    """Candidates decoded together -> seconds of one step, which gives each of them a token."""

    @property
    def request_s(self) -> float:
        """Seconds of a usual request: its prompt, and answers for 8 or 32 candidates (the mean), nothing shared."""
        steps = statistics.fmean(self.step_s[n] for n in USUAL)
        return PROMPT_TOKENS * self.prompt_token_s + ANSWER_TOKENS * steps


@dataclass(frozen=True)
class FormatSpeed:
    """What some rounds found of one format. Ratios are medians over the rounds, above 1 where faster than the base."""

    prompt_tps: float
    """Prompt tokens per second."""
    decode_tps: Mapping[int, float]
    """Candidates decoded together -> tokens per second, all candidates' together."""
    prompt_ratio: float
    decode_ratio: Mapping[int, float]
    request_ratio: float
    """For a usual request (Visit.request_s)."""
    rounds_faster: int
    """Rounds in which a usual request took less than with the base."""
    rounds: int


def measure(
    files: Mapping[str, Path],
    *,
    base: str,
    threads: int,
    rounds: int = ROUNDS,
    gpu_layers: int | None = None,
    advance: Advance | None = None,
) -> tuple[dict[str, FormatSpeed], dict[str, str]]:
    """The speed of each format in `files` relative to the format `base`, and of those that do not fit, why.

    Raises ModelUnavailable where a file does not load, and OutOfCapacity where the base itself does not fit.
    """
    if rounds < 1:
        raise InvalidInput(f"rounds={rounds} measure nothing", "choose 1 or more")
    layers = gpu_layers if gpu_layers is not None else (ALL_LAYERS if bindings.gpus() else 0)
    visits: dict[str, list[Visit]] = {name: [] for name in files}
    unfit: dict[str, str] = {}
    done = 0
    for turn in range(rounds):
        for name in _order(list(files), turn):
            if name not in unfit:
                try:
                    visits[name].append(visit(files[name], threads=threads, gpu_layers=layers))
                except OutOfCapacity as error:
                    if name == base:
                        raise
                    unfit[name] = error.fact
            done += 1
            if advance is not None:
                advance(done)
    return {name: summarize(visits[name], visits[base]) for name in files if name not in unfit}, unfit


def summarize(visits: Sequence[Visit], base: Sequence[Visit]) -> FormatSpeed:
    """The speed found in `visits`, relative to those of the `base` in the same rounds."""
    pairs = list(zip(visits, base, strict=True))
    requests = [theirs.request_s / ours.request_s for ours, theirs in pairs]
    return FormatSpeed(
        prompt_tps=1 / statistics.median(one.prompt_token_s for one in visits),
        decode_tps={n: n / statistics.median(one.step_s[n] for one in visits) for n in COUNTS},
        prompt_ratio=statistics.median(theirs.prompt_token_s / ours.prompt_token_s for ours, theirs in pairs),
        decode_ratio={
            n: statistics.median(theirs.step_s[n] / ours.step_s[n] for ours, theirs in pairs) for n in COUNTS
        },
        request_ratio=statistics.median(requests),
        rounds_faster=sum(ratio > 1 for ratio in requests),
        rounds=len(requests),
    )


def visit(path: Path, *, threads: int, gpu_layers: int = 0) -> Visit:
    """One timing of the GGUF file at `path`, which is loaded and closed again."""
    model = load(path, gpu_layers=gpu_layers)
    try:
        widest = max(COUNTS)
        cells = PROMPT_TOKENS + widest * (max(_STEPS.values()) + 2)
        context = bindings.Context(
            model, cells=cells, sequences=widest + 1, chunk=CHUNK, threads=threads, cache_type="f16"
        )
        try:
            return _timed(context, _filler(model))
        finally:
            context.close()
    finally:
        model.close()


def _order(names: list[str], turn: int) -> list[str]:
    """Everybody is first, and comes before everybody else, equally often."""
    start = turn % len(names)
    turned = names[start:] + names[:start]
    return turned if turn % 2 == 0 else turned[::-1]


def _filler(model: bindings.Model) -> list[int]:
    words = model.tokenize("The second floor printer works again, thanks to everybody who waited. ", control=False)
    return (words * math.ceil(PROMPT_TOKENS / len(words)))[:PROMPT_TOKENS]


def _timed(context: bindings.Context, filler: list[int]) -> Visit:
    # 1. Once unmeasured: pages of the file come into memory, buffers are made.
    context.prefill(filler[:CHUNK], 0, want_logits=True)
    context.clear()
    # 2. The prompt.
    started = time.perf_counter()
    for start in range(0, PROMPT_TOKENS, CHUNK):
        context.prefill(filler[start : start + CHUNK], start, want_logits=start + CHUNK == PROMPT_TOKENS)
    prompt_s = time.perf_counter() - started
    # 3. Steps of candidates that continue it with different tokens.
    step_s = {}
    for n in COUNTS:
        sequences = range(1, n + 1)
        context.fork(sequences)
        taken = []
        for step in range(_STEPS[n] + 1):
            started = time.perf_counter()
            context.step(filler[step : step + n], [PROMPT_TOKENS + step] * n, [[sequence] for sequence in sequences])
            taken.append(time.perf_counter() - started)
        for sequence in sequences:
            context.drop(sequence)
        step_s[n] = statistics.median(taken[1:])
    return Visit(prompt_token_s=prompt_s / PROMPT_TOKENS, step_s=step_s)
