"""What trying a model file from outside costs: once, and afterwards."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from edge_ttp.registry import Located
from edge_ttp.registry.manifest import file_sha256
from edge_ttp.registry.trials import Trials


@dataclass(frozen=True)
class TrialCost:
    """Seconds for one model, medians over the rounds."""

    name: str
    kind: str
    size: int
    """Bytes of its files."""
    hash_s: float
    """To read it and take its SHA-256, once for a file that has not changed."""
    trial_s: float
    """The trial itself, once for its content."""
    known_s: float
    """Afterwards: to look up what became of it."""


def measure(
    models: Sequence[Located], *, rounds: int = 3, advance: Callable[[float], None] | None = None
) -> list[TrialCost]:
    """What each of `models` costs to try, as if it had come from outside and was never seen.

    Raises as Trials.survive where one does not survive.
    """
    return [_measured(model, rounds, advance or (lambda _: None), index) for index, model in enumerate(models)]


def _measured(model: Located, rounds: int, advance: Callable[[float], None], index: int) -> TrialCost:
    files = [model.path] if model.path.is_file() else [file for file in model.path.iterdir() if file.is_file()]
    hashed, tried, known = [], [], []
    for turn in range(rounds):
        with TemporaryDirectory(prefix="edge-ttp-") as folder:
            trials = Trials(Path(folder) / "tried.json")  # one that vouches for nothing
            hashed.append(_seconds(lambda: [file_sha256(file) for file in files]))
            survive = partial(trials.survive, model.kind, model.path, model.sha256)
            tried.append(_seconds(survive))
            known.append(_seconds(survive))
        advance(index * rounds + turn + 1)
    return TrialCost(
        name=model.name,
        kind=model.kind,
        size=sum(file.stat().st_size for file in files),
        hash_s=statistics.median(hashed),
        trial_s=statistics.median(tried),
        known_s=statistics.median(known),
    )


def _seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began
