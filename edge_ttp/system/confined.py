"""Work in a process of its own, with limits on time and memory: what dies there does not take the app along.

The process is this Python (`python -m edge_ttp.system.confined`). In a frozen app `sys.executable` is the app itself:
there it is started again with the argument FLAG, and `freeze_support`, called first in the app's main program, serves
it. A program that embeds Python says which executable to use with `multiprocessing.set_executable`.

Needs no `__main__` guard in the app, and may be used from any thread. The job goes in through standard input, the
answer comes out through standard output, one JSON line each; what native code prints goes to the error stream.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Event
from typing import IO, Any

from edge_ttp import errors
from edge_ttp.errors import Cancelled, EdgeTTPError, ModelUnavailable, OutOfCapacity

FLAG = "--edge-ttp-trial"
"""The argument with which a frozen app is started for this."""

SUBJECTS = {
    "policy": "edge_ttp.policy.trial",
    "reward": "edge_ttp.reward.rehearsal",
    "schema": "edge_ttp.policy.json_grammar",
}
"""What may be done: name -> module with a function `trial(request) -> answer`, both of what JSON can hold."""

_POLL_S = 0.02
_KEPT_LINES = 40
_LIBRARIES_BYTES = 256 << 20
"""Addresses that Python and the libraries take by themselves."""
_MOST_ANSWER = 1 << 20
_OUT_OF_MEMORY = ("bad_alloc", "memory allocation of", "out of memory", "failed to allocate", "MemoryError")
# Turned off there: what would write a core file, wait for a debugger, or print a page about the end.
_ENVIRONMENT = {"GGML_NO_BACKTRACE": "1", "PYTHONDONTWRITEBYTECODE": "1", "OMP_WAIT_POLICY": "passive"}
_UNWANTED = ("PYTHONFAULTHANDLER", "PYTHONDEVMODE", "PYTHONINSPECT", "PYTHONSTARTUP", "RUST_BACKTRACE")


@dataclass(frozen=True)
class ProcessLimits:
    """What the process may take."""

    cpu_s: float
    """Processor time of all its threads."""
    wall_s: float
    """Time from its start."""
    memory_bytes: int
    """Memory of its own: the pages of a file that it only reads are counted with their file."""
    file_bytes: int = 0
    """Size of the files it reads, which may be in memory as well."""


class Died(Exception):
    """The process ended, or had to be ended, before it answered. `str(error)` says of what, in a few words."""

    def __init__(self, words: str, *, lasting: bool) -> None:
        super().__init__(words)
        self.lasting = lasting
        """Whether it would die again: not for certain where time or memory ran out on a busy device."""


def run(subject: str, request: Mapping[str, Any], limits: ProcessLimits, *, cancel: Event | None = None) -> Any:
    """What the subject answers to `request`.

    Raises Died where its process did not live to answer, what EdgeTTPError it raised, OutOfCapacity where the system
    has no room for a process, Cancelled, and ModelUnavailable where a process of its own cannot be had at all.
    """
    job = {"subject": subject, "request": dict(request), "limits": asdict(limits), "path": _search_path()}
    command = _command()
    with _empty_folder() as empty:
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=empty,
                env=_environment(),
            )
        except OSError as error:
            raise OutOfCapacity(
                f"a process of its own to try the file in cannot be started ({error.strerror or error})",
                "close other programs or raise the limits on memory and processes",
            ) from error
        with process:
            try:
                return _Talk(process, limits).outcome(json.dumps(job).encode(), cancel)
            finally:
                process.kill()


def freeze_support() -> None:
    """Serves as the process of its own where this program was started as one, and then never returns.

    For frozen apps (PyInstaller and the like): call it first in the main program, before anything else. Elsewhere it
    does nothing.
    """
    global _served  # noqa: PLW0603  whether this program can be started as a trial is a fact about the process
    _served = True
    if FLAG in sys.argv[1:2]:
        main()


_served = False


@contextmanager
def _empty_folder() -> Iterator[str]:
    """A folder in which nothing lies that a model could name; the root where none can be made."""
    try:
        folder = tempfile.mkdtemp(prefix="edge-ttp-")
    except OSError:  # a full or read-only disk
        yield os.sep
        return
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _command() -> list[str]:
    if getattr(sys, "frozen", False):
        if not _served:
            raise ModelUnavailable(
                "a model file from outside cannot be tried in this app, so it is not loaded",
                "the app's main program has to begin with edge_ttp.freeze_support()",
            )
        return [sys.executable, FLAG]
    from multiprocessing import spawn

    python = os.fsdecode(spawn.get_executable() or b"")
    if not python:
        raise ModelUnavailable(
            "a model file from outside cannot be tried in this program, so it is not loaded: no Python is known here",
            "name one with multiprocessing.set_executable",
        )
    return [python, "-P", "-m", "edge_ttp.system.confined"]


def _search_path() -> list[str]:
    return [os.path.abspath(entry) for entry in sys.path if entry]


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in _UNWANTED}
    if not getattr(sys, "frozen", False):
        kept["PYTHONPATH"] = str(Path(__file__).resolve().parents[2])
    return {**kept, **_ENVIRONMENT}


class _Talk:
    """One conversation with the process."""

    def __init__(self, process: subprocess.Popen[bytes], limits: ProcessLimits) -> None:
        self._process, self._limits = process, limits
        self._answers: list[bytes] = []
        self._lines: deque[bytes] = deque(maxlen=_KEPT_LINES)
        self._readers = [
            threading.Thread(target=self._read, args=(stream, keep), daemon=True)
            for stream, keep in ((process.stdout, self._answers.append), (process.stderr, self._lines.append))
        ]

    def outcome(self, job: bytes, cancel: Event | None) -> Any:
        """What it answers. Raises as `run`."""
        try:
            for reader in self._readers:
                reader.start()
        except RuntimeError as error:  # no address space for a thread's stack, or too many threads
            raise OutOfCapacity(f"a thread cannot be started ({error})", "allow more memory or threads") from error
        with suppress(OSError):  # it died already; its exit code says why
            assert self._process.stdin is not None
            self._process.stdin.write(job)
            self._process.stdin.close()
        started = time.monotonic()
        while self._process.poll() is None:
            if cancel is not None and cancel.is_set():
                raise Cancelled("trying the model file was cancelled")
            if time.monotonic() - started > self._limits.wall_s:
                raise Died(f"no end after {self._limits.wall_s:.0f} s", lasting=False)
            taken = _taken(self._process.pid)
            if taken > self._limits.memory_bytes + self._limits.file_bytes:
                raise Died(f"more than {self._limits.memory_bytes >> 20} MiB of memory", lasting=False)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_POLL_S)
        for reader in self._readers:
            reader.join(5.0)
        return self._answer()

    def _read(self, stream: IO[bytes], keep: Callable[[bytes], None]) -> None:
        """Keeps the lines of `stream`, cut to a length; reads on to the end, so that nothing waits for us."""
        kept = 0
        with suppress(OSError, ValueError):  # closed under us
            while line := stream.readline(_MOST_ANSWER):
                if keep == self._lines.append:
                    keep(line[:2000])
                elif kept < 2 * _MOST_ANSWER:
                    kept += len(line)
                    keep(line)

    def _answer(self) -> Any:
        said = [_object(line) for line in self._answers]
        if not said or said[0] != {"ready": True}:
            words = self._last_words()
            if self._out_of_memory():
                raise OutOfCapacity(f"there is no memory to try the file in ({words})", "allow more memory")
            raise ModelUnavailable(
                f"a model file from outside cannot be tried here, so it is not loaded: {self._command} gave no answer"
                f"{': ' + words if words else ''}",
                "name a Python that has edge-ttp with multiprocessing.set_executable",
            )
        last = said[-1] if len(said) > 1 else {}
        if "answer" in last:
            return last["answer"]
        if "error" in last:
            raise _error(last["error"])
        death = Died(str(last["died"]), lasting=bool(last.get("panic"))) if "died" in last else self._death()
        if _is_cramped(self._limits):
            raise OutOfCapacity(
                f"the memory that is left does not suffice to try the file in a process of its own ({death})",
                "allow more memory (ulimit -v) or close other programs",
            )
        raise death

    def _death(self) -> Died:
        code = self._process.returncode
        if hasattr(signal, "SIGXCPU") and code == -signal.SIGXCPU:
            return Died(f"no end after {self._limits.cpu_s:.0f} s of processor time", lasting=False)
        words = self._last_words()
        if self._out_of_memory():
            return Died(f"more than {self._limits.memory_bytes >> 20} MiB of memory ({words})", lasting=False)
        # The system's own killer takes whoever has most memory; that says little about the file.
        killed = hasattr(signal, "SIGKILL") and code == -signal.SIGKILL
        return Died(": ".join(filter(None, (_name(code), words))), lasting=not killed)

    @property
    def _command(self) -> str:
        return str(self._process.args[0]) if isinstance(self._process.args, list) else "the process"

    def _out_of_memory(self) -> bool:
        return any(sign.encode() in line for line in self._lines for sign in _OUT_OF_MEMORY)

    def _last_words(self) -> str:
        """The line that says why: an assertion's or an exception's, else the last one."""
        lines = [line.decode("utf-8", "replace").strip() for line in self._lines]
        telling = [line for line in lines if any(sign in line for sign in ("ASSERT", "what():", "panicked", "error:"))]
        words = (telling or [line for line in lines if line] or [""])[-1]
        words = "".join(character for character in words if character.isprintable())
        return words.removeprefix("what():").split("/")[-1].strip()[:200]


def _object(line: bytes) -> dict[str, Any]:
    with suppress(ValueError, RecursionError):
        found = json.loads(line)
        if isinstance(found, dict):
            return found
    return {}


def _error(fields: Sequence[Any]) -> EdgeTTPError:
    kind, fact, cure = (str(field) for field in fields)
    family = getattr(errors, kind, EdgeTTPError)
    return family(fact, cure) if isinstance(family, type) and issubclass(family, EdgeTTPError) else EdgeTTPError(fact)


def _name(code: int) -> str:
    """How a process ended: a signal's name, or its exit code."""
    if code < 0:
        with suppress(ValueError):
            return signal.Signals(-code).name
    return f"exit code {code & 0xFFFFFFFF:#x}" if code > 255 else f"exit code {code}"


