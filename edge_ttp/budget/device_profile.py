"""The measured profile of one policy on this device, and the small file in the cache folder that keeps them."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_ttp.budget.cost import BINS, KNOTS, Floats, Lengths, Speed, corrected, decode_s
from edge_ttp.paths import private_folder

_START_SCORE = (0.03, 0.004)
_START_BEFORE_S = 0.02
_START_AFTER_S = 0.02
_SMOOTH = 0.3
"""Weight of the newest call in running averages."""
_EFFICIENCY = 0.8
"""A number of threads that was never measured is taken to gain this power of what it adds."""
_DEVIATIONS = 3
"""Deviations that are kept back from a deadline beside the mean time of scoring and recording."""

GRID = np.array(sorted({*range(1, 33), *range(36, 65, 4), *range(72, 257, 8)}), dtype=np.int64)
"""Numbers of candidates at which seconds are computed; between them they are interpolated."""


@dataclass(frozen=True)
class Call:
    """What one request did and took, for correcting a profile."""

    prefill_threads: int
    decode_threads: int
    prompt_tokens: int
    cached_tokens: int
    prefill_s: float
    rows: tuple[int, ...]
    """Rows of each decode step."""
    decode_s: float
    tokens: tuple[int, ...]
    """Of each candidate."""
    cut: tuple[bool, ...]
    """Whether a deadline, a cancel or a full cache ended each candidate."""
    usual: int
    """Tokens that a candidate was expected to have at most (cost.Lengths)."""
    scored: int
    """Candidates that were scored, over all waves."""
    waves: int
    score_s: float
    before_s: float
    """Recall and composing."""
    after_s: float
    """Choosing and recording."""


@dataclass(frozen=True)
class Profile:
    """What requests to one policy cost on this device."""

    measured: Mapping[int, Speed]
    """By number of threads, as the last measurement found it."""
    speeds: Mapping[int, Speed]
    """By number of threads, as the calls since then have corrected it."""
    lengths: Lengths = field(default_factory=Lengths)
    score_parts: tuple[float, float] = _START_SCORE
    """Seconds of one scoring, and of each candidate in it."""
    before_s: float = _START_BEFORE_S
    after_s: float = _START_AFTER_S
    deviation_s: float = 0.01
    """Mean absolute error of the time that scoring, choosing and recording take."""
    load_s: float | None = None
    """What loading the policy took."""
    sequence_bytes: int | None = None
    """Memory of one more candidate of 64 tokens."""
    calls: int = 0
    """Requests that have corrected it."""
    measured_at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    def speed(self, threads: int) -> Speed:
        """The speed with so many threads; estimated from the nearest measured number where it never ran."""
        if threads in self.speeds:
            return self.speeds[threads]
        nearest = min(self.speeds, key=lambda count: abs(np.log(count / threads)))
        return self.speeds[nearest].scaled((nearest / threads) ** _EFFICIENCY)

    def threads(self, free: int) -> tuple[int, int]:
        """The numbers of threads, at most `free`, that read a prompt and that draw candidates fastest."""
        choices = sorted(count for count in self.speeds if count <= free) or [max(1, free)]
        reading = min(choices, key=lambda count: self.speed(count).prefill_s(512))
        drawing = min(choices, key=lambda count: float(self.speed(count).rows_s(np.array([1.0, 8.0])).sum()))
        return reading, drawing

    def score_s(self, n: npt.ArrayLike) -> Floats:
        """Seconds to score so many candidates at once."""
        return np.asarray(self.score_parts[0] + self.score_parts[1] * np.asarray(n, dtype=np.float64))

    def reserve_s(self, n: int, *, scored: bool = True) -> float:
        """Seconds to keep back from a deadline for scoring `n` candidates, choosing and recording."""
        return (float(self.score_s(n)) if scored else 0.0) + self.after_s + _DEVIATIONS * self.deviation_s

    def prefill_s(self, prompt: int, cached: int, free: int) -> float:
        """Seconds to read a prompt, with the best number of threads among `free`."""
        return self.speed(self.threads(free)[0]).prefill_s(prompt, cached)

    def draw_s(
        self,
        most: int,
        *,
        prompt: int,
        longest: int,
        free: int,
        usual: int | None = None,
        width: int | None = None,
        scored: bool = True,
    ) -> Floats:
        """Seconds, (most,), to draw and score 1, 2, ... `most` candidates behind a prompt, at most `width` at once.

        Each has at most `longest` tokens, and for most of them `usual` would do.
        """
        grid = np.append(GRID[most > GRID], most)
        together = grid if width is None else np.minimum(grid, max(1, width))
        waves = np.ceil(grid / together)
        each = np.ceil(grid / waves).astype(np.int64)
        speed = self.speed(self.threads(free)[1])
        seconds = waves * decode_s(speed, self.lengths, each, prompt, longest, usual=usual)
        if scored:
            seconds = seconds + self.score_s(grid)
        return np.asarray(np.interp(np.arange(1, most + 1), grid, seconds), dtype=np.float64)

    def after(self, call: Call) -> Profile:
        """This profile, corrected by one more call. Threads it did not use drift back to their measurement."""
        speeds = {
            threads: speed.towards(self.measured[threads]) if threads in self.measured else speed
            for threads, speed in self.speeds.items()
            if threads not in (call.prefill_threads, call.decode_threads)
        }
        for threads in {call.prefill_threads, call.decode_threads}:
            speed = self.speed(threads)
            if threads == call.prefill_threads and call.prompt_tokens - call.cached_tokens >= 16:
                speed = speed.after_prefill(call.prompt_tokens, call.cached_tokens, call.prefill_s)
            if threads == call.decode_threads and call.rows:
                cells = call.prompt_tokens + sum(call.rows) // 2
                speed = speed.after_decode(call.rows, cells, call.decode_s)
            speeds[threads] = speed
        score, deviation = self.score_parts, self.deviation_s
        after = self.after_s + _SMOOTH * (min(call.after_s, self.after_s * 8) - self.after_s)
        if call.scored and call.score_s > 0:
            base, each = corrected(score, (call.waves, call.scored), call.score_s)
            score = (base, each)
        expected = self.after_s + (self.score_parts[0] * call.waves + self.score_parts[1] * call.scored)
        missed = abs(call.after_s + call.score_s - expected) if call.scored else abs(call.after_s - self.after_s)
        deviation += _SMOOTH * (min(missed, 8 * deviation + 0.01) - deviation)
        return replace(
            self,
            speeds=speeds,
            lengths=self.lengths.after(call.tokens, call.cut, call.usual, sum(call.rows), len(call.tokens)),
            score_parts=(score[0], score[1]),
            before_s=self.before_s + _SMOOTH * (min(call.before_s, self.before_s * 8) - self.before_s),
            after_s=after,
            deviation_s=deviation,
            calls=self.calls + 1,
        )

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "measured": {str(threads): speed.parts() for threads, speed in self.measured.items()},
            "speeds": {str(threads): speed.parts() for threads, speed in self.speeds.items()},
            "lengths": [*self.lengths.weights, self.lengths.sharing],
            "score": list(self.score_parts),
            "before_s": self.before_s,
            "after_s": self.after_s,
            "deviation_s": self.deviation_s,
            "load_s": self.load_s,
            "sequence_bytes": self.sequence_bytes,
            "calls": self.calls,
            "measured_at": self.measured_at,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Profile:
        """The reverse of `as_dict`. Raises ValueError, TypeError or KeyError for anything else."""
        speeds, measured = _speeds(values["speeds"]), _speeds(values["measured"])
        *weights, sharing = _numbers(values["lengths"], BINS + 2, least=0.0)
        if not speeds or not 0.99 < sum(weights) < 1.01 or sharing > 0.9:
            raise ValueError("no profile")
        score = _numbers(values["score"], 2)
        before, after, deviation = _numbers([values[name] for name in ("before_s", "after_s", "deviation_s")], 3)
        load, size = values["load_s"], values["sequence_bytes"]
        return cls(
            measured=measured,
            speeds=speeds,
            lengths=Lengths(tuple(weights), sharing),
            score_parts=(score[0], score[1]),
            before_s=before,
            after_s=after,
            deviation_s=deviation,
            load_s=None if load is None else _numbers([load], 1, least=0.0)[0],
            sequence_bytes=None if size is None else int(size),
            calls=int(values["calls"]),
            measured_at=str(values["measured_at"]),
        )


def _speeds(values: Mapping[str, Any]) -> dict[int, Speed]:
    found = {int(threads): Speed.of(_numbers(parts, len(KNOTS) + 4)) for threads, parts in values.items()}
    if any(threads < 1 for threads in found):
        raise ValueError("no number of threads")
    return found


def _numbers(values: Any, count: int, least: float = 1e-15) -> list[float]:
    found = [float(value) for value in values]
    if len(found) != count or not all(isfinite(value) and value >= least for value in found):
        raise ValueError("not the numbers of a profile")
    return found


class Profiles:
    """The profiles of this device in one JSON file, by fingerprint. A damaged file counts as empty."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self, key: str) -> Profile | None:
        """The profile stored under `key`, None where there is none."""
        values = self._read().get(key)
        if not isinstance(values, dict):
            return None
        try:
            return Profile.from_dict(values)
        except (ValueError, TypeError, KeyError, OverflowError):
            return None

    def save(self, key: str, profile: Profile) -> None:
        """Stores a profile. Two writers at once: the last one wins, the file stays whole."""
        profiles = self._read()
        profiles[key] = profile.as_dict()
        private_folder(self._path.parent)
        temporary = self._path.with_name(f"{self._path.name}.{os.getpid()}-{threading.get_ident()}.tmp")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(profiles, file, indent=1)
            os.replace(temporary, self._path)
        except BaseException:  # a full disk: half a file under a name of its own would stay for ever
            temporary.unlink(missing_ok=True)
            raise

    def keys(self) -> list[str]:
        """The fingerprints in the file."""
        return sorted(self._read())

    def _read(self) -> dict[str, object]:
        try:
            if not self._path.is_file():  # a pipe would be waited for
                return {}
            found = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}
