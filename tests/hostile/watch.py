"""Runs cases in workers and watches them: who dies, who hangs, how much memory is taken."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

import psutil

ROOT = Path(__file__).parents[2]
TOLERANCE_S = 2.0
HEADROOM_BYTES = 10**9
_HANG_S = 60.0
_START_S = 300.0
_POLL_S = 0.05


@dataclass(frozen=True)
class Result:
    """What became of one case."""

    kind: str
    seed: int
    number: int
    what: str
    outcome: str
    """answered, refused, or the name of a fault."""
    words: str
    seconds: float
    peak_bytes: int
    """Most resident memory of the calling process and its children while the case ran."""
    commit: str = ""
    """Of this repository, when the case ran; empty where git does not say."""

    @property
    def fault(self) -> bool:
        return self.outcome not in ("answered", "refused")

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def commit_now() -> str:
    """The short name of the commit that is checked out, with a `+` where files differ from it."""
    try:
        said = subprocess.run(
            ["git", "describe", "--always", "--abbrev=7", "--dirty=+", "--exclude=*"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return said.stdout.strip()


def run(kind: str, seed: int, numbers: Iterable[int]) -> Iterator[Result]:
    """The results of the cases `numbers`, in their order. A late one is run again alone: the machine may be busy."""
    commit = commit_now()
    with TemporaryDirectory(prefix="hostile-") as folder:
        worker: _Worker | None = None
        try:
            for number in numbers:
                for attempt in ("first", "again"):
                    if worker is None:
                        worker = _Worker(kind, seed, Path(folder))
                    result = worker.case(number)
                    if not worker.alive():
                        worker.end()
                        worker = None
                    if result.outcome != "late" or attempt == "again":
                        yield replace(result, commit=commit)
                        break
        finally:
            if worker is not None:
                worker.end()


class _Worker:
    _made = 0

    def __init__(self, kind: str, seed: int, folder: Path) -> None:
        _Worker._made += 1
        self._kind, self._seed = kind, seed
        path = f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
        own = folder / f"worker-{_Worker._made}"
        self._stderr = (folder / f"worker-{_Worker._made}.stderr").open("w+b")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.hostile.worker", kind, str(seed), str(own)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": path, "EDGE_TTP_HOME": str(own / "home")},
            start_new_session=True,
        )
        self._lines: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        assert self._process.stdout is not None
        threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True).start()
        if self._next(_START_S)[0] is None:
            raise RuntimeError(f"the worker of {kind!r} does not start: {self._said()}")

    def _read(self, stdout: IO[bytes]) -> None:
        for line in stdout:
            self._lines.put(json.loads(line))
        self._lines.put(None)

    def case(self, number: int) -> Result:
        """Runs one case; what it came to."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{number}\n".encode())
        self._process.stdin.flush()
        begin, _ = self._next(_START_S)
        if begin is None:
            return Result(self._kind, self._seed, number, "?", "wrong", f"not made: {self._said()}", 0, 0)
        deadline: float = begin["deadline_s"]
        end, peak = self._next(deadline + TOLERANCE_S + _HANG_S)
        outcome, words, seconds = "late", "no end, killed", deadline + TOLERANCE_S + _HANG_S
        if end is not None:
            outcome, words, seconds = end["outcome"], end.get("words", ""), end["seconds"]
            peak = max(peak, end["peak_bytes"])
            if outcome in ("answered", "refused") and seconds > deadline + TOLERANCE_S:
                outcome, words = "late", f"{seconds:.1f} s, {deadline:g} s were allowed; {words}"
            elif outcome in ("answered", "refused") and peak > begin["budget_bytes"] + HEADROOM_BYTES:
                outcome, words = "memory", f"{peak >> 20} MiB; {words}"
        elif self._process.poll() is not None:
            code = self._process.wait()
            died = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            outcome, words, seconds = "death", f"{died}: {self._said()}", 0.0
        return Result(self._kind, self._seed, number, begin["what"], outcome, words, seconds, peak)

    def _next(self, patience_s: float) -> tuple[dict[str, Any] | None, int]:
        """The worker's next line, None where it died or `patience_s` passed; and the peak memory until then."""
        peak, waited = 0, 0.0
        while waited < patience_s:
            try:
                line = self._lines.get(timeout=_POLL_S)
            except queue.Empty:
                waited += _POLL_S
                peak = max(peak, _resident(self._process.pid))
                continue
            if line is None:
                self._process.wait()
            return line, max(peak, _resident(self._process.pid))
        self.end()
        return None, peak

    def _said(self) -> str:
        self._stderr.seek(0)
        return " ".join(self._stderr.read().decode("utf-8", "replace").split())[-400:]

    def alive(self) -> bool:
        return self._process.poll() is None

    def end(self) -> None:
        """Kills the worker and what it started."""
        if self.alive():
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def _resident(pid: int) -> int:
    total = 0
    try:
        process = psutil.Process(pid)
        for one in (process, *process.children(recursive=True)):
            total += one.memory_info().rss
    except psutil.Error:
        pass
    return total
