"""The search for a policy's fastest format in the background: at idle priority, and never while a request runs.

The command line begins it after an answer and says so once. It is a process of its own, since a command is over in
seconds: it watches, and its child searches (`edge-ttp models fastest`). While anybody asks for something, or the device
has better things to do, the child is stopped. Off with `edge-ttp config set formats off`, and where CI is set.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace

from edge_ttp.errors import EdgeTTPError
from edge_ttp.lab.search_state import SearchState, check_room, open_question
from edge_ttp.learning.foreground import Foreground
from edge_ttp.learning.idle import Idle
from edge_ttp.paths import HOME_VARIABLE, Paths, locate, private_folder
from edge_ttp.registry import Registry
from edge_ttp.system.file_lock import try_lock
from edge_ttp.system.settings import settings_in_force

QUIET_S = 5.0
"""Seconds without a request before it goes on."""
LONGEST_S = 6 * 3600.0
"""After so long a search that never finds the time is given up; the next use begins another one."""
_POLL_S = 0.05  # a request that comes is made room for within this
_LOOK_S = 1.0
_REST_S = 0.5  # while nothing runs that could be in its way


def wanted(environment: Mapping[str, str] = os.environ, *, paths: Paths) -> bool:
    """Whether a search may begin by itself here. Raises InvalidInput for settings that cannot be read."""
    if settings_in_force(paths, environment).formats == "off" or environment.get("CI"):
        return False
    return not getattr(sys, "frozen", False) and bool(sys.executable)


def begin(paths: Paths, name: str, *, start: Callable[[list[str], Mapping[str, str]], None] | None = None) -> str:
    """Begins a search for the policy `name` where one is wanted and nobody knows; what to tell the user, or "".

    Also says, once, that a format was found and is in use. Never raises for what is wrong with the search: an answer
    was given.
    """
    try:
        if ":" in name or not wanted(paths=paths):  # a format that was named is what is wanted
            return ""
        registry = Registry(paths)
        own = registry.own(name)
        if own.manifest is None:
            return ""
        model = own.manifest.name
        state = SearchState.read(paths, model, own.sha256)
        choice = registry.choice(model)
        if choice is not None:
            if "begun" not in state.said or "found" in state.said:
                return ""
            replace(state, said=(*state.said, "found")).write(paths, model)
            return f"{model} is used as {choice.format} from now on: {choice.reason}"
        if not open_question(registry, paths, own) or _runs(paths):
            return ""
        check_room(paths, own.manifest.size)
        first = "begun" not in state.said
        if first:
            replace(state, said=(*state.said, "begun")).write(paths, model)
        command = [sys.executable, "-m", "edge_ttp", "models", "fastest", model, "--when-idle"]
        (start or _detached)(command, _environment(paths))
    except (EdgeTTPError, OSError):
        return ""
    said = f"the fastest format of {model} for this device is looked for in the background, when nothing else runs"
    return f"{said} (edge-ttp config set formats off)" if first else ""


def search(
    paths: Paths,
    command: list[str],
    *,
    foreground: Foreground | None = None,
    idle: Callable[[], bool] | None = None,
    clock: Callable[[], float] = time.monotonic,
    quiet_s: float = QUIET_S,
    on_begin: Callable[[], None] = lambda: None,
) -> int | None:
    """Runs `command`, which searches, whenever nothing else goes on; its exit code. `on_begin`: called when it begins.

    None where another search of this home runs, the setting was turned off or the home removed meanwhile, or it took
    LONGEST_S.
    """
    import psutil

    handle = _lock(paths)
    try:
        if not try_lock(handle):
            return None
        _step_back()
        present, free = foreground or Foreground(paths.cache / "foreground.lock"), idle or Idle().now
        child: psutil.Popen | None = None
        began = clock()
        busy_at, looked_at, running, is_free = began, began, False, True
        try:
            while True:
                now = clock()
                if now - looked_at >= _LOOK_S:
                    looked_at, is_free = now, free()
                    gone = not paths.cache.is_dir()
                    if gone or settings_in_force(paths).formats == "off" or now - began > LONGEST_S:
                        return None
                busy = present.busy() or not is_free
                busy_at = now if busy else busy_at
                may_run = not busy and now - busy_at >= quiet_s
                if child is None and may_run:
                    on_begin()
                    child, running = psutil.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL), True
                elif child is not None and may_run != running:
                    _each(child, "resume" if may_run else "suspend")
                    running = may_run
                if child is not None and child.poll() is not None:
                    return int(child.returncode)
                time.sleep(_POLL_S if running else min(_REST_S, max(_POLL_S, quiet_s)))
        finally:
            if child is not None and child.poll() is None:
                _each(child, "kill")
                child.wait()
    finally:
        os.close(handle)


def _lock(paths: Paths) -> int:
    private_folder(paths.cache)
    return os.open(paths.cache / "format-search.lock", os.O_RDWR | os.O_CREAT, 0o600)


def _runs(paths: Paths) -> bool:
    """Whether a search of this home runs."""
    handle = _lock(paths)
    try:
        return not try_lock(handle)
    finally:
        os.close(handle)  # closing also unlocks


def _each(child: object, action: str) -> None:
    """Suspends, resumes or kills a process and its children."""
    import psutil

    with suppress(psutil.Error):
        for one in (child, *child.children(recursive=True)):  # type: ignore[attr-defined]
            with suppress(psutil.Error):
                getattr(one, action)()


def _step_back() -> None:
    """Takes the processor and the disk only where nobody else wants them; children inherit it."""
    import psutil

    own = psutil.Process()
    with suppress(psutil.Error, OSError, ValueError, AttributeError):
        own.nice(19 if os.name == "posix" else psutil.IDLE_PRIORITY_CLASS)
    with suppress(psutil.Error, OSError, ValueError, AttributeError):
        own.ionice(psutil.IOPRIO_CLASS_IDLE)
    with suppress(OSError, AttributeError):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def _environment(paths: Paths) -> dict[str, str]:
    """With the home of these paths, if they have one of their own."""
    home = paths.data.parent
    return {**os.environ, HOME_VARIABLE: str(home)} if locate(home) == paths else dict(os.environ)


def _detached(command: list[str], environment: Mapping[str, str]) -> None:
    subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=dict(environment),
        start_new_session=True,
    )
