"""Command lines of an ordinary user whose disk is full or read-only: a real small disk, and no right that root has."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

_MOUNT = ("unshare", "-m") if os.name == "posix" and os.geteuid() == 0 else ("unshare", "-rm")
_SCRIPT = """
set -e
cd "$1"; free=$2; shift 2
mount -t tmpfs -o size=8m,mode=700 none disk
cp -a home/. disk/
if [ "$free" = read-only ]; then mount -o remount,ro disk
else
    dd if=/dev/zero of=disk/filler bs=4096 2>/dev/null || true
    truncate -s "-$free" disk/filler
fi
set +e
setpriv --securebits=+noroot,+noroot_locked --inh-caps=-all --bounding-set=-all "$@"
code=$?
rm -f disk/filler 2>/dev/null
rm -rf after; cp -a disk after
exit $code
"""
"""Whoever mounts is called root, be it in a namespace of its own; what makes root more than others is given away."""

_DRIVER = f"""
import contextlib, io, json, sys
sys.path[:0] = [{str(Path(__file__).parents[1])!r}, {str(Path(__file__).parents[1] / "window")!r}]
import pytest, fakes
from edge_ttp.cli.main import run
fakes.Models(pytest.MonkeyPatch())
told = []
for arguments in json.loads(sys.argv[1]):
    out, err = io.TextIOWrapper(io.BytesIO()), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run(arguments)
        out.flush()
    told.append((code, out.buffer.getvalue().decode(), err.getvalue()))
print(json.dumps(told))
"""
"""Runs command lines one after another over the fake models: a process for each would take most of the time."""

needs_small_disk = pytest.mark.skipif(
    shutil.which("unshare") is None
    or shutil.which("setpriv") is None
    or subprocess.run([*_MOUNT, "true"], capture_output=True).returncode != 0,
    reason="mounting a small disk needs root or a user namespace, and this machine allows neither",
)


@dataclass(frozen=True)
class Told:
    """What a command came to."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class SmallDisk:
    """A home that is put on a disk of its own for every call, as it is now."""

    folder: Path

    @property
    def home(self) -> Path:
        """The home as it is before; for files of the test's own there is the folder around it."""
        return self.folder / "home"

    @property
    def disk(self) -> Path:
        """Where the home lies while the commands run."""
        return self.folder / "disk"

    @property
    def after(self) -> Path:
        """What the disk held when the last commands were done."""
        return self.folder / "after"

    def commands(self, *lines: Sequence[str], free: int | None) -> list[Told]:
        """What becomes of the command lines with `free` bytes left; None: on a read-only disk."""
        program = (sys.executable, "-c", _DRIVER, json.dumps(lines))
        room = "read-only" if free is None else str(free)
        environment = {
            **os.environ,
            "EDGE_TTP_HOME": str(self.disk),
            "HOME": str(self.disk),
            "PYTHON_KEYRING_BACKEND": "file_keyring.FileKeyring",
            "EDGE_TTP_TEST_KEYS": str(self.folder / "keys.json"),
        }
        done = subprocess.run(
            [*_MOUNT, "sh", "-c", _SCRIPT, "sh", str(self.folder), room, *program],
            env=environment,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 0, done.stderr
        return [Told(*one) for one in json.loads(done.stdout)]

    def files(self, folder: Path) -> set[str]:
        """Names of the files below `home` or `after`, but for what SQLite and locks keep beside others, empty."""
        found = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
        return {name for name in found if not name.endswith(("-wal", "-shm", ".lock"))}


@contextmanager
def small_disk() -> Iterator[SmallDisk]:
    """A SmallDisk with an empty home, in a folder that every user reaches."""
    folder = Path(tempfile.mkdtemp(prefix="edge-ttp-disk-"))
    try:
        folder.chmod(0o777)
        for name in ("home", "disk"):
            (folder / name).mkdir()
        yield SmallDisk(folder)
    finally:
        shutil.rmtree(folder)
