"""How fast candidates come: this engine against a loop of create_completion, and against itself without sharing.

Everything is measured in pairs on the same prompt within one run, and the medians of the pairs' ratios are reported.
Both sides sample alike and draw the same number of tokens.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from edge_ttp.bench.prompts import Task
from edge_ttp.generation import DEFAULT_EXAMPLES, encode
from edge_ttp.history import History
from edge_ttp.paths import Paths
from edge_ttp.policy.bindings import plain_completer
from edge_ttp.policy.engine import Control, Request, Sampled
from edge_ttp.policy.llama import LlamaPolicy
from edge_ttp.policy.sampling import Filters
from edge_ttp.prompt import Style

MAX_TOKENS = 24
"""Tokens a candidate may have: the length of a headline or a commit subject."""

Advance = Callable[[float], None]


@dataclass(frozen=True)
class Row:
    """One line of the table. Medians over the prompts."""

    model: str
    n: int
    temperature: float
    tokens_per_s: float
    """Candidate tokens per second of the whole call, prefill included."""
    ratio_loop: float
    """Times faster than the loop for the same number of tokens."""
    ratio_unshared: float
    """Times faster than with a batch row for every candidate."""
    outside_decode: float
    """Part of the decoding time spent between llama.cpp's decode calls."""
    cost_per_candidate_vs_1: float
    """Seconds per candidate relative to one candidate alone, prefill included."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def measure(
    path: Path,
    name: str,
    style: Style,
    tasks: Sequence[Task],
    *,
    counts: Sequence[int],
    temperatures: Sequence[float],
    threads: int,
    advance: Advance,
) -> list[Row]:
    """Rows for one model, for every n in `counts` and temperature."""
    policy = LlamaPolicy(path, threads=threads)
    composed = _compose(policy, style, tasks)
    context = max(len(prompt) for prompt, _ in composed) + MAX_TOKENS + 8
    loop = plain_completer(path, context=context, threads=threads)
    rows, done = [], 0
    for temperature in temperatures:
        filters = Filters(temperature=temperature)
        alone: dict[int, float] = {}
        for n in sorted({1, *counts}):
            speed, against_loop, against_unshared, outside, cost = [], [], [], [], []
            for index, (prompt, stop) in enumerate(composed):
                request = Request(
                    prompt=prompt, n=n, filters=filters, seed=1000 * index, max_tokens=MAX_TOKENS, stop=stop
                )
                drawn, seconds = _ours(policy, request)
                alone.setdefault(index, seconds)
                plain, plain_seconds = _ours(policy, replace(request, share=False))
                loop_seconds, loop_tokens = _loop(loop, request, _tokens(drawn))
                rate = _tokens(drawn) / seconds
                speed.append(rate)
                against_loop.append(rate / (loop_tokens / loop_seconds))
                against_unshared.append(rate / (_tokens(plain) / plain_seconds))
                outside.append(drawn.sample_s / drawn.decode_s if drawn.decode_s else 0.0)
                cost.append(seconds / n / alone[index])
                done += 1
                advance(done)
            if n in counts:
                medians = [
                    statistics.median(values) for values in (speed, against_loop, against_unshared, outside, cost)
                ]
                rows.append(Row(name, n, temperature, *medians))
    policy.close()
    loop.close()
    return rows


def pipeline_overhead(model: str, tasks: Sequence[Task], *, n: int, threads: int, paths: Paths) -> float:
    """Share of a request's time outside the decoder at `n` candidates, the median over `tasks`.

    Everything but prefill and decode: recall, sampling, scoring, choosing, SQLite. Each user's first request, which
    also computes the vectors of their history once, is not counted.
    """
    from edge_ttp.runtime import Runtime

    shares = []
    with temporary_home(paths) as home, Runtime.open(home=home, model=model, threads=threads) as runtime:
        seen = set()
        for task in tasks:
            runtime.history.add_many(task.history)
            if task.user not in seen:
                runtime.generate(task.prompt, user=task.user, n=2, seed=0)
                seen.add(task.user)
            timings = runtime.generate(task.prompt, user=task.user, n=n, seed=1).timings
            decoding = timings.prefill_s + timings.decode_s - timings.sample_s
            shares.append(1 - decoding / timings.total_s)
    return statistics.median(shares)


@contextmanager
def temporary_home(paths: Paths) -> Iterator[Path]:
    """A home of its own whose model store is the given one's."""
    with tempfile.TemporaryDirectory(prefix="edge-ttp-bench-") as folder:
        data = Path(folder) / "data"
        data.mkdir(mode=0o700)
        if paths.models.exists():
            (data / "models").symlink_to(paths.models.absolute())
        yield Path(folder)


def _compose(policy: LlamaPolicy, style: Style, tasks: Sequence[Task]) -> list[tuple[tuple[int, ...], tuple[str, ...]]]:
    """Tokens and stop strings of every task, by the runtime's own recall and prompt."""
    composed = []
    with (
        tempfile.TemporaryDirectory(prefix="edge-ttp-bench-") as folder,
        History.open(Path(folder) / "bench.db") as history,
    ):
        for task in tasks:
            history.add_many(task.history)
            found = history.recall(task.user, task.prompt, DEFAULT_EXAMPLES)
            prompt, tokens = encode(policy, style, task.prompt, [(one.item.input, one.item.output) for one in found])
            composed.append((tokens, prompt.stop))
    return composed


def _ours(policy: LlamaPolicy, request: Request) -> tuple[Sampled, float]:
    policy.forget()
    started = time.perf_counter()
    drawn = policy.sample(request, Control())
    return drawn, time.perf_counter() - started


def _tokens(drawn: Sampled) -> int:
    return sum(candidate.tokens for candidate in drawn.candidates)


def _loop(loop: Any, request: Request, tokens: int) -> tuple[float, int]:
    """Seconds and tokens of one completion after another until `tokens` are drawn; the prompt is read once."""
    loop.reset()
    filters = request.filters
    started = time.perf_counter()
    drawn = index = 0
    while drawn < tokens:
        result = loop.create_completion(
            prompt=list(request.prompt),
            # No more than are missing: a longer last completion would spread the prompt over more tokens than ours.
            max_tokens=min(request.max_tokens, tokens - drawn),
            temperature=filters.temperature,
            top_k=filters.top_k,
            top_p=filters.top_p,
            min_p=filters.min_p,
            repeat_penalty=1.0,
            stop=list(request.stop),
            seed=request.seed + index,
        )
        # The end token is drawn too, but not counted by create_completion.
        drawn += result["usage"]["completion_tokens"] + (result["choices"][0]["finish_reason"] == "stop")
        index += 1
    return time.perf_counter() - started, drawn
