"""The models that a runtime holds in memory: loaded when first needed, given back on demand, when idle, at the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, cast

from edge_ttp.answer.ask import Policy
from edge_ttp.budget import device
from edge_ttp.budget.device_profile import Profiles
from edge_ttp.budget.load import LoadMeter
from edge_ttp.budget.watch import Watch
from edge_ttp.errors import Cancelled, InvalidInput, ModelUnavailable, NotFound, OutOfCapacity
from edge_ttp.paths import Paths
from edge_ttp.policy import bindings
from edge_ttp.policy.elsewhere.address import EngineAddress
from edge_ttp.policy.job import Flag
from edge_ttp.policy.llama import LlamaPolicy
from edge_ttp.policy.scheduler import Scheduler
from edge_ttp.registry import Located, Registry, Use
from edge_ttp.registry.once import Once
from edge_ttp.reward.model import RewardModel
from edge_ttp.system.freed import give_back

_POLL_S = 0.02
"""How often somebody who waits for a measurement looks whether they were cancelled."""

MEMORY_SHARE = 0.8
"""Part of the memory that is free which policies may take: the host app and the system need the rest."""

REWARD_GROWTH = 4
"""A reward model in memory, relative to its files: weights of 8 bits become numbers of 32 (reward/session.py)."""


@dataclass(frozen=True)
class LoadStep:
    """How far loading is: what is being done, and how much of that."""

    doing: Literal["policy", "reward", "measuring", "ready"]
    done: float
    """0 to 1."""


Tell = Callable[[LoadStep], None]


@dataclass(frozen=True)
class HeldMemory:
    """Bytes that a runtime's models take."""

    policies: dict[str, int]
    """Weights, caches and buffers of each policy in memory, by the reckoning that limits go by."""
    process: int
    """What this process takes of the machine's memory in all."""
    free: int
    """What the machine has left."""


class HeldPolicy(Policy, Protocol):
    """A policy that a runtime holds: loaded here, or an engine's elsewhere."""

    def held_bytes(self) -> int:
        """Bytes of this machine's memory that it takes."""

    def forget(self, user: str | None = None) -> None:
        """Keeps nothing of what it read of a user (None: of anybody)."""

    def close(self) -> None:
        """Gives it back."""


@dataclass(frozen=True)
class Ready:
    """A policy in memory, where it came from, and what it costs here."""

    policy: HeldPolicy
    located: Located
    watch: Watch
    load_s: float
    voices: dict[Use, Located | None] = field(default_factory=dict)
    """The adapters that it is given by itself, as far as that was asked."""
    address: EngineAddress | None = None
    """Where the engine is that draws, if it is not this program."""
    logprobs: bool = True
    """Whether it says log-probabilities."""

    measuring: threading.Lock = field(default_factory=threading.Lock)
    """Held while it is timed."""

    def measure(self, *, cancel: threading.Event | None = None, advance: Callable[[float], None] | None = None) -> None:
        """Times it on this device where that was never done; once, whoever asks meanwhile waits. Raises Cancelled."""
        if self.watch.profile is not None or self.address is not None:
            return
        while not self.measuring.acquire(timeout=_POLL_S):
            check_cancel(cancel)
        try:
            if self.watch.profile is None:
                policy = cast("LlamaPolicy", self.policy)
                self.watch.measure(
                    policy,
                    load_s=self.load_s,
                    sequence_bytes=policy.sequence_bytes(64),
                    cancel=cancel,
                    advance=advance,
                )
        finally:
            self.measuring.release()


@dataclass
class _Entry:
    once: Once[Ready]
    users: int = 0
    leaving: bool = False
    measuring: threading.Thread | None = field(default=None)


