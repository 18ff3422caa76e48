"""What a policy has read of a user's stable examples, kept on disk for the next process.

A file is one state of llama.cpp's cache with the tokens it stands for. llama.cpp checks little of what it is given, so
a file is only used where its tag (HMAC-SHA256 with a key of this installation) is right and where it was written by
this very build of llama.cpp for this very model, adapters and cache type. Any other one is left alone, and in time
makes way. The folder belongs to a user's history, which says where it is, and takes it away with the user's texts.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import shutil
import struct
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from edge_ttp.paths import private_folder
from edge_ttp.policy.prefixes import Prefix, ReadWith
from edge_ttp.policy.reading import alike
from edge_ttp.registry.made_files import STATE_ENDING, STATES_BYTES
from edge_ttp.system.private_file import open_regular

MOST_BYTES = STATES_BYTES
"""All users' files together."""
MOST_OF_ONE = 3
"""Files of one user: another model, another kind of text."""
SPARE = 2**30
"""Bytes that stay free on the disk."""
ENDING = STATE_ENDING

_MAGIC = b"edge-ttp state 1\n"
_TAG = 32
_HEADER = struct.Struct("<II")  # bytes of the description, tokens
_KEY_FILE = "key"

FolderOf = Callable[[str], "Path | None"]
"""Where a user's files lie; None where nothing may be kept on disk."""


class PrefixFiles:
    """The states on disk of one policy. Nothing here raises for a file or a disk: what cannot be kept is read anew."""

    def __init__(self, folder_of: FolderOf, *, model: str, build: str) -> None:
        """`model`: the SHA-256 of its file. `build`: whatever else decides what a state looks like."""
        self._folder_of, self._model, self._build = folder_of, model, build

    def load(self, owner: str, read_with: ReadWith) -> list[Prefix]:
        """The owner's states for these adapters and this cache."""
        folder = self._folder_of(owner)
        if folder is None or not os.path.isdir(folder):
            return []
        wanted = self._description(read_with)
        key = _key(folder.parent, make=False)
        found = []
        for file in _files(folder) if key is not None else []:
            with suppress(OSError, ValueError, struct.error):
                held = _read(file, key, wanted)
                if held is not None:
                    found.append(Prefix(owner, read_with, *held))
                    os.utime(file)  # it was used
        return found

    def save(self, prefix: Prefix) -> bool:
        """Writes a state, in place of what the owner had for the same model, and whether it is there now."""
        folder = self._folder_of(prefix.owner)
        if folder is None:
            return False
        try:
            private_folder(folder)
            key = _key(folder.parent, make=True)
            if key is None or shutil.disk_usage(folder).free < prefix.state.nbytes + SPARE:
                return False
            description = json.dumps(self._description(prefix.read_with), sort_keys=True).encode()
            parts = (
                _MAGIC,
                _HEADER.pack(len(description), len(prefix.tokens)),
                description,
                prefix.tokens.astype("<i4").tobytes(),
                prefix.state,
            )
            name = hashlib.sha256(b"".join(bytes(part) for part in parts[:4])).hexdigest()[:32]
            _write(folder / f"{name}{ENDING}", key, parts)
            _make_room(folder, keep=folder / f"{name}{ENDING}")
        except OSError:
            return False
        return True

    def knows(self, prefix: Prefix) -> bool:
        """Whether there is a file of exactly these tokens."""
        return any(
            len(one.tokens) == len(prefix.tokens) == alike(one.tokens, prefix.tokens)
            for one in self.load(prefix.owner, prefix.read_with)
        )

    def _description(self, read_with: ReadWith) -> dict[str, Any]:
        return {
            "model": self._model,
            "build": self._build,
            "adapters": [[digest, scale] for digest, scale in read_with.adapters],
            "cache": read_with.cache_type,
        }


def _read(file: Path, key: bytes | None, wanted: Mapping[str, Any]) -> tuple[Any, Any] | None:
    """Tokens and state of a file that is sound and was written for `wanted`; None for any other."""
    if key is None or file.is_symlink() or not 0 < file.stat().st_size <= MOST_BYTES:
        return None
    data = file.read_bytes()
    start = len(_MAGIC) + _HEADER.size
    if not data.startswith(_MAGIC) or len(data) < start + _TAG:
        return None
    body = memoryview(data)[:-_TAG]
    if not hmac.compare_digest(hmac.digest(key, body, "sha256"), data[-_TAG:]):
        return None
    described, count = _HEADER.unpack_from(data, len(_MAGIC))
    tokens_at = start + described
    state_at = tokens_at + 4 * count
    if state_at >= len(body) or json.loads(bytes(body[start:tokens_at])) != dict(wanted):
        return None
    tokens = np.frombuffer(body[tokens_at:state_at], dtype="<i4").astype(np.int32)
    return tokens, np.frombuffer(body[state_at:], dtype=np.uint8).copy()


def _write(file: Path, key: bytes, parts: Sequence[Any]) -> None:
    """The parts and their tag, whole or not at all."""
    partial = file.with_name(f".{file.name}.{os.getpid()}.part")
    tag = hmac.new(key, digestmod="sha256")
    try:
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as opened:
            for part in parts:
                tag.update(part)
                opened.write(part)
            opened.write(tag.digest())
        os.replace(partial, file)
    except BaseException:
        with suppress(OSError):
            partial.unlink()
        raise


def _make_room(folder: Path, *, keep: Path) -> None:
    """Takes away the least recently used beyond the limits: of this user, then of all."""
    mine = [file for file in _files(folder) if file != keep]
    for file in mine[: max(0, len(mine) + 1 - MOST_OF_ONE)]:
        _remove(file)
    every = sorted(folder.parent.glob(f"*/*{ENDING}"), key=_age)
    size = sum(file.stat().st_size for file in every)
    for file in every:
        if size <= MOST_BYTES:
            break
        if file != keep:
            size -= file.stat().st_size
            _remove(file)


def _files(folder: Path) -> list[Path]:
    """The least recently used first."""
    return sorted(folder.glob(f"*{ENDING}"), key=_age)


def _age(file: Path) -> tuple[int, str]:
    try:
        return file.stat().st_mtime_ns, file.name
    except OSError:  # another process took it away
        return 0, file.name


def _remove(file: Path) -> None:
    with suppress(OSError):
        file.unlink()


def _key(states: Path, *, make: bool) -> bytes | None:
    """This installation's key, made where there is none and `make` is set."""
    file = states / _KEY_FILE
    with suppress(OSError), open_regular(file) as opened:
        key = opened.read(_TAG + 1)
        if len(key) == _TAG:
            return key
    if not make:
        return None
    with suppress(OSError):
        partial = file.with_name(f".{_KEY_FILE}.{os.getpid()}.part")
        try:
            with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as written:
                written.write(secrets.token_bytes(_TAG))
            os.replace(partial, file)
        finally:
            partial.unlink(missing_ok=True)
        return _key(states, make=False)  # whose came last
    return None
