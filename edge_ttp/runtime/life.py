"""The life of a runtime: opened, loaded, idle, closed; and what is there of it for requests to use."""

from __future__ import annotations

import logging
import os
import threading
import warnings
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

from edge_ttp.answer import language
from edge_ttp.answer.select import NEEDS_REWARD
from edge_ttp.budget import device
from edge_ttp.errors import HistoryUnavailable, InvalidInput, checked_type
from edge_ttp.history import History
from edge_ttp.history.user import valid_user
from edge_ttp.learning.foreground import Foreground
from edge_ttp.paths import Paths, locate
from edge_ttp.policy.elsewhere.address import EngineAddress
from edge_ttp.policy.scheduler import Scheduler
from edge_ttp.registry import DEFAULT_POLICY, DEFAULT_REWARD, Registry
from edge_ttp.runtime.loading import HeldMemory, Holding, LoadStep, check_cancel
from edge_ttp.runtime.visitors import Visitors
from edge_ttp.schema import DEFAULT_RULE, Rule
from edge_ttp.system.arguments import checked_arguments
from edge_ttp.system.help_page import Page
from edge_ttp.system.settings import settings_in_force

_HISTORY_TIMEOUT_S = 10.0
_ENGINE_TIMEOUT_S = 60.0
"""Longest wait for a step under way when everything ends."""

_log = logging.getLogger("edge_ttp")


@checked_arguments
class Life(metaclass=Page):
    """What a runtime owns, and for how long. Use Runtime."""

    def __init__(
        self,
        paths: Paths,
        *,
        model: str,
        reward: str,
        threads: int | None,
        memory_bytes: int | None,
        user: str | None = None,
        unload_after_s: float | None = None,
        address: EngineAddress | None = None,
    ) -> None:
        """Use `open`."""
        self._user = user
        self.paths = paths
        self.registry = Registry(paths)
        self.history, self._scratch = _open_history(paths)
        self.scheduler = Scheduler()
        """Whose step is next: one engine thread for all requests (policy/scheduler.py)."""
        self.models = Holding(
            paths,
            self.registry,
            self.scheduler,
            policy=model,
            reward=reward,
            threads=threads if threads is not None else device.cores(),
            memory_bytes=memory_bytes,
            states=self.history.states_folder,
            address=address,
        )
        """What is in memory."""
        self.history.on_forgotten(self.models.forget)
        self._foreground = Foreground(paths.cache / "foreground.lock")
        self._closing = threading.Event()
        self._noted: set[tuple[str, str]] = set()  # what users were told once, and need not hear again
        self._visitors = Visitors(unload_after_s, self.models.unload)
        # A runtime that was dropped without `close` must not keep its models for ever.
        self._finalizer = weakref.finalize(
            self,
            _tear_down,
            self.scheduler,
            self.models,
            self.history,
            self._visitors,
            closing=self._closing,
            scratch=self._scratch,
        )

    @classmethod
    def open(
        cls,
        *,
        home: Path | str | None = None,
        model: str | None = None,
        reward: str | None = None,
        threads: int | None = None,
        memory_bytes: int | None = None,
        user: str | None = None,
        unload_after_s: float | None = None,
        policy_url: str | None = None,
    ) -> Self:
        """A runtime over the files below `home` (None: EDGE_TTP_HOME, else the platform's folders).

        `model` and `reward` are names in the store or paths; None means the configured policy (`edge-ttp config`), else
        the default ones.
        `threads` None: the cores this process may use.
        `memory_bytes` limits what the policy may take in all. `user` is whose voice is meant where a request names
        none. `unload_after_s`: seconds without a request after which the models leave the memory until the next one.
        `policy_url`: an engine that speaks OpenAI's protocol (vLLM, SGLang, llama.cpp's server, Ollama) draws in place
        of this program; `model` then is one of those that it serves, None its first one. Prompts and what they recall
        are sent there, and every answer says so; without it nothing is ever sent anywhere. EDGE_TTP_POLICY_KEY holds
        the key, if it asks for one.
        Where nothing can be written and there is no history yet, it is kept in memory until the runtime closes, and a
        RuntimeWarning says so. Raises HistoryUnavailable, NotFound for a `model` that there is not; models are looked
        into later.
        """
        for name, number in (("threads", threads), ("memory_bytes", memory_bytes)):
            checked_type(name, number, int)
        for name, text in (("home", home), ("model", model), ("reward", reward), ("user", user)):
            checked_type(name, text, str, Path)
        checked_type("policy_url", policy_url, str)
        checked_type("unload_after_s", unload_after_s, int, float)
        most = os.cpu_count() or 1
        if threads is not None and not 1 <= threads <= most:
            raise InvalidInput(f"{threads} threads cannot be run here", f"choose 1 to {most}")
        if unload_after_s is not None and not unload_after_s > 0:
            raise InvalidInput(f"models cannot be unloaded after {unload_after_s} seconds", "allow more than 0")
        paths = locate(home)
        address = None if policy_url is None else EngineAddress.of(policy_url)
        configured = address.url if address is not None else settings_in_force(paths).model or DEFAULT_POLICY
        if model is not None and address is None:
            Registry(paths).check_name(model)
        return cls(
            paths,
            model=configured if model is None else model,
            reward=DEFAULT_REWARD if reward is None else reward,
            threads=threads,
            memory_bytes=memory_bytes,
            user=None if user is None else valid_user(user),
            unload_after_s=unload_after_s,
            address=address,
        )

    def __enter__(self) -> Self:
        self._visitors.check()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self, *, cancel: bool = False, timeout: float | None = None) -> bool:
        """Ends the requests under way, frees the models and closes the history; True once all that is done.

        Waits for the requests; `cancel` ends them within a step, each with what it has. `timeout`: most seconds to
        wait; what is left then (False) is done when the last request ends, as it is where a request's own callback
        closes. Self-calibration is ended. May be called again.
        """
        self._closing.set()
        self.models.stop()
        self._visitors.shut()
        if cancel:
            self.scheduler.cancel_all()
            if self.policy_url is not None:
                self.models.cancel_elsewhere()
        if not self._visitors.wait(timeout):
            return False
        self._finalizer()
        return True

    @contextmanager
    def _request(self) -> Iterator[None]:
        """Keeps the runtime open while the block runs. Raises InvalidInput after `close` and after a fork."""
        with self._visitors.visit(last=self._finalizer):
            yield

    @property
    def busy(self) -> bool:
        """Whether a request is under way."""
        return self._visitors.count > 0

    @property
    def policy_url(self) -> str | None:
        """The address of the engine that draws; None: this program does, and nothing is sent anywhere."""
        return None if self.models.address is None else self.models.address.url

    @property
    def loaded(self) -> tuple[str, ...]:
        """Names of the models in memory."""
        return self.models.loaded()

    def memory(self) -> HeldMemory:
        """What the models take of the machine's memory now."""
        return self.models.memory()

    def warm(
        self,
        *,
        rule: Rule = DEFAULT_RULE,
        model: str | None = None,
        cancel: threading.Event | None = None,
        on_progress: Callable[[LoadStep], None] | None = None,
    ) -> None:
        """Loads what a request with this rule needs, and measures the device where that was never done.

        Without it, the first request loads, and the device is measured when a plan needs it, or after the first
        answer. `cancel`, set from any thread, ends it within some hundredths of a second; `on_progress` is told how far
        it is. Raises ModelUnavailable, NotFound, OutOfCapacity, Cancelled.
        """
        tell = on_progress or (lambda _: None)
        with self._request(), self.models.using(model, cancel=cancel, tell=tell) as ready:
            check_cancel(cancel)
            if rule in NEEDS_REWARD and not self.models.has_reward():
                tell(LoadStep("reward", 0.0))
                self.models.reward()
            check_cancel(cancel)
            if ready.located.languages:
                language.load()  # what is said of requests in a language that the policy cannot write
            check_cancel(cancel)
            counts = len(ready.watch.thread_counts())
            ready.measure(cancel=cancel, advance=lambda done: tell(LoadStep("measuring", done / counts)))
            tell(LoadStep("ready", 1.0))

    load = warm

    def unload(self, model: str | None = None) -> None:
        """Gives the memory of a policy back, or of all models (None); they load again when they are needed.

        Requests under way go on to their end first. Raises NotFound where `model` is not in memory.
        """
        with self._request():
            self.models.unload(model)

    def use_model(self, model: str) -> None:
        """Takes this policy (a name in the store, or a path) for all requests from now on that name none.

        The one used before goes from memory when its requests end. Raises NotFound, ModelUnavailable.
        """
        with self._request():
            if self.policy_url is None:
                self.registry.locate(model, kind="policy")
            before, self.models.policy = self.models.policy, model
            if before != model and before in self.loaded:
                self.models.unload(before)


