"""A server's life: sockets, the announcement, models loaded beside, an end when asked for or with its parent."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from edge_ttp import __version__
from edge_ttp.errors import EdgeTTPError, InvalidInput, write_cure
from edge_ttp.paths import Paths, private_folder
from edge_ttp.server.application import application
from edge_ttp.server.connections import PatientProtocol
from edge_ttp.server.guard import Doors
from edge_ttp.server.native_models import PROTOCOL
from edge_ttp.server.state import State
from edge_ttp.system.private_file import write_private

GRACE_S = 5
"""How long requests under way may go on after the server was asked to end."""
RECORD = "server.json"
_PARENT_POLL_S = 0.5


@dataclass(frozen=True)
class Place:
    """Where to listen."""

    host: str = "127.0.0.1"
    port: int = 8642
    """0: any free one."""


def listen(place: Place) -> socket.socket:
    """A listening socket. Raises InvalidInput where the address cannot be had."""
    family = socket.AF_INET6 if ":" in place.host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((place.host, place.port))
        made.listen(512)
    except (OSError, OverflowError) as error:
        made.close()
        reason = getattr(error, "strerror", None) or error
        cure = "choose another --port, or 0 for a free one"
        raise InvalidInput(f"port {place.port} of {place.host} cannot be used ({reason})", cure) from error
    return made


def url_of(made: socket.socket) -> str:
    """The address that clients use."""
    host, port = made.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def announcement(state: State, url: str) -> dict[str, Any]:
    """What a parent has to know of a server that it started."""
    return {
        "url": url,
        "token": state.access.own(),
        "pid": os.getpid(),
        "version": __version__,
        "protocol": PROTOCOL,
        "instance": state.instance,
    }


@contextmanager
def recorded(paths: Paths, state: State, url: str) -> Iterator[None]:
    """The runtime folder names the server while it runs, for our own programs."""
    path = paths.run / RECORD
    try:
        write_private(path, json.dumps(announcement(state, url)))
    except OSError as error:
        reason = error.strerror or error
        taken = error.errno in (errno.EEXIST, errno.EISDIR, errno.ENOTDIR)
        cure = "move away what is there" if taken else write_cure(error)
        raise InvalidInput(f"{str(path)!r} cannot be written ({reason})", cure) from error
    try:
        yield
    finally:
        with suppress(OSError, ValueError, AttributeError, RecursionError):
            if json.loads(path.read_text(encoding="utf-8")).get("instance") == state.instance:
                path.unlink()


@contextmanager
def owner_socket(paths: Paths) -> Iterator[socket.socket | None]:
    """A socket in the runtime folder that only the owner's programs can open; None where the system has none, or
    another server of this home has it."""
    if not hasattr(socket, "AF_UNIX"):
        yield None
        return
    path = paths.server_socket
    try:
        private_folder(path.parent)
    except OSError:  # `recorded` says so
        yield None
        return
    if _answers(path):
        yield None
        return
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            made.bind(str(path))
        finally:
            os.umask(before)
        made.listen(64)
    except OSError:  # the path is too long for a socket, or the folder cannot hold one
        made.close()
        yield None
        return
    identity = path.stat().st_ino
    try:
        yield made
    finally:
        made.close()
        with suppress(OSError):
            if path.stat().st_ino == identity:
                path.unlink()


def _answers(path: Path) -> bool:
    """Whether a server listens at this socket."""
    if not hasattr(socket, "AF_UNIX"):
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe, suppress(OSError):
        probe.settimeout(1.0)
        probe.connect(str(path))
        return True
    return False


async def serve(
    state: State,
    paths: Paths,
    place: Place,
    doors: Doors,
    *,
    announce: Callable[[dict[str, Any]], None],
    parent: bool = False,
) -> None:
    """Serves until SIGTERM, SIGINT or, with `parent`, the end of stdin or of the parent process.

    `announce` is called once, when connections are taken.
    """
    with ExitStack() as open_now:
        main = open_now.enter_context(listen(place))
        url = url_of(main)
        own = open_now.enter_context(owner_socket(paths))
        if own is not None or not _answers(paths.server_socket):  # else another server of this home stays the known one
            open_now.enter_context(recorded(paths, state, url))
        servers = [_server(state, doors)]
        sockets = [main]
        if own is not None:
            private = State(
                runtime=state.runtime,
                access=state.access,
                most=state.most,
                owner_socket=True,
                instance=state.instance,
                ending=state.ending,
                loading=state.loading,
            )
            state.companions.append(private)
            servers.append(_server(private, Doors(hosts=frozenset({"*"}))))
            sockets.append(own)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            with suppress(NotImplementedError, RuntimeError, ValueError):
                loop.add_signal_handler(number, state.ending.set)
        if parent:
            _end_with_parent(loop, state.ending)
        running = [asyncio.ensure_future(one.serve([at])) for one, at in zip(servers, sockets, strict=True)]
        loading = asyncio.ensure_future(load(state))
        announce(announcement(state, url))
        ending = asyncio.ensure_future(state.ending.wait())
        await asyncio.wait([ending, *running], return_when=asyncio.FIRST_COMPLETED)
        state.ending.set()
        for server in servers:
            server.should_exit = True
        for task in (loading, ending):
            task.cancel()
        await asyncio.gather(*running, loading, ending, return_exceptions=True)


class _Server(uvicorn.Server):
    """uvicorn's server, which leaves the signals to us: there are two of them, and one end."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Takes no signals."""
        yield


def _server(state: State, doors: Doors) -> uvicorn.Server:
    config = uvicorn.Config(
        application(state, doors),
        log_config=None,
        log_level="warning",
        access_log=False,
        lifespan="off",
        server_header=False,
        date_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=GRACE_S,
        # These, and no others that happen to be installed: they bound a request's head in time and size.
        http=PatientProtocol,
        ws="none",
        h11_max_incomplete_event_size=64 * 1024,
    )
    return _Server(config)


async def load(state: State) -> None:
    """Loads the models beside the first requests; a fault is said by the request that needs them."""
    try:
        await state.runtime.warm()
    except EdgeTTPError as error:
        print(f"edge-ttp: {error}", file=sys.stderr)
    finally:
        for one in (state, *state.companions):
            one.loading = False


def _end_with_parent(loop: asyncio.AbstractEventLoop, ending: asyncio.Event) -> None:
    """Sets `ending` when stdin closes or the parent dies: orphans are the first complaint about sidecars."""
    born_to = os.getppid()

    def tell() -> None:
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(ending.set)

    def read() -> None:
        with suppress(OSError, ValueError):
            while os.read(sys.stdin.fileno(), 4096):  # no buffer: its lock would be held at the interpreter's end
                pass
        tell()

    def look() -> None:
        wait = threading.Event()
        while not ending.is_set():
            if os.getppid() != born_to:
                tell()
                return
            wait.wait(_PARENT_POLL_S)

    for work in (read, look):
        threading.Thread(target=work, daemon=True, name=f"edge-ttp-{work.__name__}").start()


def first_line(announced: dict[str, Any]) -> None:
    """The announcement as the first line of stdout, which holds nothing else."""
    print(json.dumps(announced), flush=True)


def hosts(place: Place, allowed: Sequence[str]) -> frozenset[str]:
    """Names that a Host header may hold."""
    return Doors().hosts | {place.host.lower()} | {one.lower() for one in allowed}
