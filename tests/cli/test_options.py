"""Options shared by commands: counts, sizes, text from standard input, and the first Ctrl-C."""

from __future__ import annotations

import signal

import pytest
import typer

from edge_ttp.cli import options
from edge_ttp.cli.options import interruptible, parse_count, parse_size
from edge_ttp.schema import DEFAULT_RULE, REWRITE_RULE


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


def test_the_first_interrupt_is_a_wish_and_the_second_an_end() -> None:
    before = signal.getsignal(signal.SIGINT)
    with interruptible() as cancelled:
        assert not cancelled.is_set()
        signal.raise_signal(signal.SIGINT)
        assert cancelled.is_set()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_the_rule_in_the_help_is_the_runtimes() -> None:
    assert (options.DEFAULT_RULE, options.REWRITE_RULE) == (DEFAULT_RULE, REWRITE_RULE)
