"""Running a piece of a test without root's rights, under which no file is read-only."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_NOBODY = 65534


@contextmanager
def folder_of_an_ordinary_user() -> Iterator[Path]:
    """An empty folder that the user of `without_rights` owns."""
    path = Path(tempfile.mkdtemp())
    try:
        if os.geteuid() == 0:
            os.chown(path, _NOBODY, _NOBODY)
        yield path
    finally:
        path.chmod(0o700)
        shutil.rmtree(path)


def without_rights(task: Callable[[], None]) -> None:
    """Runs `task` in a child process without root's rights; an assertion or error of it fails the test."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        message = b""
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(_NOBODY)
                os.setuid(_NOBODY)
            task()
        except BaseException as error:  # noqa: BLE001
            message = f"{type(error).__name__}: {error}".encode()
        os.write(writer, message[:60_000])
        os._exit(1 if message else 0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        message = pipe.read()
    _, status = os.waitpid(child, 0)
    assert status == 0, message.decode()
