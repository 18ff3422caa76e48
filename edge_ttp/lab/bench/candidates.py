"""How fast candidates come: against a loop of create_completion, this engine without sharing, and bare llama_decode.

Everything is measured side by side on the same prompt within one run, and the medians of the ratios are reported.
All sides sample alike and draw the same number of tokens.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from threading import Event
from typing import Any

from edge_ttp.answer.ask import DEFAULT_EXAMPLES
from edge_ttp.answer.encoding import encode
from edge_ttp.answer.prompt import Style
from edge_ttp.history import History
from edge_ttp.lab.bench.bare_decode import Bare
from edge_ttp.lab.bench.tasks import Task
from edge_ttp.paths import Paths
from edge_ttp.policy.bindings import plain_completer
from edge_ttp.policy.gpu import ALL_LAYERS
from edge_ttp.policy.llama import LlamaPolicy
from edge_ttp.policy.request import Control, Request, Sampled
from edge_ttp.schema import Sampling

MAX_TOKENS = 24
"""Tokens a candidate may have: the length of a headline or a commit subject."""

LONG_PROMPT = 600
"""Tokens of the prompt that long_cost_vs_1 is measured with."""

Advance = Callable[[float], None]


@dataclass(frozen=True)
class CandidateSpeed:
    """One line of the table. Medians over the prompts."""

    model: str
    n: int
    temperature: float
    tokens_per_s: float
    """Candidate tokens per second of the whole call, prefill included."""
    ratio_loop: float
    """Times faster than the loop for the same number of tokens, prefill included on both sides."""
    ratio_unshared: float
    """Times faster than with a batch row for every candidate, prefill included."""
    ratio_bare: float
    """Seconds of the bare llama_decode calls over those of decoding here: 1 where nothing is added. 1.0 for n = 1
    stands for a candidate that ended with its first token."""
    outside_decode: float
    """Part of the decoding time spent between llama.cpp's decode calls."""
    cost_per_candidate_vs_1: float
    """Seconds per candidate relative to one candidate alone, prefill included."""
    decode_cost_vs_1: float
    """The same of decoding alone, per candidate token."""
    long_cost_vs_1: float | None
    """The same as cost_per_candidate_vs_1 with a prompt of LONG_PROMPT tokens; None but for the first temperature."""
    rows_per_token: float
    """Batch rows decoded over those without sharing."""
    prompts: int
    """Prompts that the medians are over: fewer than asked for where the measurement was interrupted."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@dataclass(frozen=True)
class _Look:
    """What one prompt showed at one n. Names as in CandidateSpeed; `decode_s`, `long_s`: per candidate (token)."""

    tokens_per_s: float
    ratio_loop: float
    ratio_unshared: float
    ratio_bare: float
    outside_decode: float
    rows_per_token: float
    call_s: float
    decode_s: float
    long_s: float
    """0 where it was not measured."""


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
    cancel: Event | None = None,
) -> list[CandidateSpeed]:
    """Rows for one model, for every n in `counts` and temperature. n = 1 is always measured: the others refer to it.

    `cancel` ends it before the next call; the rows are then of the prompts that were measured whole.
    """
    stopped = cancel or Event()
    policy = LlamaPolicy(path, threads=threads)
    composed = _compose(policy, style, tasks)
    longest = max(len(prompt) for prompt, _, _ in composed)
    on_gpu = policy.device != "cpu"
    loop = plain_completer(
        path, context=longest + MAX_TOKENS + 8, threads=threads, gpu_layers=ALL_LAYERS if on_gpu else 0
    )
    every = sorted({1, *counts})
    bare = Bare(path, cells=longest + every[-1] * MAX_TOKENS, most=every[-1], threads=threads, on_gpu=on_gpu)
    rows, done = [], 0
    for temperature in temperatures:
        looks: dict[int, list[_Look]] = {n: [] for n in every}
        for index, (prompt, stop, long) in enumerate(composed):
            if stopped.is_set():
                break
            request = Request(
                prompt=prompt,
                n=1,
                sampling=Sampling(temperature=temperature),
                seed=1000 * index,
                max_tokens=MAX_TOKENS,
                stop=stop,
            )
            bare.read(prompt)
            # The widest first: the loop draws once as many tokens, and is read at those of the smaller ones.
            drawn = {every[-1]: _ours(policy, replace(request, n=every[-1]))}
            pace = _loop(loop, request, _tokens(drawn[every[-1]][0]))
            for n in reversed(every):
                asked = replace(request, n=n)
                found = drawn.get(n) or _ours(policy, asked)
                first = long if temperature == temperatures[0] else None
                looks[n].append(_look(policy, asked, found, long=first, pace=pace, bare=bare))
                done += 1
                advance(done)
                if stopped.is_set():
                    break
        if looks[1]:  # measured last: where it is missing, the prompt was not finished
            rows += [_row(name, n, temperature, looks[n][: len(looks[1])], looks[1]) for n in counts]
        if stopped.is_set():
            break
    policy.close()
    loop.close()
    bare.close()
    return rows


def _look(
    policy: LlamaPolicy,
    asked: Request,
    timed: tuple[Sampled, float],
    *,
    long: tuple[int, ...] | None,
    pace: Sequence[tuple[int, float]],
    bare: Bare,
) -> _Look:
    drawn, seconds = timed
    tokens = _tokens(drawn)
    plain, plain_seconds = _ours(
        policy, replace(asked, sampling=asked.sampling.model_copy(update={"share_prefixes": False}))
    )
    bare_s = bare.seconds(drawn)
    long_seconds = 0.0 if long is None else _ours(policy, replace(asked, prompt=long))[1]
    return _Look(
        tokens_per_s=tokens / seconds,
        ratio_loop=_seconds_at(pace, tokens) / seconds,
        ratio_unshared=tokens / seconds / (_tokens(plain) / plain_seconds),
        ratio_bare=bare_s / drawn.decode_s if drawn.steps else 1.0,
        outside_decode=drawn.sample_s / drawn.decode_s if drawn.decode_s else 0.0,
        rows_per_token=drawn.rows / max(1, tokens - asked.n),
        call_s=seconds / asked.n,
        decode_s=drawn.decode_s / tokens,
        long_s=long_seconds / asked.n,
    )


def _row(name: str, n: int, temperature: float, looks: Sequence[_Look], alone: Sequence[_Look]) -> CandidateSpeed:
    """The medians over the prompts; costs relative to n = 1 are taken prompt by prompt."""

    def middle(value: Callable[[_Look], float]) -> float:
        return statistics.median(value(look) for look in looks)

    def against_one(value: Callable[[_Look], float]) -> float:
        return statistics.median(value(look) / value(one) for look, one in zip(looks, alone, strict=True))

    return CandidateSpeed(
        model=name,
        n=n,
        temperature=temperature,
        tokens_per_s=middle(lambda look: look.tokens_per_s),
        ratio_loop=middle(lambda look: look.ratio_loop),
        ratio_unshared=middle(lambda look: look.ratio_unshared),
        ratio_bare=middle(lambda look: look.ratio_bare),
        outside_decode=middle(lambda look: look.outside_decode),
        cost_per_candidate_vs_1=against_one(lambda look: look.call_s),
        decode_cost_vs_1=against_one(lambda look: look.decode_s),
        long_cost_vs_1=against_one(lambda look: look.long_s) if looks[0].long_s else None,
        rows_per_token=middle(lambda look: look.rows_per_token),
        prompts=len(looks),
    )


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


def _compose(
    policy: LlamaPolicy, style: Style, tasks: Sequence[Task]
) -> list[tuple[tuple[int, ...], tuple[str, ...], tuple[int, ...]]]:
    """Tokens and stop strings of every task, by the runtime's own recall and prompt, and its long prompt."""
    composed = []
    with (
        tempfile.TemporaryDirectory(prefix="edge-ttp-bench-") as folder,
        History.open(Path(folder) / "bench.db") as history,
    ):
        for task in tasks:
            history.add_many(task.history)
            found = history.recall(task.user, task.prompt, DEFAULT_EXAMPLES)
            encoded = encode(policy, style, task.prompt, [(one.item.input, one.item.output) for one in found])
            composed.append((encoded.tokens, encoded.prompt.stop, _long(policy, task)))
    return composed


