"""`edge-ttp stats`: what was really sent against what was suggested."""

from __future__ import annotations

from typing import Annotated

import typer

from edge_ttp.cli import options
from edge_ttp.cli.history_options import open_history, user_named
from edge_ttp.cli.output import emit_json, note, print_table
from edge_ttp.errors import InvalidInput

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)


@app.command()
def stats(
    user: options.User = None,
    by: Annotated[str, typer.Option("--by", metavar="month|day", help="Spans of time.")] = "month",
    since: Annotated[str | None, typer.Option("--since", metavar="DATE", help="Only from then on: 2026-06-01.")] = None,
    as_json: options.AsJson = False,
) -> None:
    """Share sent unedited, edits, and keystrokes saved, over time by kind, from the judgments on answers.

    What was sent is what was accepted, preferred, or given with `feedback ID --edit`.
    """
    if by not in ("month", "day"):
        raise InvalidInput(f"--by {by} is no span", "choose month or day")
    from dataclasses import asdict

    from edge_ttp.exchange.dates import moment_of
    from edge_ttp.learning.sent import sent_stats

    name = user_named(user)
    moment = None if since is None else moment_of("--since", since)
    with open_history() as history:
        rows = sent_stats(history, name, by=by, since=moment)
    if as_json:
        emit_json({"user": name, "rows": [asdict(row) for row in rows]})
        return
    if not rows:
        note(f"nothing was said of {name}'s answers yet: edge-ttp feedback last --accept, or --edit with what was sent")
        return
    print_table(
        ("when", "kind", "judged", "rejected", "unedited", "edits per character", "keystrokes saved", "typed"),
        [
            (
                row.since or "all",
                row.kind,
                str(row.judged),
                str(row.rejected),
                f"{row.unedited:.0%}",
                f"{row.distance:.2f}",
                str(row.saved),
                str(row.typed),
            )
            for row in rows
        ],
    )
