"""What a request costs on this device: a small linear model, measured once per policy and corrected by every call.

seconds(N) = overhead + N score + prompt tokens / prefill rate + steps * step + rows * row, where a step is one decode
call, and rows are candidates times their tokens. Kept per model, thread count and wheel in the cache folder.
"""

from __future__ import annotations

import json
import math
import os
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_ttp.paths import private_folder

_WEIGHT = 0.3
"""Weight of the newest call in the running averages: a few calls follow a change of load."""

_START_OVERHEAD_S = 0.05
_START_SCORE_S = 0.004


@dataclass(frozen=True)
class Cost:
    """Seconds that the parts of a request take on this device. All positive."""

    prefill_token_s: float
    step_s: float
    """Fixed part of one decode step."""
    row_s: float
    """Part of a decode step that each row adds."""
    overhead_s: float = _START_OVERHEAD_S
    """Recall, choice and recording of one request."""
    score_s: float = _START_SCORE_S
    """Scoring of one candidate."""

    def seconds(
        self, most: int, *, prompt_tokens: int, max_tokens: int, usual_tokens: float
    ) -> npt.NDArray[np.float64]:
        """Predicted seconds (most,) of the whole call with 1, 2, ... `most` candidates.

        `max_tokens` is the longest candidate allowed, `usual_tokens` what one is likely to take.
        """
        n = np.arange(1, most + 1, dtype=np.float64)
        # The longest of many candidates comes near the limit; one alone is as long as usual.
        steps = usual_tokens + (max_tokens - usual_tokens) * (1 - 1 / n)
        decode = steps * self.step_s + n * usual_tokens * self.row_s
        fixed = self.overhead_s + prompt_tokens * self.prefill_token_s
        return np.asarray(fixed + decode + n * self.score_s, dtype=np.float64)

    def updated(
        self,
        *,
        computed_prompt_tokens: int,
        prefill_s: float,
        steps: int,
        rows: int,
        decode_s: float,
        candidates: int,
        score_s: float,
        overhead_s: float,
    ) -> Cost:
        """This model after one more call was timed."""
        cost = self
        if computed_prompt_tokens >= 16:
            cost = replace(cost, prefill_token_s=_mix(cost.prefill_token_s, prefill_s / computed_prompt_tokens))
        predicted = steps * self.step_s + rows * self.row_s
        if steps and predicted > 0:
            # One call cannot tell the two parts of a step from each other, but it can tell that both are slower.
            factor = _mix(1.0, decode_s / predicted)
            cost = replace(cost, step_s=cost.step_s * factor, row_s=cost.row_s * factor)
        if candidates and score_s > 0:
            cost = replace(cost, score_s=_mix(cost.score_s, score_s / candidates))
        return replace(cost, overhead_s=_mix(cost.overhead_s, overhead_s))


def _mix(old: float, new: float) -> float:
    """A running average that one wild measurement (a paused machine) cannot throw off."""
    return old + _WEIGHT * (min(max(new, old / 4), old * 4) - old)


def fit(prefill_token_s: float, rows: Sequence[int], step_s: Sequence[float]) -> Cost:
    """The cost model from measured steps: step_s[i] seconds with rows[i] rows (least squares, both parts positive)."""
    x, y = np.asarray(rows, dtype=np.float64), np.asarray(step_s, dtype=np.float64)
    slope, base = np.polyfit(x, y, 1)
    slope = max(float(slope), float(y.min()) / 1000)
    base = max(float(base), float(y.min()) / 1000)
    return Cost(prefill_token_s=prefill_token_s, step_s=base, row_s=slope)


class Profiles:
    """The cost models of this device in one small JSON file. A damaged file counts as empty: it is only a cache."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self, key: str) -> Cost | None:
        """The cost model stored under `key`, None where there is none."""
        values = self._read().get(key)
        try:
            cost = Cost(**values) if isinstance(values, dict) else None
        except TypeError:
            return None
        if cost is None or not all(
            isinstance(value, float) and math.isfinite(value) and value > 0 for value in asdict(cost).values()
        ):
            return None
        return cost

    def save(self, key: str, cost: Cost) -> None:
        """Stores a cost model. Two writers at once: the last one wins, the file stays whole."""
        profiles = self._read()
        profiles[key] = asdict(cost)
        private_folder(self._path.parent)
        temporary = self._path.with_name(f"{self._path.name}.{os.getpid()}-{threading.get_ident()}.tmp")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(profiles, file, indent=1)
        os.replace(temporary, self._path)

    def _read(self) -> dict[str, object]:
        try:
            found = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}
