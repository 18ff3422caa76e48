"""What the commands of `edge-ttp history` share: whose history, damaged rows, tables."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from edge_ttp.cli.history_options import NAMED, counted, plain, selected, tell_left_out, text_table, user_named
from edge_ttp.cli.output import ending
from edge_ttp.errors import HistoryUnavailable, InvalidInput
from edge_ttp.history.sieve import DamagedRow


def test_a_name_is_checked_and_none_means_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    assert user_named(None) == "me"
    monkeypatch.setenv("EDGE_TTP_USER", "ann")
    assert (user_named(None), user_named("bob")) == ("ann", "bob")
    with pytest.raises(InvalidInput):
        user_named("")


def test_all_users_are_nobody_in_particular(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_TTP_USER", "ann")
    assert selected(None, all_users=True) is None
    assert selected(None, all_users=False) == "ann"
    assert selected("bob", all_users=False) == "bob"
    with pytest.raises(InvalidInput, match="exclude each other"):
        selected("bob", all_users=True)


def test_counts_agree_with_their_noun() -> None:
    assert [counted(count, "line") for count in (0, 1, 2)] == ["0 lines", "1 line", "2 lines"]


def test_the_first_damaged_rows_are_named_and_all_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [DamagedRow("items", f"id{place}", "no text") for place in range(NAMED + 2)]
    with ending() as errors:
        tell_left_out(rows, "do this")
        tell_left_out([], "and nothing for none")
    said = capsys.readouterr().err.splitlines()
    assert len(said) == NAMED
    assert said[0] == f"left out: {rows[0]}"
    (error,) = errors
    assert isinstance(error, HistoryUnavailable)
    assert (error.fact, error.cure) == (f"{NAMED + 2} damaged rows of the history left out", "do this")


def test_texts_share_the_width_that_other_columns_leave() -> None:
    table = text_table("id", "input", "output")
    assert [column.ratio for column in table.columns] == [None, 3, 2]
    assert table.expand
    assert not text_table("id", "name").expand
    table.add_row("1", plain("[bold]a\nb\x1b[31m[/bold]"), plain("x" * 600))
    out = io.StringIO()
    Console(file=out, width=40).print(table)
    (_, line) = out.getvalue().splitlines()
    assert line.startswith("1 ")
    assert "[bold]a b " in line
    assert line.rstrip().endswith("x…")
    assert "\x1b" not in line
