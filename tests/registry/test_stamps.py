"""Files already hashed: remembered until anything about them changes."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge_ttp.errors import ModelUnavailable
from edge_ttp.paths import Paths
from edge_ttp.registry import Registry
from edge_ttp.registry import stamps as module
from edge_ttp.registry.stamps import Stamps

from .makers import CONTENT, NAME, sha256

Offer = Callable[[], str]


def test_a_model_is_hashed_once_until_it_changes(
    registry: Registry, offer: Offer, monkeypatch: pytest.MonkeyPatch, paths: Paths, shipped: Path
) -> None:
    from edge_ttp.registry import stamps

    offer()
    path = registry.pull(NAME)
    hashed: list[Path] = []
    real = stamps.file_sha256

    def counting(path: Path, *rest: object) -> str:
        hashed.append(path)
        return real(path, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(stamps, "file_sha256", counting)
    registry.locate(NAME)
    Registry(paths, shipped=shipped).locate(NAME)  # another process remembers too
    assert hashed == []
    os.utime(path)
    registry.locate(NAME)
    registry.locate(NAME)
    assert hashed == [path]
    registry.verify()
    assert hashed == [path, path]


def test_an_alteration_that_keeps_size_and_time_is_noticed(registry: Registry, offer: Offer) -> None:
    offer()
    path = registry.pull(NAME)
    before = path.stat()
    path.write_bytes(CONTENT[:-1] + b"?")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(ModelUnavailable, match="altered"):
        registry.locate(NAME)


@pytest.mark.parametrize("rubbish", ["", "{", "[" * 100_000, "[1]", '{"x": 3}', '{"x": [1, 2]}', "\0"])
def test_damaged_stamps_cost_time_only(tmp_path: Path, rubbish: str) -> None:
    file = tmp_path / "model"
    file.write_bytes(CONTENT)
    (tmp_path / "stamps.json").write_text(rubbish)
    stamps = Stamps(tmp_path / "stamps.json")
    assert stamps.sha256(file) == sha256(CONTENT)
    assert stamps.sha256(file) == sha256(CONTENT)


def test_stamps_that_cannot_be_written_cost_time_only(tmp_path: Path) -> None:
    file = tmp_path / "model"
    file.write_bytes(CONTENT)
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert Stamps(tmp_path / "cache" / "stamps.json").sha256(file) == sha256(CONTENT)


def test_only_living_files_are_remembered_and_the_newest_of_many(tmp_path: Path) -> None:
    stamps = Stamps(tmp_path / "cache" / "stamps.json")
    files = [tmp_path / f"model-{number}" for number in range(3)]
    for file in files:
        file.write_bytes(file.name.encode())
        stamps.sha256(file)
    files[0].unlink()
    stamps.remember(files[1], "1" * 64)
    known = json.loads((tmp_path / "cache" / "stamps.json").read_text())
    assert set(known) == {str(files[1]), str(files[2])}
    assert stamps.sha256(files[1]) == "1" * 64
    assert stamps.sha256(files[1], fresh=True) == sha256(b"model-1")
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["stamps.json"]


def test_a_file_that_changes_while_it_is_read_is_not_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "model"
    file.write_bytes(b"before")
    stamps = Stamps(tmp_path / "stamps.json")
    real = module.file_sha256

    def changing(path: Path, *rest: Any) -> str:
        digest = real(path, *rest)
        path.write_bytes(b"after it")
        return digest

    monkeypatch.setattr(module, "file_sha256", changing)
    assert stamps.sha256(file) == sha256(b"before")
    monkeypatch.undo()
    assert stamps.sha256(file) == sha256(b"after it")