def _is_cramped(limits: ProcessLimits) -> bool:
    """Whether so little memory is left that a sound file might die of it."""
    import psutil

    if psutil.virtual_memory().available < limits.file_bytes + _LIBRARIES_BYTES:
        return True
    if sys.platform == "win32":
        return False
    import resource

    wanted = limits.memory_bytes + limits.file_bytes + _LIBRARIES_BYTES
    found = (resource.getrlimit(which)[0] for which in (resource.RLIMIT_AS, resource.RLIMIT_DATA))
    return any(limit != resource.RLIM_INFINITY and limit < wanted for limit in found)


def _taken(pid: int) -> int:
    """Bytes of a process that are in memory; 0 where the system does not say."""
    import psutil

    with suppress(psutil.Error):
        return int(psutil.Process(pid).memory_info().rss)
    return 0


def main() -> None:
    """The process of its own: reads a job, does it within its limits, answers, and ends."""
    channel = os.dup(1)
    os.dup2(2, 1)  # native code that prints does not mix with the answer
    job = json.loads(_read_all(0))
    _confine(ProcessLimits(**job["limits"]))
    sys.path += [entry for entry in job["path"] if entry not in sys.path]

    def say(line: Mapping[str, Any]) -> None:
        data = json.dumps(line).encode() + b"\n"
        while data:
            data = data[os.write(channel, data) :]

    say({"ready": True})
    try:
        from importlib import import_module

        say({"answer": import_module(SUBJECTS[job["subject"]]).trial(job["request"])})
    except EdgeTTPError as error:
        say({"error": [type(error).__name__, error.fact, error.cure]})
    except BaseException as error:  # noqa: BLE001  the panic of a Rust library is no Exception
        words = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        # An exception of Python's may be due to the device's state; a panic is due to the file.
        say({"died": words, "panic": not isinstance(error, Exception)})
    os._exit(0)  # without the interpreter's end, which would run the library's


def _read_all(handle: int) -> bytes:
    parts = []
    while part := os.read(handle, 1 << 16):
        parts.append(part)
    return b"".join(parts)


def _confine(limits: ProcessLimits) -> None:
    """Sets the limits for this process, as far as the system knows such. The process that waits enforces the rest."""
    if sys.platform == "win32":  # pragma: no cover
        import ctypes

        ctypes.windll.kernel32.SetErrorMode(0x8003)  # no window that says it crashed and waits for a click
        return
    import resource

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the app's; it ends this process
    for which, wanted in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, int(limits.cpu_s) + 1),
        (resource.RLIMIT_FSIZE, _MOST_ANSWER),
        # On Linux all memory of one's own; files that are mapped to be read do not count.
        (resource.RLIMIT_DATA, limits.memory_bytes),
    ):
        hard = resource.getrlimit(which)[1]
        within = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with suppress(OSError, ValueError):
            resource.setrlimit(which, (within, hard))
    if sys.platform == "linux":
        import ctypes

        with suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("1000")  # if memory ends, this is what may go
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: it does not outlive the app


if __name__ == "__main__":
    main()