class Holding:
    """The policies and the reward model of one runtime. Safe to use from several threads."""

    def __init__(
        self,
        paths: Paths,
        registry: Registry,
        scheduler: Scheduler,
        *,
        policy: str,
        reward: str,
        threads: int,
        memory_bytes: int | None,
        states: Callable[[str], Path | None] = lambda _: None,
        address: EngineAddress | None = None,
    ) -> None:
        """`policy` and `reward` are the names or paths used where a request names none.

        `states`: where what was read of a user may be kept on disk. `address`: an engine elsewhere that all policies
        are models of; `policy` then may be its address, which means the first model that it serves.
        """
        self._states = states
        self.address = address
        self.policy, self.reward_name = policy, reward
        self._registry, self._scheduler = registry, scheduler
        self._threads, self._memory_bytes = threads, memory_bytes
        self._profiles = Profiles(paths.measured_costs)
        self._lock = threading.Lock()
        self._entries: dict[str, _Entry] = {}
        self._reward = Once(self._load_reward)
        self._closing = threading.Event()

    # Policies

    @contextmanager
    def using(
        self,
        name: str | None = None,
        *,
        within: int | None = None,
        cancel: Flag | None = None,
        tell: Tell | None = None,
    ) -> Iterator[Ready]:
        """A policy (None: the usual one), which stays in memory while the block runs.

        Loaded now if it is not there, in `within` bytes. Raises ModelUnavailable, NotFound, OutOfCapacity, Cancelled.
        """
        wanted = name or self.policy
        with self._lock:
            entry = self._entries.get(wanted)
            if entry is None:
                entry = self._entries[wanted] = _Entry(Once(lambda: self._load(wanted, within, cancel, tell)))
            entry.users += 1
        try:
            yield entry.once.get(lambda: check_cancel(cancel))
        finally:
            with self._lock:
                entry.users -= 1
                last = entry.users == 0 and (entry.leaving or entry.once.loaded() is None)
                if last and self._entries.get(wanted) is entry:
                    del self._entries[wanted]
            if last:
                self._free(entry)

    def loaded(self) -> tuple[str, ...]:
        """Names of the models in memory, as they were asked for."""
        with self._lock:
            names = [name for name, entry in self._entries.items() if entry.once.loaded() is not None]
        return (*names, *((self.reward_name,) if self._reward.loaded() is not None else ()))

    def unload(self, name: str | None = None) -> None:
        """Gives a policy's memory back, or all models' (None); those in use when their requests end.

        Raises NotFound where it is not in memory.
        """
        with self._lock:
            if name is not None and name not in self._entries:
                raise NotFound(f"the model {name!r} is not in memory", "see Runtime.loaded")
            going = [self._entries.pop(one) for one in (list(self._entries) if name is None else [name])]
            for entry in going:
                entry.leaving = True
            idle = [entry for entry in going if not entry.users]
            if name is None:
                self._reward = Once(self._load_reward)
        for entry in idle:
            self._free(entry)
        give_back()

    def memory(self) -> HeldMemory:
        """What the models take now."""
        with self._lock:
            held = {name: entry.once.loaded() for name, entry in self._entries.items()}
        return HeldMemory(
            policies={name: ready.policy.held_bytes() for name, ready in held.items() if ready is not None},
            process=device.own_memory(),
            free=device.available_memory(),
        )

    def forget(self, user: str | None) -> None:
        """Takes what the policies have read of this user (None: of all) out of the memory."""
        with self._lock:
            held = [entry.once.loaded() for entry in self._entries.values()]
        for ready in held:
            if ready is not None:
                with suppress(ModelUnavailable, InvalidInput):  # closed meanwhile: nothing is left of it
                    ready.policy.forget(user)

    def limit(self, ready: Ready, asked: int | None) -> int:
        """Bytes the policy may take for a request that allows `asked`, weights included."""
        free = int(device.available_memory() * MEMORY_SHARE) + ready.policy.held_bytes()
        return min(limit for limit in (free, self._memory_bytes, asked) if limit is not None)

    def measure_later(self, ready: Ready) -> None:
        """Times the policy in the background, once, where that was never done: requests go first."""
        with self._lock:
            entry = next((one for one in self._entries.values() if one.once.loaded() is ready), None)
            if entry is None or entry.measuring is not None or ready.watch.profile is not None or ready.address:
                return
            entry.measuring = threading.Thread(
                target=self._measure, args=(entry, ready), name="edge-ttp-measure", daemon=True
            )
            entry.users += 1
            entry.measuring.start()

    def _measure(self, entry: _Entry, ready: Ready) -> None:
        try:
            ready.measure(cancel=self._closing)
        except Exception:  # noqa: BLE001  # cancelled, closed, no memory: the next request that needs it says why
            return
        finally:
            with self._lock:
                entry.users -= 1
                last = entry.users == 0 and entry.leaving
            if last:
                self._free(entry)

    def _load(self, name: str, within: int | None, cancel: Flag | None, tell: Tell | None) -> Ready:
        if self.address is not None:
            return self._connect(self.address, name, cancel)
        located = self._registry.locate(name, kind="policy")
        limits = (int(device.available_memory() * MEMORY_SHARE), self._memory_bytes, within)
        meter = LoadMeter()  # what others do while the model loads is what they do now
        began = time.monotonic()

        def advance(done: float) -> bool:
            if tell is not None:
                tell(LoadStep("policy", done))
            return not self._closing.is_set() and not (cancel is not None and cancel.is_set())

        policy = LlamaPolicy(
            located.path,
            threads=self._threads,
            memory_bytes=min(limit for limit in limits if limit is not None),
            scheduler=self._scheduler,
            advance=advance,
            states=(located.sha256, self._states),
        )
        load_s = time.monotonic() - began
        key = (
            f"{located.sha256[:16]}/llama-cpp-python-{bindings.version()}/{self._threads}-threads/"
            f"{policy.device}/{device.energy()}"
        )
        return Ready(policy, located, Watch(self._profiles, key, self._threads, meter), load_s)

    def _connect(self, address: EngineAddress, name: str, cancel: Flag | None) -> Ready:
        """A model of the engine elsewhere. Only here anything of HTTP is imported."""
        from edge_ttp.policy.elsewhere.engine_policy import EnginePolicy

        began = time.monotonic()
        policy = EnginePolicy(address, None if name == address.url else name, cancel=cancel)
        located = Located(
            name=policy.model,
            kind="policy",
            path=Path(policy.model),
            sha256="",
            prompt_style="chat" if policy.chats else "few-shot",
            context=policy.context,
            manifest=None,
        )
        watch = Watch(self._profiles, f"elsewhere/{address.url}/{policy.model}", self._threads)
        return Ready(policy, located, watch, time.monotonic() - began, address=address, logprobs=policy.gives_logprobs)

    def cancel_elsewhere(self) -> None:
        """Ends the calls under way at an engine elsewhere, each with what it has."""
        from edge_ttp.policy.elsewhere.engine_policy import EnginePolicy

        with self._lock:
            held = [entry.once.loaded() for entry in self._entries.values()]
        for ready in held:
            if ready is not None and isinstance(ready.policy, EnginePolicy):
                ready.policy.cancel_all()

    # The reward model

    def reward(self) -> RewardModel:
        """The reward model, loaded now if it is not there. Raises ModelUnavailable, NotFound, OutOfCapacity."""
        return self._reward.get()

    def has_reward(self) -> bool:
        """Whether the reward model is in memory."""
        return self._reward.loaded() is not None

    def _load_reward(self) -> RewardModel:
        located = self._registry.locate(self.reward_name, kind="reward")
        need = REWARD_GROWTH * sum(file.stat().st_size for file in located.path.iterdir() if file.is_file())
        free = device.available_memory()
        if free < need:  # onnxruntime does not ask; within a control group the system would end this process
            raise OutOfCapacity(
                f"the reward model {located.name} needs about {need >> 20} MiB, {free >> 20} MiB are free",
                "allow more memory, or choose without it: the selection rule consensus or first",
            )
        return RewardModel.load(located.path, threads=self._threads)

    # The end

    def stop(self) -> None:
        """Ends what goes on in the background, and loading."""
        self._closing.set()

    def close(self) -> None:
        """Frees everything. No request may be under way."""
        self.stop()
        with self._lock:
            going = list(self._entries.values())
            self._entries.clear()
        for entry in going:
            if entry.measuring is not None:
                entry.measuring.join()
            self._free(entry)
        self._reward = Once(self._load_reward)
        give_back()

    @staticmethod
    def _free(entry: _Entry) -> None:
        ready = entry.once.loaded()
        if ready is not None:
            ready.policy.close()


def check_cancel(cancel: Flag | None) -> None:
    """Raises Cancelled where the flag is set."""
    if cancel is not None and cancel.is_set():
        raise Cancelled("cancelled while the models were loading")
