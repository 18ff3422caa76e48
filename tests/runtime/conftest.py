"""A runtime over two small files that pass for models."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes import Models
from fakes.command import model_paths

from edge_ttp.runtime import Runtime


@pytest.fixture
def open_runtime(models: Models, tmp_path: Path) -> Iterator[Callable[..., Runtime]]:
    """Opens runtimes over two small files that pass for models; closes them in the end."""
    paths = model_paths(tmp_path)
    opened: list[Runtime] = []

    def open_one(**options: Any) -> Runtime:
        opened.append(Runtime.open(**{**paths, **options}))
        return opened[-1]

    yield open_one
    for runtime in opened:
        runtime.close()


@pytest.fixture
def runtime(open_runtime: Callable[..., Runtime]) -> Runtime:
    return open_runtime()
