"""Keeps the profile of one policy on this device: measured when it is first needed, corrected by every request."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from edge_ttp.budget import device
from edge_ttp.budget.cost import fit
from edge_ttp.budget.device_profile import Call, Profile, Profiles
from edge_ttp.budget.load import LoadMeter
from edge_ttp.budget.timed import Timed

_QUICK_S = 4.0
"""After so many seconds a first, quick measurement tries no further number of threads."""

_SHARE_KEPT = 0.4
"""Part of a core that others must use before a thread makes way for them."""

_HEAT_EVERY_S = 10.0


class Measurable(Protocol):
    """A policy that can time itself."""

    def measure(
        self, threads: int | None = None, *, thorough: bool = False, cancel: threading.Event | None = None
    ) -> Timed:
        """Times itself with so many threads."""


class Watch:
    """The costs of one loaded policy on this device. Safe to use from several threads."""

    def __init__(self, store: Profiles, key: str, threads: int, meter: LoadMeter | None = None) -> None:
        """`key` is the fingerprint that the profile is kept under; `threads` the most that may run.

        `meter` None: one that begins to watch now.
        """
        self._store, self.key, self._threads = store, key, threads
        self._profile = store.load(key)
        self._lock = threading.Lock()
        self._meter = meter or LoadMeter()
        self._heat: tuple[float, bool] = (-_HEAT_EVERY_S, False)

    @property
    def profile(self) -> Profile | None:
        """What requests cost now, None before anything was measured."""
        return self._profile

    def measure(
        self,
        policy: Measurable,
        *,
        thorough: bool = False,
        load_s: float | None = None,
        sequence_bytes: int | None = None,
        cancel: threading.Event | None = None,
        advance: Callable[[float], None] | None = None,
    ) -> Profile:
        """Times the policy with all threads, half of them, and one; stores and returns the profile.

        What requests have taught about lengths, scoring and recording is kept. Quick: a second or two for a small
        model; thorough: up to a minute. `cancel`, set from any thread, ends it (Cancelled), nothing stored.
        """
        began = time.monotonic()
        speeds = {}
        counts = self.thread_counts()
        for done, count in enumerate(counts, start=1):
            timed = policy.measure(count, thorough=thorough, cancel=cancel)
            speeds[count] = fit(timed.chunks, timed.steps)
            if advance is not None:
                advance(done)
            if not thorough and time.monotonic() - began > _QUICK_S:
                break
        with self._lock:
            fresh = Profile(measured=speeds, speeds=speeds, load_s=load_s, sequence_bytes=sequence_bytes)
            if self._profile is not None:
                fresh = replace(
                    self._profile,
                    measured=speeds,
                    speeds=speeds,
                    load_s=load_s if load_s is not None else self._profile.load_s,
                    sequence_bytes=sequence_bytes or self._profile.sequence_bytes,
                    measured_at=fresh.measured_at,
                )
            self._profile = fresh
            self._save(fresh)
        return fresh

    def thread_counts(self) -> list[int]:
        """Numbers of threads that are measured, the largest first."""
        return sorted({self._threads, max(1, self._threads // 2), 1}, reverse=True)

    def observe(self, call: Call) -> None:
        """Corrects the profile by one more request."""
        self._meter.look()
        with self._lock:
            if self._profile is not None:
                self._profile = self._profile.after(call)
                self._save(self._profile)

    def free_cores(self) -> int:
        """Cores for this request: those that the process may use, less those that others keep busy; at least 1."""
        usable = min(self._threads, device.cores())
        busy = self._meter.look()
        if busy is None:
            return usable
        return max(1, min(usable, int(device.cores() - busy + _SHARE_KEPT)))

    def hot(self) -> bool:
        """Whether the processor is at its upper temperature; read again after some seconds."""
        now = time.monotonic()
        if now - self._heat[0] >= _HEAT_EVERY_S:
            self._heat = (now, device.heat()[1])
        return self._heat[1]

    def _save(self, profile: Profile) -> None:
        try:
            self._store.save(self.key, profile)
        except OSError:
            return  # a full or read-only cache folder: the next start measures again
