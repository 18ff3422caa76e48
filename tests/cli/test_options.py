"""Options shared by commands: counts, sizes, text from standard input, and the first Ctrl-C."""

from __future__ import annotations

import io
import signal
import sys

import pytest
import typer

from edge_ttp.cli.options import MAX_STDIN_BYTES, interruptible, parse_count, parse_size, read_text
from edge_ttp.errors import InvalidInput


@pytest.mark.parametrize(("text", "count"), [("auto", None), (" AUTO ", None), ("1", 1), ("16", 16), (8, 8)])
def test_a_count_is_a_number_or_auto(text: str | int, count: int | None) -> None:
    assert parse_count(text) == count


@pytest.mark.parametrize("text", ["0", "-1", "", "many", "1.5", "None"])
def test_what_is_no_count_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        parse_count(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("800000000", 800_000_000),
        ("500MB", 500_000_000),
        ("500mb", 500_000_000),
        ("2GiB", 2 * 2**30),
        ("1.5g", 1_500_000_000),
        ("64 KiB", 65536),
        ("12b", 12),
    ],
)
def test_sizes_are_read_with_and_without_a_unit(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "MB", "-5MB", "5TB", "5 MB more", "1e9", "nan"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="is not a size"):
        parse_size(text)


def stdin(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), encoding="ascii"))


def test_a_dash_reads_standard_input_as_utf_8_whatever_the_terminal_says(monkeypatch: pytest.MonkeyPatch) -> None:
    stdin(monkeypatch, "zwei\nZeilen, café\n".encode())
    assert read_text("-") == "zwei\nZeilen, café"
    assert read_text("as it is\n") == "as it is\n"


@pytest.mark.parametrize("data", [b"\xff\xfe\x00binary", b"fine so far \x80"])
def test_binary_input_is_refused(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    stdin(monkeypatch, data)
    with pytest.raises(InvalidInput, match="not UTF-8"):
        read_text("-")


def test_endless_input_is_refused_without_reading_it_all(monkeypatch: pytest.MonkeyPatch) -> None:
    stdin(monkeypatch, b"x" * (MAX_STDIN_BYTES + 2))
    with pytest.raises(InvalidInput, match="longer than"):
        read_text("-")
    assert sys.stdin.buffer.read() == b"x"


def test_the_first_interrupt_is_a_wish_and_the_second_an_end() -> None:
    before = signal.getsignal(signal.SIGINT)
    with interruptible() as cancelled:
        assert not cancelled.is_set()
        signal.raise_signal(signal.SIGINT)
        assert cancelled.is_set()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_standard_input_that_cannot_be_read_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.TextIOWrapper(io.BytesIO(b"x"))
    closed.close()
    for broken in (closed, None):
        monkeypatch.setattr(sys, "stdin", broken)
        with pytest.raises(InvalidInput, match="standard input cannot be read"):
            read_text("-")
