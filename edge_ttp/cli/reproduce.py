"""`edge-ttp reproduce`: the table and figures of docs/measured/reproduction.md from the committed numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from edge_ttp.cli import options
from edge_ttp.cli.output import emit_json, note, progress
from edge_ttp.errors import InvalidInput
from edge_ttp.system.output_file import checked_output, text_output

_NUMBERS = Path("docs/measured/reproduction")
"""Where the committed numbers are, in the repository."""

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)


@app.command("reproduce")
def reproduce_command(
    scores: Annotated[
        list[Path] | None,
        typer.Option(
            "--scores",
            help="Score file, made by `edge-ttp export scores`. Repeat for several. Default: scores.npz and "
            "four-losses.npz in docs/measured/reproduction; with --ladder, all ladder*.npz there.",
        ),
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder for reproduction.md and reproduction/*.svg.")] = Path(
        "docs/measured"
    ),
    splits: Annotated[int, typer.Option("--splits", min=2, help="Random halves of users to test the law on.")] = 20,
    bootstrap: Annotated[
        int | None,
        typer.Option(
            "--bootstrap", min=20, max=10_000, help="Resamples for intervals. Default: 400, with --ladder 200."
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of halves and resamples.")] = 0,
    ladder: Annotated[
        bool, typer.Option("--ladder", help="The ladder of reward models instead: failure-modes.md.")
    ] = False,
    force: options.Force = False,
    as_json: options.AsJson = False,
) -> None:
    """Test the paper's claims on real pools' numbers, and write the page about it.

    With --json the findings are printed as one object, and nothing is written.
    """
    if ladder:
        _ladder(scores, out, bootstrap or 200, force=force, as_json=as_json)
        return
    from edge_ttp.lab.reproduction.document import document
    from edge_ttp.lab.reproduction.findings import Bootstrap
    from edge_ttp.lab.reproduction.reproduce import reproduce
    from edge_ttp.lab.reproduction.score_file import joined, read_scores

    if not as_json:
        checked_output(out / "reproduction.md", force=force)  # before the work, not after it
    file = joined([read_scores(path) for path in scores or (_NUMBERS / "scores.npz", _NUMBERS / "four-losses.npz")])
    with progress("splitting users", 2 * splits, "splits") as advance:
        reproduction = reproduce(file, splits=splits, bootstrap=Bootstrap(bootstrap or 400, seed), advance=advance)
    if as_json:
        emit_json(reproduction.as_object())
        return
    try:
        (out / "reproduction").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput(f"{out} cannot be written: {error.strerror or error}", "choose another --out") from error
    drawn = {f"reproduction/{name}": picture for name, (_, picture) in reproduction.figures.items()}
    for name, text in (drawn | {"reproduction.md": document(reproduction)}).items():
        with text_output(out / name, force=force) as written:
            written.write(text)
    note(f"wrote {out / 'reproduction.md'} and {len(reproduction.figures)} figures")


def _ladder(scores: Sequence[Path] | None, out: Path, bootstrap: int, *, force: bool, as_json: bool) -> None:
    """Writes failure-modes.md and its pictures, or prints the rows."""
    from edge_ttp.lab.reproduction import ladder
    from edge_ttp.lab.reproduction.ladder_page import Further, ladder_page
    from edge_ttp.lab.reproduction.score_file import read_scores
    from edge_ttp.lab.reproduction.simulated_modes import simulated

    if not as_json:
        checked_output(out / "failure-modes.md", force=force)
    files = [read_scores(path) for path in scores or sorted(_NUMBERS.glob("ladder*.npz"))]
    of_rung = {rung: file for file in files for rung in ladder.rungs_of(file)}
    if ladder.BOTTOM not in of_rung:
        raise InvalidInput(
            f"{', '.join(map(str, scores or [_NUMBERS]))} holds no ladder",
            "give a file made by `edge-ttp export ladder`",
        )
    steps = [ladder.BOTTOM, ladder.OWN[0], ladder.TUNED]
    rows = {}
    with progress("rungs", len(steps) + 1, "kinds") as advance:
        for done, rung in enumerate(steps, 1):
            rows[rung] = ladder.ladder(of_rung[rung], resamples=bootstrap) if rung in of_rung else []
            advance(done)
        modes = simulated(resamples=bootstrap)
    main, own, encoder = rows.values()
    if as_json:
        shown: dict[str, Any] = {"rows": [row.as_dict() for row in main], "reproduced": ladder.reproduced(main)}
        shown |= {"own": [row.as_dict() for row in own], "encoder": [row.as_dict() for row in encoder]}
        worlds = [{"world": mode.world.name, "rows": [row.as_dict() for row in mode.rows]} for mode in modes]
        emit_json(shown | {"simulated": worlds})
        return
    beside = Further((of_rung[ladder.OWN[0]], own) if own else None, encoder, modes)
    made = ladder_page(of_rung[ladder.BOTTOM], main, beside)
    try:
        (out / "reproduction").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput(f"{out} cannot be written: {error.strerror or error}", "choose another --out") from error
    texts = {f"reproduction/{name}": picture for name, picture in made.pictures.items()}
    for name, text in (texts | {"failure-modes.md": made.text}).items():
        with text_output(out / name, force=force) as written:
            written.write(text)
    note(f"wrote {out / 'failure-modes.md'} and {len(made.pictures)} figures")
