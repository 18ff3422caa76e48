"""Whether files are what a manifest says: missing, truncated, altered, unreadable."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_ttp.errors import ModelUnavailable
from edge_ttp.registry.integrity import Integrity, bytes_below, size_of
from edge_ttp.registry.manifest import Manifest
from edge_ttp.registry.stamps import Stamps

from .makers import sha256

FILES = {"heads.onnx": b"heads" * 100, "sub/reward.json": b"{}"}


@pytest.fixture
def integrity(tmp_path: Path) -> Integrity:
    return Integrity(Stamps(tmp_path / "cache" / "verified.json"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "judge"
    for name, data in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


MANIFEST = Manifest.model_validate(
    {
        "name": "judge",
        "kind": "reward",
        "licence": "MIT",
        "files": [
            {"path": name, "size": len(data), "sha256": sha256(data), "sources": [{"type": "bundled"}]}
            for name, data in FILES.items()
        ],
    }
)


def test_whole_files_pass_and_are_remembered(integrity: Integrity, folder: Path, tmp_path: Path) -> None:
    integrity.check(MANIFEST, folder, cure="pull it")
    assert integrity.is_sound(MANIFEST, folder)
    assert all(integrity.has(folder, file) for file in MANIFEST.files)
    assert (tmp_path / "cache" / "verified.json").is_file()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (None, "'heads.onnx' of the model 'judge' is missing"),
        (b"heads", "is truncated: 5 bytes, not 500"),
        (b"heads" * 101, "is altered: 505 bytes, not 500"),
        (b"hands" * 100, "is altered: its SHA-256"),
    ],
)
def test_what_is_wrong_with_a_file_is_named_with_the_cure(
    integrity: Integrity, folder: Path, data: bytes | None, said: str
) -> None:
    path = folder / "heads.onnx"
    path.unlink()
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(ModelUnavailable, match=said) as raised:
        integrity.check(MANIFEST, folder, cure="pull it")
    assert raised.value.cure == "pull it"
    assert not integrity.is_sound(MANIFEST, folder)
    assert [integrity.has(folder, file) for file in MANIFEST.files] == [False, True]


def test_a_model_without_any_file_is_not_here_at_all(integrity: Integrity, tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="the model 'judge' is not on this device"):
        integrity.check(MANIFEST, tmp_path / "nowhere", cure="pull it")


def test_what_was_just_written_is_believed_until_it_is_looked_at_anew(integrity: Integrity, folder: Path) -> None:
    path = folder / "heads.onnx"
    integrity.remember(path, "0" * 64)
    assert integrity.digest(path) == "0" * 64
    assert integrity.digest(path, fresh=True) == sha256(FILES["heads.onnx"])
    with pytest.raises(ModelUnavailable, match="cannot read"):
        integrity.digest(folder / "gone")


def test_sizes_are_of_regular_files_and_links_count_nothing(folder: Path, tmp_path: Path) -> None:
    (folder / "link").symlink_to(folder / "heads.onnx")
    (folder / "broken").symlink_to(folder / "nothing")
    assert size_of(folder / "link") == 500
    assert size_of(folder / "broken") is None
    assert size_of(folder) is None
    assert size_of(Path("\0")) is None
    assert bytes_below(folder) == 502
    assert bytes_below(tmp_path / "nowhere") == 0
