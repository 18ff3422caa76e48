"""`edge-ttp bench window`: what holds up the window while candidates are drawn, and how long Stop takes."""

from __future__ import annotations

from typing import Annotated

import typer

from edge_ttp.cli.options import AsJson
from edge_ttp.cli.output import emit_json, progress
from edge_ttp.errors import ExtraMissing


def window(
    rounds: Annotated[int, typer.Option("--rounds", min=1, max=1000, help="Requests drawn and stopped.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Measure the window's event loop and its page while candidates are drawn, and the time from Stop to its end.

    Opens the window of `edge-ttp app`; keeps no answer. Times are those of this device as busy as it is now.
    """
    from edge_ttp.app.toolkit import why_no_window
    from edge_ttp.paths import locate

    why = why_no_window()
    if why is not None:
        raise ExtraMissing(f"no window can be opened: {why}", "run this on a desktop with the extra `app`")
    from edge_ttp.app.responsiveness import measure

    with progress("drawing and stopping", rounds, "rounds") as advance:
        found = measure(locate(), rounds=rounds, advance=advance).as_dict()
    if as_json:
        emit_json(found)
        return
    for name, values in found.items():
        typer.echo(
            f"{name:<15} p50 {values['p50']:>8.2f}  p99 {values['p99']:>8.2f}  max {values['max']:>8.2f}"
            f"  ({values['count']} values)"
        )
