"""Settings of llama.cpp that might make it faster, each tried beside the engine's own, in pairs within one run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from statistics import median
from typing import Any

from edge_ttp.errors import ModelUnavailable
from edge_ttp.lab.bench.engine_rounds import Trying

PROMPT = 600
ROWS = (1, 8, 32)
STEPS = 6


@dataclass(frozen=True)
class EngineSetting:
    """Something that is set in another way than the engine does."""

    name: str
    words: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    """Of engine_rounds.Trying."""
    environment: Mapping[str, str] = field(default_factory=dict)


SETTINGS = (
    EngineSetting("same", "nothing changed: how far two equal processes differ"),
    EngineSetting("flash-attention", "flash attention on", {"flash_attention": True}),
    EngineSetting("cache-8-bit", "keys and values in 8 bits (needs flash attention)", {"cache_type": "q8_0"}),
    EngineSetting("ubatch-32", "n_ubatch 32", {"chunk": 32}),
    EngineSetting("ubatch-64", "n_ubatch 64", {"chunk": 64}),
    EngineSetting("ubatch-256", "n_ubatch 256", {"chunk": 256}),
    EngineSetting("ubatch-512", "n_ubatch 512", {"chunk": 512}),
    EngineSetting("pool-no-polling", "a ggml thread pool whose threads do not spin", {"poll": 0}),
    EngineSetting("pool-polling", "a ggml thread pool whose threads spin as usual (50)", {"poll": 50}),
    EngineSetting("openmp-passive", "OpenMP's threads sleep while they wait", {}, {"OMP_WAIT_POLICY": "passive"}),
    EngineSetting(
        "openmp-long-spin", "OpenMP's threads spin as long as libgomp has it", {}, {"GOMP_SPINCOUNT": "300000"}
    ),
    EngineSetting("huge-pages", "weights and caches in huge pages", {}, {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}),
    EngineSetting("one-thread", "one thread", {"threads": 1}),
)


@dataclass(frozen=True)
class SettingSpeed:
    """One setting: the engine's own seconds over the setting's, medians of pairs; above 1 is faster."""

    name: str
    words: str
    read: float
    """Reading the prompt."""
    steps: Mapping[int, float]
    """Decode steps by their rows."""
    spread: float
    """Largest distance of any pair's ratio from its median, over all columns."""
    rounds: int

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        return {**asdict(self), "steps": {str(rows): ratio for rows, ratio in self.steps.items()}}


def measure(
    own: Trying,
    settings: Sequence[EngineSetting],
    *,
    rounds: int,
    advance: Callable[[float], None],
    cancel: threading.Event,
) -> list[SettingSpeed]:
    """Every setting beside the engine's own, one after another; those that were measured whole where `cancel` is set.

    Raises ModelUnavailable where a process does not live to answer.
    """
    found: list[SettingSpeed] = []
    done = 0
    with _process(own, {}) as base:
        for setting in settings:
            with _process(replace(own, **setting.changes), setting.environment) as other:
                pairs: list[tuple[dict[str, float], dict[str, float]]] = []
                for turn in range(rounds):
                    first, second = (base, other) if turn % 2 else (other, base)
                    one, two = first(), second()
                    pairs.append((one, two) if turn % 2 else (two, one))
                    done += 1
                    advance(done)
                    if cancel.is_set():
                        return found
            found.append(_row(setting, pairs))
    return found


def _row(setting: EngineSetting, pairs: Sequence[tuple[Mapping[str, float], Mapping[str, float]]]) -> SettingSpeed:
    ratios = {name: [own[name] / its[name] for own, its in pairs] for name in pairs[0][0]}
    middle = {name: median(values) for name, values in ratios.items()}
    return SettingSpeed(
        name=setting.name,
        words=setting.words,
        read=middle["read"],
        steps={int(name): ratio for name, ratio in middle.items() if name != "read"},
        spread=max(abs(one - middle[name]) for name, values in ratios.items() for one in values),
        rounds=len(pairs),
    )


@contextmanager
def _process(asked: Trying, environment: Mapping[str, str]) -> Iterator[Callable[[], dict[str, float]]]:
    """A process that answers with the seconds of a round whenever it is called."""
    process = subprocess.Popen(
        [sys.executable, "-m", "edge_ttp.lab.bench.engine_rounds", json.dumps(asdict(asked))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **environment},
        text=True,
        start_new_session=True,  # Ctrl-C is for the bench, which ends with what was measured whole
    )
    with process:
        try:
            _answer(process)  # ready

            def one_round() -> dict[str, float]:
                assert process.stdin is not None
                process.stdin.write("\n")
                process.stdin.flush()
                return _answer(process)

            yield one_round
        finally:
            process.kill()


def _answer(process: subprocess.Popen[str]) -> dict[str, float]:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise ModelUnavailable(
            f"llama.cpp ended under a setting (code {process.wait()})", "leave it out with --only, or try less threads"
        )
    answer: dict[str, float] = json.loads(line)
    return answer
