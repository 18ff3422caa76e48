"""The random model of a few kilobytes, a policy on it, and a scheduler whose jobs are held back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_ttp.policy.llama import LlamaPolicy

from .desk import Desk
from .tiny import language_model


@pytest.fixture(scope="session")
def tiny_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return language_model(tmp_path_factory.mktemp("tiny") / "tiny.gguf")


@pytest.fixture
def policy(tiny_path: Path) -> Iterator[LlamaPolicy]:
    policy = LlamaPolicy(tiny_path, threads=1)
    yield policy
    policy.close()


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk()
    yield desk
    desk.go()
    assert desk.scheduler.close(cancel=True, timeout=60)
