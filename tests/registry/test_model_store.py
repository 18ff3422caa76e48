"""The store: finding, checking, adding and removing models."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_ttp.errors import InvalidInput, ModelUnavailable, NotFound
from edge_ttp.paths import Paths
from edge_ttp.registry import Registry

from .makers import BARE, CONTENT, NAME, gguf, reward_folder, sha256

Offer = Callable[[], str]


def test_adding_the_same_model_twice_is_no_error_another_under_its_name_is(
    registry: Registry, gguf_file: Path, tmp_path: Path
) -> None:
    first = registry.add(gguf_file, name="mine")
    assert registry.add(gguf_file, name="mine") == first
    other = tmp_path / "other.gguf"
    other.write_bytes(gguf(BARE))
    with pytest.raises(InvalidInput, match=r"the name 'mine' is taken; choose another with --name"):
        registry.add(other, name="mine")
    assert registry.locate("mine").sha256 == sha256(gguf())


def test_a_shipped_name_cannot_be_taken(registry: Registry, gguf_file: Path, offer: Offer) -> None:
    offer()
    with pytest.raises(InvalidInput, match="is taken"):
        registry.add(gguf_file, name=NAME)


def test_adding_that_fails_midway_leaves_nothing(
    registry: Registry, gguf_file: Path, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(ModelUnavailable, match=r"cannot store the model 'mine': No space left.*make room"):
            registry.add(gguf_file, name="mine")
    assert not (paths.models / "mine").exists()
    registry.add(gguf_file, name="mine")


def test_an_altered_added_model_is_restored_from_the_original(registry: Registry, gguf_file: Path) -> None:
    path = registry.add(gguf_file, name="mine").path
    assert path is not None
    path.write_bytes(b"x")
    with pytest.raises(ModelUnavailable, match="models pull mine"):
        registry.locate("mine")
    assert registry.pull("mine").read_bytes() == gguf()


def test_removing_frees_the_files_and_keeps_a_shipped_model_known(
    registry: Registry, offer: Offer, paths: Paths
) -> None:
    offer()
    registry.pull(NAME)
    assert registry.remove(NAME) >= len(CONTENT)
    assert not (paths.models / NAME).exists()
    assert [(entry.name, entry.installed) for entry in registry.list()] == [(NAME, False)]
    with pytest.raises(ModelUnavailable, match="not on this device"):
        registry.remove(NAME)


def test_removing_an_added_model_forgets_it(registry: Registry, gguf_file: Path) -> None:
    registry.add(gguf_file, name="mine")
    registry.remove("mine")
    assert registry.list() == ()
    assert gguf_file.exists()
    with pytest.raises(NotFound):
        registry.remove("mine")


def test_a_bundled_model_cannot_be_removed(registry: Registry, shipped: Path) -> None:
    folder = reward_folder(shipped / "judge")
    with pytest.raises(InvalidInput, match="is part of edge-ttp and cannot be removed"):
        registry.remove("judge")
    assert (folder / "heads.onnx").exists()


@pytest.mark.parametrize(
    ("name", "error"),
    [*((name, NotFound) for name in ("..", "../x", "/", ".", "a/b")), ("", InvalidInput), (" ", InvalidInput)],
)
def test_removing_never_leaves_the_store(registry: Registry, name: str, error: type[Exception], paths: Paths) -> None:
    paths.models.mkdir(parents=True)
    with pytest.raises(error):
        registry.remove(name)
    assert paths.models.exists()