def _long(policy: LlamaPolicy, task: Task) -> tuple[int, ...]:
    """A prompt of LONG_PROMPT tokens from the task's texts, repeated where its history is short."""
    texts = [f"Input: {one.input}\nOutput: {one.output}\n\n" for one in task.history]
    end = policy.tokens(f"Input: {task.prompt}\nOutput:")
    before = policy.encode_text("".join(texts))
    while len(before) < LONG_PROMPT:
        before += policy.tokens("".join(texts))
    return (*before[: LONG_PROMPT - len(end)], *end)[-LONG_PROMPT:]


def _ours(policy: LlamaPolicy, request: Request) -> tuple[Sampled, float]:
    policy.forget()
    started = time.perf_counter()
    drawn = policy.sample(request, Control())
    return drawn, time.perf_counter() - started


def _tokens(drawn: Sampled) -> int:
    return sum(candidate.tokens for candidate in drawn.candidates)


def _loop(loop: Any, request: Request, tokens: int) -> list[tuple[int, float]]:
    """Tokens and seconds after each of one completion after another, until `tokens` are drawn; the prompt is read once.

    Starts with the prompt alone: (0, seconds).
    """
    loop.reset()
    filters = request.sampling
    started = time.perf_counter()
    loop.eval(list(request.prompt))
    pace = [(0, time.perf_counter() - started)]
    drawn = index = 0
    while drawn < tokens:
        result = loop.create_completion(
            prompt=list(request.prompt),
            max_tokens=request.max_tokens,
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
        pace.append((drawn, time.perf_counter() - started))
        index += 1
    return pace


def _seconds_at(pace: Sequence[tuple[int, float]], tokens: int) -> float:
    """Seconds after which the loop had drawn `tokens`, a completion's tokens taken as evenly spread over it."""
    for (before, begun), (after, ended) in pairwise(pace):
        if tokens <= after:
            return begun + (ended - begun) * (tokens - before) / max(1, after - before)
    return pace[-1][1]
