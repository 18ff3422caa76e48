"""A small policy and a small reward model for the tests of what stands between them: real engine, invented numbers."""

from __future__ import annotations

import signal
import threading
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pytest
from policy.table import FakeClock, TableDecoder

from edge_ttp.answer.ask import Rooms
from edge_ttp.answer.prompt import Style
from edge_ttp.budget.device_profile import Profile
from edge_ttp.budget.timed import Timed
from edge_ttp.errors import OutOfCapacity
from edge_ttp.history import History
from edge_ttp.policy.engine import Engine
from edge_ttp.policy.job import Claim, Flag, Job, Steps
from edge_ttp.policy.request import Control, Request, Sampled
from edge_ttp.policy.scheduler import Scheduler
from edge_ttp.reward.model import RewardModel, Scores
from edge_ttp.reward.posterior import Weights
from edge_ttp.reward.utility import agreement_matrix
from edge_ttp.runtime import loading
from edge_ttp.schema import Candidate, HistoryItem

WORDS = ("", "apple", "birch", "cedar", "daisy", "elder", "fern", "grape", "heath")
"""What the fake policy can say. Token 0 ends the answer."""

BYTES_PER_TOKEN = 1000
"""Memory that one token of the fake policy's cache takes."""

_ENCODER = "fake-encoder"

Table = Callable[[tuple[int, ...]], npt.NDArray[np.float64]]


def chatter(prefix: tuple[int, ...]) -> npt.NDArray[np.float64]:
    """Logits that depend on all of the prompt and the answer so far: another prompt gets other answers."""
    return np.random.default_rng([len(prefix), *prefix]).normal(0, 1, len(WORDS))


def press_ctrl_c(heard: Callable[[], bool] | None = None) -> None:
    """Ctrl-C as a terminal sends it: the main thread gets it, whatever thread draws.

    Waits until it is `heard`, however busy the machine is; where nobody can say so, for as long as it usually takes.
    """
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    if threading.current_thread() is not threading.main_thread():
        ends = time.monotonic() + (0.4 if heard is None else 30)  # the handler runs in the main thread, which waits
        while time.monotonic() < ends and not (heard is not None and heard()):
            time.sleep(0.01)


def endless(_: tuple[int, ...]) -> npt.NDArray[np.float64]:
    """Logits under which no answer ever ends by itself."""
    return np.array([-np.inf, *np.zeros(len(WORDS) - 1)])


