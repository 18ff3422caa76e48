"""The one place that opens network connections: resumable downloads over https, checked by SHA-256.

Nothing here runs unless `models pull` asked for it. Proxies and certificates come from the environment (HTTPS_PROXY,
SSL_CERT_FILE), as httpx reads them.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, BinaryIO, Self, TypeVar

from edge_ttp.errors import Cancelled, DownloadFailed
from edge_ttp.registry.manifest import file_sha256
from edge_ttp.registry.patience import SLOW_S, Patience, Wait

if TYPE_CHECKING:
    import httpx

MAX_REDIRECTS = 5
MAX_JSON = 16 << 20
"""Longest answer of a package index, in bytes."""
ATTEMPTS = 4
"""Tries in a row without progress before a download is given up."""
PROGRESS_BYTES = 1 << 20
"""A try that brought at least so many bytes does not count as a failure."""
MAX_WAIT_S = 30.0
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_RETRY_STATUS = (408, 425, 429, 500, 502, 503, 504)

_T = TypeVar("_T")

Advance = Callable[[int, int | None], None]
"""Called with the bytes there are so far, and the bytes there will be (None: the server did not say)."""


class _TryAgain(Exception):
    """A failure that may pass: a broken connection, a busy server."""

    def __init__(self, reason: str, wait_s: float | None = None) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


class RefusedByServer(DownloadFailed):
    """An answer that trying again does not change."""

    def __init__(self, url: str, status: int) -> None:
        self.status = status
        super().__init__(f"{_shown(url)} answers HTTP {status}")


@dataclass(frozen=True)
class Announced:
    """What a server says of a file before it is fetched."""

    url: str
    """Where it finally lies, as far as redirects were followed."""
    size: int | None
    sha256: str | None
    """From the header `x-linked-etag`, which the Hugging Face hub sends; None elsewhere."""
    etag: str
    """Tells versions of the file apart; empty where the server has none."""


@dataclass(frozen=True)
class _Wanted:
    """A file to be downloaded: its address, where it grows, its size if known, its most, its version."""

    url: str
    part: Path
    size: int | None
    bound: int
    validator: str


class Downloader:
    """Fetches addresses. A context manager: the connections are closed at its end.

    Only https is spoken. `allow_http_localhost` admits plain http to this machine itself, for tests; it cannot be set
    from outside the program. `backoff_s` is the first pause between two tries; it doubles each time. `logins`: what
    each host (with its port) gets as Authorization; no other host ever does, not by a redirect either.
    """

    def __init__(
        self,
        *,
        allow_http_localhost: bool = False,
        backoff_s: float = 0.5,
        timeout_s: float = 30.0,
        slow_s: float = SLOW_S,
        logins: Mapping[str, str] | None = None,
    ) -> None:
        self._allow_http_localhost = allow_http_localhost
        self._logins = logins or {}
        self._backoff_s = backoff_s
        self._timeout_s = timeout_s
        self._patience = Patience(slow_s)
        self._client: httpx.Client | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None
        self._patience.close()

    def json(self, url: str, accept: str, cancel: Event | None = None) -> tuple[Any, str]:
        """The JSON value at `url` and the address it finally came from. Raises DownloadFailed."""
        body = bytearray()

        def attempt() -> tuple[str, str]:
            body.clear()
            with self._open(url, {"Accept": accept}, cancel) as (response, final, wait):
                self._refuse_status(response, url)
                for chunk in response.iter_bytes():
                    _check(cancel, url)
                    wait.count += len(chunk)
                    body.extend(chunk)
                    if len(body) > MAX_JSON:
                        raise DownloadFailed(f"{_shown(url)} sends more than {MAX_JSON >> 20} MiB")
                return final, response.headers.get("content-type", "")

        final, kind = self._persist(attempt, url, lambda: 0, cancel)
        if "json" not in kind:
            raise DownloadFailed(f"{_shown(url)} answers with {kind or 'no type'}, not JSON")
        try:
            return json.loads(body), final
        except (ValueError, RecursionError) as error:
            raise DownloadFailed(f"{_shown(url)} sends malformed JSON") from error

    def announced(self, url: str, cancel: Event | None = None) -> Announced:
        """What the server says of the file at `url`, without fetching it. Raises DownloadFailed, Cancelled."""

        def attempt() -> Announced:
            _check(cancel, url)
            return self._announced("HEAD", url, cancel)

        return self._persist(attempt, url, lambda: 0, cancel)

    def _announced(self, method: str, url: str, cancel: Event | None) -> Announced:
        at = url
        for _ in range(MAX_REDIRECTS + 1):
            self._refuse_scheme(at)
            with self._stream(method, at, {"Accept-Encoding": "identity"}, cancel) as (response, _):
                linked = _sha256_of(response.headers.get("x-linked-etag", ""))
                size = response.headers.get("x-linked-size", "")
                if linked is not None and size.isdecimal():
                    return Announced(at, int(size), linked, linked)
                if response.has_redirect_location:
                    at = _joined(at, response.headers["location"])
                    continue
                if method == "HEAD" and response.status_code in (403, 405, 501):  # signed addresses are for GET alone
                    return self._announced("GET", url, cancel)
                self._refuse_status(response, url)
                length = response.headers.get("content-length", "")
                etag = response.headers.get("etag", "")
                strong = etag if not etag.startswith("W/") else response.headers.get("last-modified", "")
                return Announced(at, int(length) if length.isdecimal() else None, None, strong)
        raise DownloadFailed(f"{_shown(url)} redirects more than {MAX_REDIRECTS} times")

    def _login(self, url: str) -> dict[str, str]:
        import httpx

        login = self._logins.get(httpx.URL(url).netloc.decode())
        return {"Authorization": login} if login else {}

    def file(
        self,
        url: str,
        part: Path,
        *,
        sha256: str | None,
        size: int | None,
        limit: int,
        advance: Advance,
        validator: str = "",
        cancel: Event | None = None,
    ) -> None:
        """Makes `part` the complete file at `url`, going on where an earlier download stopped.

        `size` is what the file must have, if known; `limit` is what it may have at most. After an interruption `part`
        stays and the next call goes on. A file with the wrong SHA-256 is deleted and, if it had been resumed, fetched
        once more from the start. `sha256` None: nobody knows it; then `validator`, an ETag, keeps the server from going
        on with another file. Raises DownloadFailed, Cancelled, or OSError for the disk.
        """
        bound = size if size is not None else limit
        wanted = _Wanted(url, part, size, bound, "" if sha256 else validator)
        if sha256 is None:
            if size is None or _length(part) > size:
                part.unlink(missing_ok=True)
            if size is None or _length(part) < size:
                self._persist(lambda: self._append(wanted, advance, cancel), url, lambda: _length(part), cancel)
            return
        if part.exists() and size in (None, _length(part)) and file_sha256(part, cancel=cancel) == sha256:
            advance(_length(part), _length(part))
            return
        for last in (False, True):
            kept = _length(part)
            if kept > bound:
                part.unlink()
                kept = 0
            if size is None or kept < size:
                self._persist(lambda: self._append(wanted, advance, cancel), url, lambda: _length(part), cancel)
            if file_sha256(part, cancel=cancel) == sha256:
                return
            part.unlink()
            if last or kept == 0:
                break
        raise DownloadFailed(f"{_shown(url)} sends other bytes than expected (SHA-256 differs)")

    def _append(self, wanted: _Wanted, advance: Advance, cancel: Event | None) -> None:
        """One try: asks for what is missing of the part and writes it there."""
        url, part, size, bound = wanted.url, wanted.part, wanted.size, wanted.bound
        have = _length(part)
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
            if wanted.validator:
                headers["If-Range"] = wanted.validator
        with self._open(url, headers, cancel) as (response, _, wait):
            if response.status_code == 416 and have:  # what we have is not a beginning of what they have
                part.unlink()
                raise _TryAgain("the server cannot resume here")
            self._refuse_status(response, url)
            if response.headers.get("content-encoding", "identity") != "identity":
                raise DownloadFailed(f"{_shown(url)} sends an encoding that was not asked for")
            resumed = response.status_code == 206
            if resumed and not response.headers.get("content-range", "").startswith(f"bytes {have}-"):
                raise DownloadFailed(f"{_shown(url)} sends another range than asked for")
            start = have if resumed else 0
            length = response.headers.get("content-length", "")
            total = start + int(length) if length.isdecimal() else None
            if total is not None and (total > bound or (size is not None and total != size)):
                expected = f"{size} bytes" if size is not None else f"at most {bound} bytes"
                raise DownloadFailed(f"{_shown(url)} offers {total} bytes, not {expected}")
            with _open_private(part, append=resumed) as file:
                done = start
                advance(done, total)
                for chunk in response.iter_raw():
                    _check(cancel, url)
                    wait.count += len(chunk)
                    if done + len(chunk) > bound:
                        raise DownloadFailed(f"{_shown(url)} sends more than the {bound} bytes expected")
                    file.write(chunk)
                    done += len(chunk)
                    advance(done, total)
            expected_end = size if size is not None else total
            if expected_end is not None and done < expected_end:
                raise _TryAgain(f"the connection ended after {done} of {expected_end} bytes")

    def _persist(self, attempt: Callable[[], _T], url: str, measure: Callable[[], int], cancel: Event | None) -> _T:
        """The result of `attempt`, tried again after passing failures; `measure` tells how many bytes there are."""
        import httpx

        failures = 0
        while True:
            before = measure()
            wait_s = None
            try:
                return attempt()
            except _TryAgain as error:
                reason, wait_s = str(error), error.wait_s
            except httpx.RequestError as error:
                reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            failures = 1 if measure() - before >= PROGRESS_BYTES else failures + 1
            if failures >= ATTEMPTS:
                raise DownloadFailed(f"{_shown(url)} cannot be reached after {failures} tries ({reason})")
            _pause(wait_s if wait_s is not None else self._backoff_s * 2 ** (failures - 1), cancel, url)

    @contextmanager
    def _open(
        self, url: str, headers: dict[str, str], cancel: Event | None
    ) -> Iterator[tuple[httpx.Response, str, Wait]]:
        """The response to GET `url`, its final address and the wait for it; redirects followed while they are https."""
        for _ in range(MAX_REDIRECTS + 1):
            self._refuse_scheme(url)
            with self._stream("GET", url, headers, cancel) as (response, wait):
                if not response.has_redirect_location:
                    yield response, url, wait
                    return
                url = _joined(url, response.headers["location"])
        raise DownloadFailed(f"{_shown(url)} redirects more than {MAX_REDIRECTS} times")

    @contextmanager
    def _stream(
        self, method: str, url: str, headers: dict[str, str], cancel: Event | None
    ) -> Iterator[tuple[httpx.Response, Wait]]:
        """One response; raises _TryAgain where its server was hung up on, Cancelled where that was the user's wish."""
        import httpx

        client, sent = self._connection(), {**headers, **self._login(url)}
        with self._patience.waiting(cancel) as wait:
            try:
                with client.stream(method, url, headers=sent, extensions={"trace": self._patience.heard}) as response:
                    yield response, wait
            except httpx.RequestError:
                if not wait.given_up:
                    raise
        if wait.given_up:
            _check(cancel, url)
            raise _TryAgain(wait.given_up)

    def _connection(self) -> httpx.Client:
        if self._client is None:
            import httpx

            from edge_ttp import __version__

            try:
                self._client = httpx.Client(
                    timeout=httpx.Timeout(self._timeout_s, connect=min(self._timeout_s, 10.0)),
                    headers={"User-Agent": f"edge-ttp/{__version__}"},
                    follow_redirects=False,
                )
            except (ImportError, ValueError, OSError, httpx.InvalidURL) as error:  # what a wrong environment leads to
                raise DownloadFailed(
                    f"the proxy or certificate variables of the environment cannot be used: {error}"
                ) from error
        return self._client

    def _refuse_scheme(self, url: str) -> None:
        import httpx

        try:
            parsed = httpx.URL(url)
        except httpx.InvalidURL as error:
            raise DownloadFailed(f"{_shown(url)} is not an address") from error
        local = self._allow_http_localhost and parsed.scheme == "http" and parsed.host in _LOOPBACK
        if (parsed.scheme != "https" and not local) or not parsed.host:
            raise DownloadFailed(f"{_shown(url)} is refused: only https addresses are fetched")

    @staticmethod
    def _refuse_status(response: httpx.Response, url: str) -> None:
        code = response.status_code
        if code in _RETRY_STATUS:
            after = response.headers.get("retry-after", "")
            raise _TryAgain(f"HTTP {code}", min(float(after), MAX_WAIT_S) if after.isdecimal() else None)
        if code not in (200, 206):
            raise RefusedByServer(url, code)


