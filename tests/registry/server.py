"""A small web server on this machine: a package index (PEP 691), wheels, a model hub, ranges, faults of a network."""

from __future__ import annotations

import hashlib
import io
import json
import ssl
import threading
import zipfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SIMPLE_JSON = "application/vnd.pypi.simple.v1+json"


@dataclass
class Server:
    """What the server answers with, and what it saw. Paths begin with a slash."""

    files: dict[str, bytes] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    statuses: dict[str, list[int]] = field(default_factory=dict)
    """Status codes of the next requests for a path, before it is served."""
    headers: dict[str, dict[str, str]] = field(default_factory=dict)
    cuts: dict[str, list[int]] = field(default_factory=dict)
    """Body bytes after which the next connections for a path break."""
    pause_after: dict[str, int] = field(default_factory=dict)
    """Body bytes after which a path waits for `go_on`."""
    go_on: threading.Event = field(default_factory=threading.Event)
    paused: threading.Event = field(default_factory=threading.Event)
    ranges: bool = True
    sent: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """Body bytes sent per path."""
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    """Path and Range header of every request."""
    authorizations: list[str | None] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    """Paths of HEAD requests."""
    no_head: set[str] = field(default_factory=set)
    """Paths that answer HEAD with 405."""
    port: int = 0
    scheme: str = "http"

    @property
    def address(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    @property
    def index(self) -> str:
        return f"{self.address}/simple"

    def gets(self, path: str) -> int:
        return sum(1 for requested, _ in self.requests if requested == path)

    def add_wheel(
        self,
        package: str,
        version: str,
        members: Mapping[str, bytes],
        *,
        announce: bytes | None = None,
        size: bool = True,
    ) -> str:
        """Serves a wheel and its index page; returns the wheel's path. `announce` takes the SHA-256 of other bytes."""
        name = f"{package.replace('-', '_')}-{version}-py3-none-any.whl"
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
            for member, content in members.items():
                archive.writestr(member, content)
        wheel = buffer.getvalue()
        path = f"/files/{name}"
        self.files[path] = wheel
        entry: dict[str, object] = {
            "filename": name,
            "url": f"../../files/{name}",
            "hashes": {"sha256": hashlib.sha256(announce if announce is not None else wheel).hexdigest()},
        }
        if size:
            entry["size"] = len(wheel)
        page = f"/simple/{package}/"
        known = json.loads(self.files[page])["files"] if page in self.files else []
        self.files[page] = json.dumps(
            {"meta": {"api-version": "1.1"}, "name": package, "files": [*known, entry]}
        ).encode()
        self.types[page] = SIMPLE_JSON
        return path

    def add_repository(
        self,
        repository: str,
        files: Mapping[str, bytes],
        *,
        licence: str = "apache-2.0",
        revision: str = "a" * 40,
        linked: bool = True,
    ) -> None:
        """Serves a repository as the Hugging Face hub does: its API, files behind redirects with x-linked headers."""
        page = f"/api/models/{repository}"
        about = {
            "id": repository,
            "sha": revision,
            "cardData": {"license": licence},
            "tags": ["gguf", f"license:{licence}"],
            "siblings": [{"rfilename": name} for name in files],
        }
        self.files[page] = json.dumps(about).encode()
        self.types[page] = "application/json"
        for name, content in files.items():
            path = f"/{repository}/resolve/{revision}/{name}"
            digest = hashlib.sha256(content).hexdigest()
            self.redirects[path] = f"{self.address}/cdn/{digest}?signed=1"
            self.files[f"/cdn/{digest}?signed=1"] = content
            self.no_head.add(f"/cdn/{digest}?signed=1")
            if linked:
                self.headers[path] = {"X-Linked-Etag": f'"{digest}"', "X-Linked-Size": str(len(content))}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: Server

    def do_HEAD(self) -> None:
        state, path = self.state, self.path
        state.heads.append(path)
        state.authorizations.append(self.headers.get("Authorization"))
        if path in state.no_head:
            self._plain(405)
        elif state.statuses.get(path):
            self._plain(state.statuses[path].pop(0))
        elif path in state.redirects:
            self._redirect(path)
        elif path not in state.files:
            self._plain(404)
        else:
            self.send_response(200)
            self.send_header("Content-Length", str(len(state.files[path])))
            for name, value in state.headers.get(path, {}).items():
                self.send_header(name, value)
            self.end_headers()

    def do_GET(self) -> None:
        state, path = self.state, self.path
        wanted = self.headers.get("Range")
        state.requests.append((path, wanted))
        state.authorizations.append(self.headers.get("Authorization"))
        if state.statuses.get(path):
            self._plain(state.statuses[path].pop(0))
        elif path in state.redirects:
            self._redirect(path)
        elif path not in state.files:
            self._plain(404)
        else:
            self._file(path, wanted)

    def _redirect(self, path: str) -> None:
        self.send_response(302)
        self.send_header("Location", self.state.redirects[path])
        self.send_header("Content-Length", "0")
        for name, value in self.state.headers.get(path, {}).items():
            self.send_header(name, value)
        self.end_headers()

    def _plain(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        for name, value in self.state.headers.get(self.path, {}).items():
            self.send_header(name, value)
        self.end_headers()

    def _file(self, path: str, wanted: str | None) -> None:
        state, body = self.state, self.state.files[path]
        start = 0
        etag = state.headers.get(path, {}).get("ETag")
        if self.headers.get("If-Range", etag) != etag:
            wanted = None
        if wanted and state.ranges:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            if start >= len(body):
                self._plain(416)
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(body) - start))
        self.send_header("Content-Type", state.types.get(path, "application/octet-stream"))
        for name, value in state.headers.get(path, {}).items():
            self.send_header(name, value)
        self.end_headers()
        end = len(body)
        cut = state.cuts[path].pop(0) if state.cuts.get(path) else None
        if cut is not None:
            end = min(end, start + cut)
        pause = state.pause_after.pop(path, None)
        if pause is not None and start + pause < end:
            self._send(path, body[start : start + pause])
            start += pause
            state.paused.set()
            state.go_on.wait(30)
        self._send(path, body[start:end])
        if cut is not None:
            self.close_connection = True

    def _send(self, path: str, data: bytes) -> None:
        for at in range(0, len(data), 8192):
            piece = data[at : at + 8192]
            try:
                self.wfile.write(piece)
                self.wfile.flush()
            except OSError:  # the client went away, as some tests make it
                self.close_connection = True
                return
            self.state.sent[path] += len(piece)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def running(tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    """A running server, stopped at the end of the block; it speaks https where `tls` has its certificate."""
    state = Server(scheme="http" if tls is None else "https")
    handler = type("Handler", (_Handler,), {"state": state})
    http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    if tls is not None:
        http.socket = tls.wrap_socket(http.socket, server_side=True)
    http.daemon_threads = True
    http.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients go away, as some tests make them
    state.port = http.server_address[1]
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        state.go_on.set()
        http.shutdown()
        http.server_close()
        thread.join()