class FakePolicy:
    """A generation.Policy whose tokens are words: the real engine over a table of logits.

    With a `clock`, reading a prompt and every decode step take `step_s` on it. Its measured times are `slowness` times
    those of a usual policy, so that a plan is bound by a deadline that a busy machine still keeps.
    """

    def __init__(
        self,
        *,
        context: int = 2000,
        template: bool = True,
        table: Table = chatter,
        clock: FakeClock | None = None,
        step_s: float = 0.0,
        cells: int = 100_000,
        words: Sequence[str] = WORDS,
        slowness: float = 1.0,
    ) -> None:
        self.context = context
        self.template = template
        self.requests: list[Request] = []
        self.controls: list[Control] = []
        self.jobs: list[Job[Sampled]] = []
        self.threads: list[tuple[int, int] | None] = []
        self.claims: list[Claim | None] = []
        self.messages: list[tuple[tuple[str, str], ...]] = []
        self.texts: list[str] = []
        self.closed = False
        self.device = "cpu"
        self.words = tuple(words)
        self.measured = 0
        self.slowness = slowness
        self._table, self._clock, self._step_s, self._cells = table, clock, step_s, cells
        self.scheduler = Scheduler() if clock is None else Scheduler(clock=clock)
        self.decoder, self._engine = self._seat()
        self._free = [self._engine]

    def _seat(self) -> tuple[TableDecoder, Engine]:
        decoder = TableDecoder(
            self._table,
            pieces=[f" {word}".encode() for word in self.words],
            ends={0},
            chunk=4096,
            clock=self._clock,
            step_s=self._step_s,
            cells=self._cells,
        )
        return decoder, Engine(decoder) if self._clock is None else Engine(decoder, clock=self._clock)

    def encode_text(self, text: str) -> tuple[int, ...]:
        self.texts.append(text)
        return _tokens(text)

    def encode_chat(self, messages: Sequence[tuple[str, str]]) -> tuple[int, ...] | None:
        if not self.template:
            return None
        self.messages.append(tuple(messages))
        return tuple(token for role, text in messages for token in (*_tokens(role), *_tokens(text)))

    def count_tokens(self, text: str) -> int:
        return len(_tokens(text))

    def text(self, tokens: Sequence[int]) -> str:
        return "".join(f" {self.words[token]}" for token in tokens if token)

    def tokens(self, text: str) -> tuple[int, ...]:
        return tuple(self.words.index(word) for word in text.split() if word in self.words)

    def width(self, prompt_tokens: int, max_tokens: int, n: int, *, memory_bytes: int | None = None) -> int:
        if prompt_tokens + max_tokens > self.context:
            raise OutOfCapacity(f"{prompt_tokens} and {max_tokens} tokens exceed the context of {self.context}")
        if memory_bytes is None:
            return n
        width = (memory_bytes // BYTES_PER_TOKEN - prompt_tokens) // max_tokens
        if width < 1:
            raise OutOfCapacity(f"the memory does not hold {prompt_tokens} and {max_tokens} tokens")
        return min(n, width)

    def forget(self, user: str | None = None) -> None:
        """Nothing is kept."""

    def resident(self, prompt: Sequence[int], user: str = "") -> int:
        return self._engine.resident(prompt)

    def sequence_bytes(self, max_tokens: int) -> int:
        return max_tokens * BYTES_PER_TOKEN

    def sample(self, request: Request, control: Control, **options: Any) -> Sampled:
        return self.begin(request, control, **options).drive()

    def begin(
        self,
        request: Request,
        control: Control,
        *,
        memory_bytes: int | None = None,
        threads: tuple[int, int] | None = None,
        claim: Claim | None = None,
    ) -> Job[Sampled]:
        def start(job: Job[Sampled]) -> Steps[Sampled]:
            assert not self.closed, "the policy was closed under a request"
            self.requests.append(request)
            self.controls.append(control)
            self.jobs.append(job)
            self.threads.append(threads)
            self.claims.append(claim)
            widest = control.first_wave or request.n
            width = self.width(len(request.prompt), request.max_tokens, widest, memory_bytes=memory_bytes)
            engine = self._free.pop() if self._free else self._seat()[1]
            on_step = None if control.on_step is None else job.tell
            return sitting(engine, engine.steps(request, replace(control, cancel=job, on_step=on_step), width=width))

        def sitting(engine: Engine, steps: Steps[Sampled]) -> Steps[Sampled]:
            try:
                return (yield from steps)
            finally:
                self._free.append(engine)

        return self.scheduler.submit(start, claim, deadline=control.deadline, cancel=control.cancel, hear=control.hear)

    def measure(self, threads: int | None = None, *, thorough: bool = False, cancel: Flag | None = None) -> Timed:
        self.measured += 1
        chunks = tuple((128, start, 0.0128 * self.slowness) for start in (0, 128))
        steps = tuple((rows, 256, (0.001 + rows * 0.0001) * self.slowness) for rows in (1, 8, 16))
        return Timed(threads or 1, chunks, steps)

    def held_bytes(self) -> int:
        return 0

    def close(self) -> None:
        self.closed = True


def _tokens(text: str) -> tuple[int, ...]:
    return tuple(100 + zlib.crc32(word.encode()) for word in text.split())


@dataclass
class FakeReward:
    """A reward model that likes what `judge` likes. Keeps a vector for every history item, as the real one does."""

    judge: Callable[[str], float] = lambda text: len(text) / 1000
    epistemic: Callable[[str], float] = lambda text: 0.01
    name: str = "fake-reward"
    fingerprint: str = "fake-fingerprint"
    stock: Weights = field(default_factory=lambda: Weights(np.array([1.0, 0.0]), np.eye(2)))
    familiar: bool = True
    profiles: list[list[HistoryItem]] = field(default_factory=list)
    pools: list[list[Candidate]] = field(default_factory=list)

    def profile(self, history: Sequence[HistoryItem], vectors: Any = None) -> list[HistoryItem]:
        numbers = [item.id for item in history if item.id is not None]
        known: Mapping[int, Any] = vectors.get(numbers, _ENCODER)
        missing = {number: np.ones(4, dtype=np.float32) for number in numbers if number not in known}
        if missing:
            vectors.put(_ENCODER, missing)
        self.profiles.append(list(history))
        return list(history)

    def score(
        self,
        profile: object,
        input_text: str,
        candidates: Sequence[Candidate],
        weights: Weights | None = None,
    ) -> Scores:
        self.pools.append(list(candidates))
        texts = [one.text for one in candidates]
        judged = np.array([self.judge(text) for text in texts])
        lengths = np.array([len(text) for text in texts], dtype=np.float64)
        features = np.stack([judged - judged.mean(), (lengths - lengths.mean()) / 100], axis=1)
        mean = judged + (0.0 if weights is None else features @ (weights.mean - self.stock.mean))
        epistemic = np.array([self.epistemic(text) for text in texts])
        aleatoric = np.full(len(texts), 0.02)
        return Scores(
            mean=mean,
            aleatoric=aleatoric,
            epistemic=epistemic,
            variance=aleatoric + epistemic,
            similarity=agreement_matrix(texts),
            features=features,
            offset=0.0,
            offset_variance=0.0,
            familiar=self.familiar,
        )


def rooms(
    history: History,
    policy: FakePolicy | None = None,
    reward: FakeReward | None = None,
    *,
    style: Style = "chat",
    costs: Profile | None = None,
    memory_bytes: int | None = None,
) -> Rooms:
    """The rooms of a request, with fakes for the models and a real history."""
    return Rooms(
        policy=policy or FakePolicy(),
        policy_name="fake-policy",
        style=style,
        reward=cast(RewardModel, reward or FakeReward()),
        history=history,
        costs=costs,
        memory_bytes=memory_bytes,
    )


class Models:
    """Stands where Runtime loads models from files: counts, and gives the fakes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(loading, "LlamaPolicy", self.load_policy)
        monkeypatch.setattr(loading.RewardModel, "load", self.load_reward)
        monkeypatch.setattr("edge_ttp.registry.trials.run", lambda *_, **__: None)
        monkeypatch.setattr(loading.Registry, "try_adapter", lambda *_, **__: None)
        self.policy = FakePolicy()
        self.reward = FakeReward()
        self.policies: list[dict[str, Any]] = []
        self.rewards: list[Path] = []
        self.failures: list[Exception] = []

    def load_policy(self, path: Path, **options: Any) -> FakePolicy:
        self.policies.append({"path": path, **options})
        if self.failures:
            raise self.failures.pop()
        self.policy.closed = False
        self.policy.scheduler = options.get("scheduler") or self.policy.scheduler
        return self.policy

    def load_reward(self, path: Path, **_: Any) -> FakeReward:
        self.rewards.append(path)
        return self.reward