def _joined(url: str, location: str) -> str:
    """Where a redirect from `url` leads."""
    import httpx

    try:
        return str(httpx.URL(url).join(location))
    except httpx.InvalidURL as error:
        raise DownloadFailed(f"{_shown(url)} redirects to a malformed address") from error


def _sha256_of(etag: str) -> str | None:
    """The SHA-256 that an ETag of the hub is; None for another one."""
    text = etag.removeprefix("W/").strip('"').lower()
    return text if re.fullmatch(r"[0-9a-f]{64}", text) else None


def _shown(url: str) -> str:
    """`url` for a message: without a password, and not endless."""
    scheme, separator, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    shown = f"{scheme}{separator}{host.rpartition('@')[2]}{slash}{path}"
    return shown if len(shown) <= 200 else shown[:200] + "..."


def _check(cancel: Event | None, url: str) -> None:
    if cancel is not None and cancel.is_set():
        raise Cancelled(f"the download of {_shown(url)} was cancelled")


def _pause(seconds: float, cancel: Event | None, url: str) -> None:
    if cancel is None:
        time.sleep(seconds)
    else:
        cancel.wait(seconds)
    _check(cancel, url)


def _length(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _open_private(path: Path, append: bool) -> BinaryIO:
    flags = os.O_WRONLY | os.O_CREAT | (os.O_APPEND if append else os.O_TRUNC)
    return os.fdopen(os.open(path, flags, 0o600), "ab" if append else "wb")
