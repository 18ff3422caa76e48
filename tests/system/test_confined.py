"""A process of its own: what it answers, what it dies of, what it may take."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from edge_ttp.errors import Cancelled, DeadlineTooShort, OutOfCapacity
from edge_ttp.system import confined
from edge_ttp.system.confined import Died, ProcessLimits, run

pytestmark = pytest.mark.slow

LIMITS = ProcessLimits(cpu_s=30, wall_s=60, memory_bytes=400 << 20)


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs `body`, the statements of a subject's `trial`, in a process of its own."""
    monkeypatch.syspath_prepend(tmp_path)

    def run_body(body: str, limits: ProcessLimits = LIMITS, **options: Any) -> Any:
        lines = "\n".join(f"    {line}" for line in body.splitlines())
        (tmp_path / "subject_under_test.py").write_text(
            f"import ctypes, os, signal, sys, time\ndef trial(request):\n{lines}\n"
        )
        code = "import edge_ttp.system.confined as c; c.SUBJECTS['test'] = 'subject_under_test'; c.main()"
        monkeypatch.setattr(confined, "_command", lambda: [sys.executable, "-c", code])
        return run("test", {"given": 1}, limits, **options)

    return run_body


def test_it_answers(ask: Any) -> None:
    assert ask("return [request, os.listdir('.')]") == [{"given": 1}, []]


def test_what_it_prints_is_not_its_answer(ask: Any) -> None:
    assert ask("print('{}' * 100_000, flush=True)\nos.write(2, b'x' * 10**7)\nreturn 3") == 3


def test_its_errors_are_ours(ask: Any) -> None:
    with pytest.raises(DeadlineTooShort, match="a fact; a cure"):
        ask("from edge_ttp.errors import DeadlineTooShort\nraise DeadlineTooShort('a fact', 'a cure')")


@pytest.mark.parametrize(
    ("body", "words", "lasting"),
    [
        ("os.abort()", "SIGABRT", True),
        ("ctypes.string_at(0)", "SIGSEGV", True),
        (
            "os.write(2, b'a.cpp:1: GGML_ASSERT(x) failed\\nmore\\n'); os.abort()",
            r"SIGABRT: a.cpp:1: GGML_ASSERT",
            True,
        ),
        ("os._exit(7)", "exit code 7", True),
        ("{}['missing']", "KeyError: 'missing'", False),
        ("raise type('PanicException', (BaseException,), {})('index out of bounds')", "PanicException: index", True),
        ("while True: pass", "no end after 1 s of processor time", False),
        ("held = bytearray(10**9); held[:] = b'x' * 10**9", "MemoryError", False),
        ("os.write(2, b'std::bad_alloc'); os.abort()", "more than 400 MiB of memory", False),
        ("os.kill(os.getpid(), 9)", "SIGKILL", False),
    ],
)
def test_what_it_dies_of_is_told(ask: Any, body: str, words: str, lasting: bool) -> None:
    with pytest.raises(Died, match=words) as died:
        ask(body, ProcessLimits(cpu_s=1, wall_s=60, memory_bytes=400 << 20))
    assert died.value.lasting is lasting


def test_one_that_only_waits_is_ended(ask: Any) -> None:
    with pytest.raises(Died, match="no end after 1 s") as died:
        ask("time.sleep(60)", ProcessLimits(cpu_s=1, wall_s=1, memory_bytes=400 << 20))
    assert not died.value.lasting


def test_a_cancel_ends_it(ask: Any) -> None:
    cancel = threading.Event()
    threading.Timer(0.5, cancel.set).start()
    started = time.monotonic()
    with pytest.raises(Cancelled):
        ask("time.sleep(60)", cancel=cancel)
    assert time.monotonic() - started < 30


def test_nothing_of_it_stays(ask: Any, tmp_path: Path) -> None:
    note = tmp_path / "note"
    with pytest.raises(Died):
        ask(
            f"open({str(note)!r}, 'w').write(f'{{os.getpid()}} {{os.getcwd()}}')\ntime.sleep(60)",
            ProcessLimits(9, 1, 400 << 20),
        )
    pid, folder = note.read_text().split()
    assert not psutil.pid_exists(int(pid))
    assert not Path(folder).exists()


def test_it_does_not_outlive_an_app_that_is_killed(tmp_path: Path) -> None:
    (tmp_path / "subject_under_test.py").write_text(
        "import os, time\ndef trial(request):\n    print('pid', os.getpid(), flush=True)\n    time.sleep(60)\n"
    )
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import edge_ttp.system.confined as c\n"
        "inner = \"import edge_ttp.system.confined as c; c.SUBJECTS['test'] = 'subject_under_test'; c.main()\"\n"
        "c._command = lambda: [sys.executable, '-c', inner]\n"
        "c._Talk._read = lambda self, stream, keep: [print(line.decode(), flush=True) for line in stream]\n"
        "c.run('test', {}, c.ProcessLimits(60, 60, 1 << 30))\n"
    )
    app = subprocess.Popen([sys.executable, "-c", code, tmp_path], stdout=subprocess.PIPE, text=True)
    assert app.stdout is not None
    pid = next(int(line.split()[1]) for line in app.stdout if line.startswith("pid"))
    app.kill()
    app.wait()
    app.stdout.close()
    for _ in range(100):
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return
        time.sleep(0.1)
    pytest.fail("it lives on")


def test_a_program_that_is_not_frozen_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["app", "--other"])
    monkeypatch.setattr(confined, "_served", False)
    confined.freeze_support()


def test_what_a_debugger_or_a_developer_sets_is_left_out(ask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONFAULTHANDLER", "1")
    monkeypatch.setenv("PYTHONINSPECT", "1")
    with pytest.raises(Died, match=r"^SIGABRT$"):
        ask("os.abort()")
    assert "PYTHONINSPECT" in os.environ


def test_where_memory_is_limited_nothing_is_held_against_a_file(ask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    resource = pytest.importorskip("resource")
    real = resource.getrlimit
    cramped = (300 << 20, 300 << 20)
    monkeypatch.setattr(resource, "getrlimit", lambda which: cramped if which == resource.RLIMIT_AS else real(which))
    with pytest.raises(OutOfCapacity, match="does not suffice to try the file"):
        ask("os.abort()")
