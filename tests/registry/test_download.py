"""Downloads: only https, only where the redirects may lead, and no password in a message."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from edge_ttp.errors import Cancelled, DownloadFailed
from edge_ttp.registry.download import MAX_JSON, Downloader

from .makers import CONTENT, sha256
from .server import SIMPLE_JSON, Server


def fetch(server: Server, part: Path, path: str = "/x", **options: object) -> None:
    with Downloader(allow_http_localhost=True, backoff_s=0.001) as downloader:
        downloader.file(
            server.address + path,
            part,
            sha256=sha256(CONTENT),
            size=options.get("size", len(CONTENT)),  # type: ignore[arg-type]
            limit=len(CONTENT),
            advance=lambda done, total: None,
            cancel=options.get("cancel"),  # type: ignore[arg-type]
        )


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:{port}/x", "http://example.com/x", "ftp://x/y", "file:///etc/passwd", "x"]
)
def test_nothing_but_https_is_fetched(server: Server, tmp_path: Path, url: str) -> None:
    server.files["/x"] = CONTENT
    with Downloader() as downloader, pytest.raises(DownloadFailed, match="only https addresses"):
        downloader.json(url.format(port=server.port), SIMPLE_JSON)
    assert server.requests == []


def test_plain_http_is_admitted_for_this_machine_only(tmp_path: Path) -> None:
    with (
        Downloader(allow_http_localhost=True) as downloader,
        pytest.raises(DownloadFailed, match="only https addresses"),
    ):
        downloader.json("http://192.0.2.1/x", SIMPLE_JSON)


@pytest.mark.parametrize(("variable", "value"), [("ALL_PROXY", "nonsense://x"), ("SSL_CERT_FILE", "/nowhere")])
def test_a_wrong_environment_is_one_clear_error(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    monkeypatch.setenv(variable, value)
    with Downloader(backoff_s=0.001) as downloader, pytest.raises(DownloadFailed, match="variables of the environment"):
        downloader.json("https://127.0.0.1:9/x", SIMPLE_JSON)


def test_redirects_are_followed(server: Server, tmp_path: Path) -> None:
    server.files["/x"] = CONTENT
    server.redirects = {"/a": "/b", "/b": f"{server.address}/x"}
    fetch(server, tmp_path / "part", "/a")
    assert (tmp_path / "part").read_bytes() == CONTENT


@pytest.mark.parametrize("target", ["http://example.com/x", "file:///etc/passwd", "ftp://x/y"])
def test_a_redirect_away_from_https_is_refused(server: Server, tmp_path: Path, target: str) -> None:
    server.redirects = {"/x": target}
    with pytest.raises(DownloadFailed, match="only https addresses"):
        fetch(server, tmp_path / "part")


def test_a_circle_of_redirects_ends(server: Server, tmp_path: Path) -> None:
    server.redirects = {"/x": "/x"}
    with pytest.raises(DownloadFailed, match="redirects more than 5 times"):
        fetch(server, tmp_path / "part")
    assert server.gets("/x") == 6


@pytest.mark.parametrize("content", [CONTENT + b"x", CONTENT[:-1]])
def test_a_file_of_another_size_is_refused_before_it_is_read(server: Server, tmp_path: Path, content: bytes) -> None:
    server.files["/x"] = content
    with pytest.raises(DownloadFailed, match=f"offers {len(content)} bytes, not {len(CONTENT)}"):
        fetch(server, tmp_path / "part")
    assert not (tmp_path / "part").exists()


def test_a_file_of_unknown_size_is_limited(server: Server, tmp_path: Path) -> None:
    server.files["/x"] = CONTENT + b"x"
    with pytest.raises(DownloadFailed, match="at most"):
        fetch(server, tmp_path / "part", size=None)


def test_an_encoding_nobody_asked_for_is_refused(server: Server, tmp_path: Path) -> None:
    server.files["/x"] = CONTENT
    server.headers["/x"] = {"Content-Encoding": "gzip"}
    with pytest.raises(DownloadFailed, match="encoding"):
        fetch(server, tmp_path / "part")


def test_a_part_too_long_is_started_again(server: Server, tmp_path: Path) -> None:
    server.files["/x"] = CONTENT
    (tmp_path / "part").write_bytes(CONTENT + b"more")
    fetch(server, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == CONTENT


def test_a_complete_part_is_not_asked_for(server: Server, tmp_path: Path) -> None:
    (tmp_path / "part").write_bytes(CONTENT)
    for size in (len(CONTENT), None):
        fetch(server, tmp_path / "part", size=size)
    assert server.requests == []


def test_a_complete_part_with_wrong_bytes_is_fetched_once_more(server: Server, tmp_path: Path) -> None:
    server.files["/x"] = CONTENT
    (tmp_path / "part").write_bytes(CONTENT[::-1])
    fetch(server, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == CONTENT


@pytest.mark.parametrize("status", [401, 403, 404, 410, 418])
def test_a_refusal_is_final(server: Server, tmp_path: Path, status: int) -> None:
    server.statuses["/x"] = [status]
    with pytest.raises(DownloadFailed, match=f"HTTP {status}"):
        fetch(server, tmp_path / "part")
    assert server.gets("/x") == 1


def test_a_server_that_is_not_there_is_named(tmp_path: Path) -> None:
    with (
        Downloader(allow_http_localhost=True, backoff_s=0.001) as downloader,
        pytest.raises(DownloadFailed, match=r"http://127\.0\.0\.1:9/x cannot be reached after 4 tries"),
    ):
        downloader.json("http://127.0.0.1:9/x", SIMPLE_JSON)


def test_a_pause_between_tries_ends_when_cancelled(tmp_path: Path) -> None:
    cancel = threading.Event()
    cancel.set()
    with Downloader(allow_http_localhost=True, backoff_s=600) as downloader, pytest.raises(Cancelled):
        downloader.json("http://127.0.0.1:9/x", SIMPLE_JSON, cancel)


def test_a_password_in_an_address_reaches_the_server_and_no_message(server: Server) -> None:
    url = f"http://me:secret@127.0.0.1:{server.port}/x"
    with (
        Downloader(allow_http_localhost=True) as downloader,
        pytest.raises(DownloadFailed) as failed,
    ):
        downloader.json(url, SIMPLE_JSON)
    assert server.authorizations == ["Basic bWU6c2VjcmV0"]
    assert "secret" not in str(failed.value)
    assert "127.0.0.1" in str(failed.value)


@pytest.mark.parametrize(
    ("body", "kind", "reason"),
    [
        (b"<html>", "text/html", "answers with text/html, not JSON"),
        (b"{", SIMPLE_JSON, "malformed JSON"),
        (b"[" * 100_000, SIMPLE_JSON, "malformed JSON"),
        (b" " * (MAX_JSON + 1), SIMPLE_JSON, "more than 16 MiB"),
    ],
)
def test_an_answer_that_is_no_json_is_refused(server: Server, body: bytes, kind: str, reason: str) -> None:
    server.files["/x"], server.types["/x"] = body, kind
    with Downloader(allow_http_localhost=True) as downloader, pytest.raises(DownloadFailed, match=reason):
        downloader.json(f"{server.address}/x", SIMPLE_JSON)
