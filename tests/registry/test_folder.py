"""What is no regular file is refused before it is read: a pipe has no end."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edge_ttp.errors import EdgeTTPError, InvalidInput, ModelUnavailable
from edge_ttp.registry import Registry
from edge_ttp.system.private_file import open_regular


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    path = tmp_path / "x.gguf"
    os.mkfifo(path)
    return path


def test_a_regular_file_is_opened(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")
    with open_regular(tmp_path / "x") as file:
        assert file.read() == b"abc"


@pytest.mark.parametrize("odd", ["/dev/zero", "/dev/null", "/"])
def test_devices_and_folders_are_refused(odd: str) -> None:
    with pytest.raises(OSError, match="not a regular file"):
        open_regular(Path(odd))


def test_a_pipe_as_a_model_is_one_line(registry: Registry, pipe: Path) -> None:
    for call in (registry.locate, registry.add):
        with pytest.raises(ModelUnavailable, match="not a regular file"):
            call(pipe)


def test_a_pipe_as_a_manifest_or_a_file_of_it_is_one_line(registry: Registry, tmp_path: Path) -> None:
    folder = tmp_path / "judge"
    folder.mkdir()
    os.mkfifo(folder / "manifest.toml")
    for call in (registry.locate, registry.add):
        with pytest.raises(InvalidInput, match="not a regular file"):
            call(folder)
    (folder / "manifest.toml").unlink()
    (folder / "manifest.toml").write_text(
        'name = "judge"\nkind = "reward"\nlicence = "MIT"\n[[files]]\npath = "reward.json"\nsize = 3\n'
        f'sha256 = "{"0" * 64}"\nsources = [{{ type = "bundled" }}]\n'
    )
    os.mkfifo(folder / "reward.json")
    for call in (registry.locate, registry.add):
        with pytest.raises(EdgeTTPError):
            call(folder)
