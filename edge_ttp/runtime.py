"""Runtime: opens and owns the rooms, and is what an app embeds."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from edge_ttp.answer import generate
from edge_ttp.answer.ask import DEFAULT_EXAMPLES, Ask, Rooms
from edge_ttp.answer.explain import Explanation, explain
from edge_ttp.answer.select import NEEDS_REWARD, RULES
from edge_ttp.budget import device
from edge_ttp.budget.device_profile import Profile, Profiles
from edge_ttp.budget.load import LoadMeter
from edge_ttp.budget.watch import Watch
from edge_ttp.errors import InvalidInput
from edge_ttp.history import History
from edge_ttp.history.learned_rows import StoredEvidence
from edge_ttp.history.user import default_user, valid_user
from edge_ttp.learning.evidence import judged
from edge_ttp.learning.foreground import Foreground
from edge_ttp.learning.idle import Idle
from edge_ttp.learning.learned import Learned, learned
from edge_ttp.learning.self_calibration import Adapted, Manners, Progress, calibrate
from edge_ttp.paths import Paths, locate
from edge_ttp.policy import bindings
from edge_ttp.policy.llama import LlamaPolicy
from edge_ttp.policy.scheduler import Scheduler
from edge_ttp.registry import DEFAULT_POLICY, DEFAULT_REWARD, Located, Registry
from edge_ttp.registry.once import Once
from edge_ttp.reward.model import RewardModel
from edge_ttp.schema import DEFAULT_RULE, Budget, Event, Feedback, FeedbackKind, Generation, Rule, Sampling, Speaker
from edge_ttp.settings import settings_in_force

_HISTORY_TIMEOUT_S = 10.0
_MEMORY_SHARE = 0.8
"""Part of the memory that is free which the policy may take: the host app and the system need the rest."""

USUAL_PROMPT = "Please answer this in a sentence or two, the way I would."
"""What a plan is made for where there is no prompt and no history."""


@dataclass(frozen=True)
class _Ready:
    """The policy in memory, where it came from, and what it costs here."""

    policy: LlamaPolicy
    located: Located
    watch: Watch


class Runtime:
    """A personalized runtime: a policy, a reward model and the history of this device's users.

    Use as a context manager. Models load when they are first needed, or with `warm`. Safe to call from several
    threads: requests are answered side by side, step by step in turns, every user with an equal part of the time.
    """

    def __init__(self, paths: Paths, *, model: str, reward: str, threads: int | None, memory_bytes: int | None) -> None:
        """Use `open`."""
        self.paths = paths
        self.registry = Registry(paths)
        self.history = History.open(
            paths.database,
            busy_timeout_s=_HISTORY_TIMEOUT_S,
            retention_days=settings_in_force(paths).retention_days,
        )
        self._model, self._reward_name = model, reward
        self._threads = threads if threads is not None else device.cores()
        self._memory_bytes = memory_bytes
        self.scheduler = Scheduler()
        """Whose step is next: one engine thread for all requests (policy/scheduler.py)."""
        self._policy = Once(self._load_policy)
        self._reward = Once(self._load_reward)
        self._profiles = Profiles(paths.cache / "device.json")
        self._load_within: int | None = None  # what the request that loads the policy allows
        self._requests = threading.Condition()
        self._foreground = Foreground(paths.cache / "foreground.lock")
        self._closing = threading.Event()
        self._running = 0
        self._closed = False

    @classmethod
    def open(
        cls,
        *,
        home: Path | str | None = None,
        model: str | None = None,
        reward: str | None = None,
        threads: int | None = None,
        memory_bytes: int | None = None,
    ) -> Runtime:
        """A runtime over the files below `home` (None: EDGE_TTP_HOME, else the platform's folders).

        `model` and `reward` are names in the store or paths; None means the configured policy (`edge-ttp config`), else
        the default ones.
        `threads` None: the cores this process may use.
        `memory_bytes` limits what the policy may take in all. Raises HistoryUnavailable; models are looked at later.
        """
        most = os.cpu_count() or 1
        if threads is not None and not 1 <= threads <= most:
            raise InvalidInput(f"{threads} threads cannot be run here", f"choose 1 to {most}")
        paths = locate(home)
        configured = settings_in_force(paths).model or DEFAULT_POLICY
        return cls(
            paths,
            model=configured if model is None else model,
            reward=DEFAULT_REWARD if reward is None else reward,
            threads=threads,
            memory_bytes=memory_bytes,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Waits for the requests under way, frees the models and closes the history. May be called twice.

        Self-calibration is ended.
        """
        with self._requests:
            if self._closed:
                return
            self._closed = True
            self._closing.set()
            self._requests.wait_for(lambda: self._running == 0)
        self.scheduler.close()
        ready = self._policy.loaded()
        if ready is not None:
            ready.policy.close()
        self.history.close()

    @contextmanager
    def _request(self) -> Iterator[None]:
        """Keeps the models in memory while the block runs. Raises InvalidInput after `close`."""
        with self._requests:
            if self._closed:
                raise InvalidInput("the runtime was closed", "open another with Runtime.open")
            self._running += 1
        try:
            yield
        finally:
            with self._requests:
                self._running -= 1
                self._requests.notify_all()

    def warm(self, *, rule: Rule = DEFAULT_RULE) -> None:
        """Loads what a request with this rule needs, and measures the device where that was never done.

        Raises ModelUnavailable, NotFound or OutOfCapacity. Without it, the first request does this.
        """
        with self._request():
            self._load(rule)

    def _load(self, rule: Rule) -> None:
        if rule not in NEEDS_REWARD or self._reward.loaded() is not None:
            self._policy.get()
            return
        with ThreadPoolExecutor(1, "edge-ttp-load") as beside:
            reward = beside.submit(self._reward.get)
            self._policy.get()
            reward.result()

    def generate(
        self,
        prompt: str,
        *,
        user: str | None = None,
        n: int | None = None,
        budget: Budget | None = None,
        select: Rule = DEFAULT_RULE,
        sampling: Sampling | None = None,
        seed: int | None = None,
        kind: str | None = None,
        examples: int = DEFAULT_EXAMPLES,
        recall_for: str | None = None,
        turns: Sequence[tuple[str, str]] = (),
        system: str | None = None,
        context: Sequence[str] = (),
        speaker: Speaker = "user",
        store: bool = True,
        cancel: threading.Event | None = None,
        on_event: Callable[[Event], None] | None = None,
    ) -> Generation:
        """The answer to `prompt` that `user` (None: the default user) would most likely have written.

        `n` None takes as many candidates as the budget allows. `kind` keeps recall to items of that kind. `turns` are
        the prompts and answers before this one in the same conversation, oldest first; with `recall_for` its first
        prompt, the examples stay the same, and what was read before is not read again. `system` is what is to be
        observed besides; `context` are documents that the prompt is about: the policy reads them, but they are never
        recalled nor stored, and nobody takes them for the user's writing. `speaker` says who answers: anybody else than
        the user is the bare policy, with nothing recalled and no instruction of ours. `store` False keeps the request
        out of the history. `cancel`, set from any thread, ends decoding within a step and returns what there is; so
        does the budget's deadline, which does not count the loading of models. `on_event` is called from this thread
        after every decode step.

        Raises InvalidInput, ModelUnavailable, HistoryUnavailable, OutOfCapacity, DeadlineTooShort, Cancelled.
        """
        ask = Ask(
            prompt=prompt,
            user=default_user(self.paths) if user is None else valid_user(user),
            n=n,
            budget=self._budget(budget),
            rule=_known(select),
            sampling=sampling or Sampling(),
            seed=seed,
            kind=kind,
            examples=examples,
            recall_for=recall_for,
            turns=tuple(turns),
            system=system,
            context=(context,) if isinstance(context, str) else tuple(context),
            speaker=speaker,
            store=store,
            cancel=cancel,
            emit=on_event,
        )
        with self._request(), self._foreground.active():
            return self._answer(ask)

    def _budget(self, given: Budget | None) -> Budget:
        """The caller's budget, with the configured mode where they left it open."""
        mode = settings_in_force(self.paths).mode
        budget = given or Budget()
        if mode is None or "mode" in budget.model_fields_set:
            return budget
        return Budget.model_validate({**budget.model_dump(exclude_unset=True), "mode": mode})

    def _answer(self, ask: Ask) -> Generation:
        rooms = self._rooms(ask.rule, ask.budget)
        for adapter in ask.sampling.adapters:  # like the loading of models, before the deadline begins
            self.registry.try_adapter(Path(adapter.path), self._policy.get().located, cancel=ask.cancel)
        return generate(rooms, ask)

    def _rooms(self, rule: Rule, budget: Budget) -> Rooms:
        """The parts that a request with this rule passes through, loaded, and the state of the device now."""
        self._load_within = budget.memory_bytes
        self._load(rule)
        ready = self._policy.get()
        return Rooms(
            policy=ready.policy,
            policy_name=ready.located.name,
            style=ready.located.prompt_style or "few-shot",
            reward=self._reward.get() if rule in NEEDS_REWARD else None,
            history=self.history,
            costs=ready.watch.profile,
            memory_bytes=self._memory_for(ready, budget),
            free_cores=ready.watch.free_cores(),
            energy=device.energy(),
            hot=ready.watch.hot(),
            observe=ready.watch.observe,
        )

    def plan(
        self,
        prompt: str | None = None,
        *,
        user: str | None = None,
        budget: Budget | None = None,
        select: Rule = DEFAULT_RULE,
        sampling: Sampling | None = None,
        kind: str | None = None,
        examples: int = DEFAULT_EXAMPLES,
    ) -> Explanation:
        """How a request would be answered on this device now, without answering it.

        `prompt` None: like the user's newest item. Loads the models. Raises as `generate`.
        """
        name = default_user(self.paths) if user is None else valid_user(user)
        if prompt is None:
            newest = self.history.items(name, kind=kind, limit=1, prompts=False)
            prompt = newest[0].input if newest and newest[0].input.strip() else USUAL_PROMPT
        ask = Ask(
            prompt=prompt,
            user=name,
            budget=self._budget(budget),
            rule=_known(select),
            sampling=sampling or Sampling(),
            kind=kind,
            examples=examples,
        )
        with self._request():
            return explain(self._rooms(ask.rule, ask.budget), ask)

    def profile(self, *, advance: Callable[[float], None] | None = None) -> Profile:
        """Measures this policy on this device, thoroughly: up to a minute. Stores and returns the profile.

        Run it in a thread of its own to have it in the background: requests go on, between the measurements.
        `advance` is called with the number of thread counts done. Raises as `warm`.
        """
        with self._request():
            ready = self._policy.get()
            return ready.watch.measure(ready.policy, thorough=True, advance=advance)

    def stream(self, prompt: str, **options: object) -> Iterator[Event]:
        """The events of one request as they happen; the last one (`selected`) carries the generation.

        Takes the options of `generate` but on_event. Closing the iterator early cancels the request.
        """
        given = options.pop("cancel", None)
        cancel = given if isinstance(given, threading.Event) else threading.Event()
        events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        with ThreadPoolExecutor(1, "edge-ttp-stream") as beside:
            answer = beside.submit(
                self.generate,
                prompt,
                cancel=cancel,
                on_event=events.put,
                **options,  # type: ignore[arg-type]
            )
            answer.add_done_callback(lambda _: events.put(None))
            try:
                while (event := events.get()) is not None:
                    yield event
                answer.result()  # raises what the request raised
            finally:
                if not answer.done():  # closed early; a caller's own flag is left alone otherwise
                    cancel.set()

    def feedback(
        self,
        generation_id: str,
        kind: FeedbackKind,
        *,
        user: str | None = None,
        candidate: int | None = None,
        text: str | None = None,
    ) -> Feedback:
        """Records what the user did with a generation, and learns from it; `edit` and `accept` also become history.

        It takes the place of what was said of it before: the last word counts. `retract` takes it back.
        `candidate` (from 0) is the preferred one for `prefer`; None means the chosen one. `text` is for `edit`.
        With `user` given, only that user's generations are found. Raises NotFound, InvalidInput, HistoryUnavailable.
        """
        generation = self.history.generation(generation_id, user)
        if kind == "prefer" and candidate is None:
            raise InvalidInput("prefer needs the candidate that is preferred", "name it")
        given = Feedback(
            generation_id=generation_id,
            user_id=generation.user,
            kind=kind,
            candidate=generation.chosen if candidate is None else candidate,
            text=text,
        )
        return self.history.add_feedback(given, self._evidence(given, generation))

    def retract(
        self, generation_id: str, *, user: str | None = None, kind: FeedbackKind | None = None
    ) -> tuple[Feedback, ...]:
        """Takes back what was said of a generation (of one `kind`, or all), as if it had never been; returns it.

        A text that it brought into the history goes out again. With `user` given, only that user's generations are
        found. Raises NotFound, HistoryUnavailable.
        """
        gone = self.history.retract(generation_id, user, kind=kind)
        generation = self.history.generation(generation_id, user)
        for left in self.history.judgments(generation_id):  # a weaker one may have stood in the shadow of those
            evidence = self._evidence(left, generation)
            if evidence is not None:
                self.history.renew_evidence(left, evidence)
        return tuple(gone)

    def _evidence(self, given: Feedback, generation: Generation) -> StoredEvidence | None:
        """What a judgment says of the candidates; None where they were not scored, or it is about none of them."""
        layer = self.history.layer(given.generation_id)
        texts = [one.text for one in generation.candidates]
        return judged(given, layer, texts) if layer is not None and 0 <= given.candidate < len(texts) else None

    def generations(self, user: str | None = None, *, limit: int | None = None) -> list[Generation]:
        """The answers stored for `user` (None: the default user), newest first, each whole. At most `limit`."""
        return self.history.generations(default_user(self.paths) if user is None else valid_user(user), limit)

    def learned(self, user: str | None = None) -> Learned:
        """What this user's evidence says: weights with trust, and the calibration record. Loads the reward model.

        Raises ModelUnavailable, NotFound, HistoryUnavailable.
        """
        name = default_user(self.paths) if user is None else valid_user(user)
        with self._request():
            return learned(self.history, name, self._reward.get())

    def adapt(
        self,
        user: str | None = None,
        *,
        for_s: float | None = None,
        while_idle: bool = False,
        cancel: threading.Event | None = None,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> Adapted:
        """Learns from the user's own past items (None: the default user's): the policy answers them, and what the user
        really wrote judges the answers.

        Ends after `for_s` seconds, when `cancel` is set, when nothing is left or the last items taught too little.
        Every item is stored at once, so that it may be ended or killed at any moment and called again. Requests have
        right of way, those of other processes too; with `while_idle` it also waits for an idle device between items.
        Raises InvalidInput, ModelUnavailable, NotFound, HistoryUnavailable.
        """
        name = default_user(self.paths) if user is None else valid_user(user)
        if for_s is not None and not for_s > 0:
            raise InvalidInput(f"{for_s} seconds are no time", "allow more than 0")
        deadline = None if for_s is None else time.monotonic() + for_s
        with self._request():
            manners = Manners(
                deadline=deadline,
                cancel=(self._closing,) if cancel is None else (self._closing, cancel),
                busy=self._foreground.busy,
                idle=Idle().now if while_idle else lambda: True,
            )
            rooms = self._rooms(DEFAULT_RULE, Budget())
            return calibrate(rooms, name, manners, advance=on_progress or (lambda _: None))

    def _load_policy(self) -> _Ready:
        located = self.registry.locate(self._model, kind="policy")
        limits = [int(device.available_memory() * _MEMORY_SHARE), self._memory_bytes, self._load_within]
        memory = min(limit for limit in limits if limit is not None)
        meter = LoadMeter()  # what others do while the model loads is what they do now
        began = time.monotonic()
        policy = LlamaPolicy(located.path, threads=self._threads, memory_bytes=memory, scheduler=self.scheduler)
        load_s = time.monotonic() - began
        key = (
            f"{located.sha256[:16]}/llama-cpp-python-{bindings.version()}/{self._threads}-threads/"
            f"{policy.device}/{device.energy()}"
        )
        watch = Watch(self._profiles, key, self._threads, meter)
        if watch.profile is None:
            watch.measure(policy, load_s=load_s, sequence_bytes=policy.sequence_bytes(64))
        return _Ready(policy, located, watch)

    def _load_reward(self) -> RewardModel:
        located = self.registry.locate(self._reward_name, kind="reward")
        return RewardModel.load(located.path, threads=self._threads)

    def _memory_for(self, ready: _Ready, budget: Budget) -> int:
        """Bytes the policy may take for this request, weights included."""
        held = ready.policy.held_bytes()
        free = int(device.available_memory() * _MEMORY_SHARE) + held
        limits = [free, self._memory_bytes, budget.memory_bytes]
        return min(limit for limit in limits if limit is not None)


def _known(rule: Rule) -> Rule:
    if rule not in RULES:
        raise InvalidInput(f"there is no selection rule {rule!r}", f"choose one of {', '.join(RULES)}")
    return rule
