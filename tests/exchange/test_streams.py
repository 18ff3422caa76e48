"""Opening what is imported."""

from __future__ import annotations

import sys
from io import BufferedReader, BytesIO
from pathlib import Path
from types import SimpleNamespace

import pytest

from edge_ttp.errors import HistoryUnavailable, InvalidInput
from edge_ttp.exchange.streams import Twice, check_reachable, opened, size_of

MBOX = b"".join(
    f"From x\nFrom: {who}\nSubject: s{at}\n\ntext {at}\n\n".encode()
    for at, who in enumerate(["jo@a.org", "eve@b.org", "Jo <JO@A.ORG>"])
)


def test_a_pipe_is_read_twice_from_a_copy(tmp_path: Path) -> None:
    class Pipe(BytesIO):
        def seekable(self) -> bool:
            return False

    twice = Twice(BufferedReader(Pipe(MBOX)), tmp_path)  # type: ignore[arg-type]
    assert twice.from_start().read() == MBOX == twice.from_start().read()


def test_a_file_is_opened_by_name_and_stdin_by_a_dash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes(b"words")
    with opened(str(file)) as stream:
        assert stream.read() == b"words"
    assert stream.closed
    given = BytesIO(b"from a pipe")
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=given))
    with opened("-") as stream:
        assert stream.read(4) == b"from"
    assert not given.closed  # stdin belongs to the program


@pytest.mark.parametrize("name", ["", "missing", "a\0b", "x" * 5000, "."])
def test_what_cannot_be_read_is_one_short_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidInput, match="cannot be read") as raised, opened(name):
        pass
    assert "\n" not in str(raised.value)
    assert len(raised.value.fact) < 250
    if name not in ("", "."):
        with pytest.raises(InvalidInput, match="cannot be read"):
            check_reachable(name)


def test_the_size_is_known_of_files_alone(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    assert size_of(str(tmp_path / "a")) == 5
    assert size_of("-") is None
    assert size_of(str(tmp_path)) is None
    check_reachable(str(tmp_path))


def test_a_file_is_read_again_where_it_lies_and_a_full_disk_is_told(tmp_path: Path) -> None:
    stream = BufferedReader(BytesIO(b"words"))  # type: ignore[arg-type]
    twice = Twice(stream, tmp_path / "nowhere")
    assert stream.read(2) == b"wo"
    assert twice.from_start() is stream is twice.stream
    assert stream.read() == b"words"

    class Pipe(BytesIO):
        def seekable(self) -> bool:
            return False

    pipe = Twice(BufferedReader(Pipe(b"words")), tmp_path / "nowhere")  # type: ignore[arg-type]
    with pytest.raises(HistoryUnavailable, match="stdin cannot be copied"):
        pipe.from_start()
    whole = Twice(BufferedReader(Pipe(b"words")), tmp_path)  # type: ignore[arg-type]
    assert whole.from_start().read() == whole.from_start().read() == b"words"
    assert list(tmp_path.iterdir()) == []  # the copy has no name
