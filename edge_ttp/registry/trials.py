"""Model files from outside, tried in a process of their own before the app's process opens them; once per file.

llama.cpp, onnxruntime and tokenizers end the process, or take all of its time or memory, for some files that are not
what they should be. What became of a file is remembered by its SHA-256 and the build of the libraries, so that a file
is tried again when it or they change. A file of a manifest that came with this package needs no trial: it was tried
before the package was published, and its SHA-256 says that it is the same.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Callable, Collection, Mapping
from importlib import metadata
from pathlib import Path
from threading import Event, Lock
from typing import Any, Literal

from edge_ttp.errors import ModelUnavailable
from edge_ttp.paths import private_folder
from edge_ttp.registry.manifest import Kind
from edge_ttp.system.confined import Died, ProcessLimits, run
from edge_ttp.system.private_file import open_regular, read_small

CONFIG_NAME = "reward.json"
"""What names the files of a reward model, with their SHA-256s."""
ROUND = 2
"""Goes up when a trial looks at more than before: every file is then tried again."""
MAX_VERDICTS = 512
MAX_CONFIG_BYTES = 16 << 20

_LIBRARIES = {"policy": ("llama-cpp-python",), "reward": ("onnxruntime", "tokenizers")}
_CPU_S = 20.0
_BYTES_PER_S = 20e6
"""Bytes of a model that the slowest device should load and compute a few tokens with in a second."""
_OWN_BYTES = 512 << 20
_COPIES = 2
"""How often the weights may be in memory besides the file itself: copied into another layout, or widened."""

Subject = Literal["policy", "reward"]


class Trials:
    """What became of files that were tried, in one JSON file. Safe to use from several threads and processes."""

    def __init__(self, file: Path, vouched: Callable[[], Collection[str]] = tuple) -> None:
        """`vouched` gives the SHA-256s of models that need no trial."""
        self._file, self._vouched = file, vouched
        self._lock = Lock()

    def survive(self, kind: Kind, path: Path, sha256: str, *, cancel: Event | None = None) -> None:
        """Tries the model at `path`: a policy's GGUF file, a reward model's folder; see `adapter` for adapters.

        Raises ModelUnavailable where it cannot be used, OutOfCapacity, Cancelled.
        """
        if kind == "policy":
            self._try("policy", sha256, path, request={"path": str(path)}, size=_size(path), cancel=cancel)
        elif kind == "reward":
            size = sum(_size(file) for file in path.iterdir())
            # Which files are opened stands in reward.json, and not for certain in the manifest.
            self._try(
                "reward",
                f"{sha256}+{_digest(path / CONFIG_NAME)}",
                path,
                vouched_for=sha256,
                request={"path": str(path)},
                size=size,
                cancel=cancel,
            )

    def adapter(
        self, path: Path, sha256: str, *, policy: Path, policy_sha256: str, cancel: Event | None = None
    ) -> None:
        """Tries the LoRA adapter at `path` with a policy. Raises as `survive`."""
        request = {"path": str(policy), "adapter": str(path)}
        size = _size(path) + _size(policy)
        self._try("policy", f"{sha256}+{policy_sha256}", path, request=request, size=size, cancel=cancel)

    def _try(
        self,
        subject: Subject,
        sha256: str,
        path: Path,
        *,
        request: Mapping[str, Any],
        size: int,
        cancel: Event | None,
        vouched_for: str = "",
    ) -> None:
        key = f"{subject}/{sha256}/{_build(subject)}/{ROUND}"
        with self._lock:  # two threads that name one file try it once
            known = self._load().get(key)
            if known is None:
                if (vouched_for or sha256) in self._vouched():
                    return
                try:
                    run(subject, request, _limits(size), cancel=cancel)
                except Died as death:
                    if death.lasting:
                        self._store(key, str(death))
                    raise _refused(path, str(death)) from None
                self._store(key, "")
            elif known:
                raise _refused(path, known)

    def _load(self) -> dict[str, str]:
        """Key -> what the file died of, empty for a sound one."""
        try:
            found = json.loads(read_small(self._file))
        except (OSError, ValueError, RecursionError):
            return {}
        if not isinstance(found, dict):
            return {}
        return {key: words for key, words in found.items() if isinstance(words, str)}

    def _store(self, key: str, words: str) -> None:
        verdicts = {**self._load(), key: words}
        kept = dict([*verdicts.items()][-MAX_VERDICTS:])
        # On a read-only or full disk the file is tried again next time; that must not stop a request.
        with contextlib.suppress(OSError):
            private_folder(self._file.parent)
            handle, name = tempfile.mkstemp(dir=self._file.parent, prefix=".tried-")
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    json.dump(kept, file)
                os.replace(name, self._file)
            except OSError:
                os.unlink(name)
                raise


def _digest(path: Path) -> str:
    """The SHA-256 of a small file, empty where it cannot be read or is not small."""
    try:
        if not 0 < _size(path) <= MAX_CONFIG_BYTES:
            return ""
        with open_regular(path) as file:
            return hashlib.sha256(file.read()).hexdigest()
    except OSError:
        return ""


def _refused(path: Path, words: str) -> ModelUnavailable:
    return ModelUnavailable(
        f"{str(path)!r} cannot be used: the process of its own in which it was tried ended ({words})",
        "fetch or convert it again, or use another",
    )


def _limits(size: int) -> ProcessLimits:
    cpu_s = _CPU_S + size / _BYTES_PER_S
    return ProcessLimits(cpu_s=cpu_s, wall_s=2 * cpu_s + 10, memory_bytes=_COPIES * size + _OWN_BYTES, file_bytes=size)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except OSError:
        return 0


def _build(subject: Subject) -> str:
    """Names the libraries' builds: their versions, and when they were installed."""
    return "+".join(_installed(library) for library in _LIBRARIES[subject])


def _installed(library: str) -> str:
    try:
        found = metadata.distribution(library)
        place = Path(str(found.locate_file(""))) / f"{library.replace('-', '_')}-{found.version}.dist-info"
    except metadata.PackageNotFoundError:  # a frozen app carries libraries without their descriptions
        return f"{library}-{_changed(Path(sys.executable))}"
    return f"{library}-{found.version}-{_changed(place)}"


def _changed(path: Path) -> int:
    try:
        return int(path.stat().st_mtime)
    except OSError:
        return 0
