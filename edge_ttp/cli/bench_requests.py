"""`edge-ttp bench requests` and `bench languages`: what the default request does, and what a policy can write."""

from __future__ import annotations

from collections import Counter
from typing import Annotated

import typer

from edge_ttp.cli import options
from edge_ttp.cli.output import emit_json, note, print_table, progress


def requests(
    model: options.Model = None,
    runs: Annotated[int, typer.Option("--runs", min=1, help="Seeds for each kind of request.")] = 8,
    threads: options.Threads = None,
    as_json: options.AsJson = False,
) -> None:
    """The default request on eight kinds of it, with made-up histories: examples, how answers end, agreement."""
    from edge_ttp.lab.bench import requests as measurement
    from edge_ttp.lab.bench.candidates import temporary_home
    from edge_ttp.paths import locate
    from edge_ttp.runtime import Runtime

    with (
        temporary_home(locate()) as home,
        Runtime.open(home=home, model=model, threads=threads) as runtime,
        progress("asking", len(measurement.CASES), "kinds") as advance,
    ):
        rows = list(measurement.measure(runtime, runs=runs, advance=advance))
    if as_json:
        emit_json({"rows": [row.as_dict() for row in rows]})
        return
    print_table(
        ("request", "examples", "N", "ended", "tokens", "utility", "seconds"),
        [
            (
                row.kind,
                f"{row.examples:g} of {row.of}",
                f"{row.n:.0f}",
                ", ".join(f"{count} {how}" for how, count in Counter(row.finish).most_common()),
                f"{row.tokens:.0f}",
                _with_error(row.utility, row.error),
                f"{row.seconds:.1f}",
            )
            for row in rows
        ],
    )
    for row in rows:
        for line in row.notes:
            note(f"{row.kind}: {line}")


def _with_error(value: float | None, error: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if error is None else f"{value:.3f} ± {error:.3f}"


def languages(
    model: options.Model = None,
    language: Annotated[
        list[str] | None, typer.Option("--language", metavar="CODE", help="May be repeated. Default: all twelve.")
    ] = None,
    threads: options.Threads = None,
    as_json: options.AsJson = False,
) -> None:
    """Which of twelve languages a policy can write: answers in the language asked in, and what its texts cost it.

    Those that it can belong in its manifest; a request in another one is answered with a note.
    """
    from edge_ttp.budget.device import cores
    from edge_ttp.lab.bench import languages as measurement
    from edge_ttp.paths import locate
    from edge_ttp.registry import DEFAULT_POLICY, Registry

    asked = language or list(measurement.REQUESTS)
    located = Registry(locate()).locate(model or DEFAULT_POLICY, kind="policy")
    with options.interruptible() as cancel, progress("asking", len(asked), "languages") as advance:
        rows = measurement.measure(
            located.path,
            located.prompt_style or "few-shot",
            languages=asked,
            threads=threads or cores(),
            advance=advance,
            cancel=cancel,
        )
    if as_json:
        emit_json({"rows": [row.as_dict() for row in rows], "languages": measurement.written(rows)})
        return
    print_table(
        ("language", "answered in it", "cost, English 1", "written"),
        [
            (one.as_dict()["name"], f"{one.answered:.0%}", f"{one.cost:.2f}", "yes" if one.written else "no")
            for one in rows
        ],
    )
    note(f"languages = {measurement.written(rows)}")