def _tear_down(
    scheduler: Scheduler,
    models: Holding,
    history: History,
    visitors: Visitors,
    *,
    closing: threading.Event,
    scratch: TemporaryDirectory[str] | None,
) -> None:
    """Frees everything. In a forked child nothing is touched: it belongs to the parent."""
    if visitors.elsewhere:
        return
    closing.set()
    visitors.shut()
    if not scheduler.close(cancel=True, timeout=_ENGINE_TIMEOUT_S):
        _log.warning("the engine does not end; the models stay in memory")
    else:
        models.close()
    history.close()
    if scratch is not None:
        scratch.cleanup()


def _open_history(paths: Paths) -> tuple[History, TemporaryDirectory[str] | None]:
    """The history, and the folder that goes with the runtime where it cannot be kept."""
    days = settings_in_force(paths).retention_days
    try:
        return History.open(paths.database, busy_timeout_s=_HISTORY_TIMEOUT_S, retention_days=days), None
    except HistoryUnavailable as unavailable:
        if paths.database.exists():
            raise
        memory = Path("/dev/shm")  # noqa: S108  # a file system in memory; the folder made there is private
        scratch = TemporaryDirectory(
            prefix="edge-ttp-", dir=memory if os.access(memory, os.W_OK) else None, ignore_cleanup_errors=True
        )
        warnings.warn(
            f"the history is kept in memory only, until the runtime closes: {unavailable}", RuntimeWarning, stacklevel=4
        )
        return History.open(Path(scratch.name) / paths.database.name, busy_timeout_s=_HISTORY_TIMEOUT_S), scratch
