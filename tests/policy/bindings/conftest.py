"""The random model of a few kilobytes, loaded."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from edge_ttp.policy.bindings import Model
from policy.tiny import language_model


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Model]:
    model = Model(language_model(tmp_path_factory.mktemp("tiny") / "tiny.gguf"))
    yield model
    model.close()
