"""`edge-ttp reproduce`: the table and figures of docs/measured/reproduction.md from the committed numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge_ttp.cli import options
from edge_ttp.cli.output import emit_json, note, progress
from edge_ttp.errors import InvalidInput
from edge_ttp.system.output_file import checked_output, text_output

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)


@app.command("reproduce")
def reproduce_command(
    scores: Annotated[Path, typer.Option("--scores", help="Score file, made by `edge-ttp export scores`.")] = Path(
        "docs/measured/reproduction/scores.npz"
    ),
    out: Annotated[Path, typer.Option("--out", help="Folder for reproduction.md and reproduction/*.svg.")] = Path(
        "docs/measured"
    ),
    splits: Annotated[int, typer.Option("--splits", min=2, help="Random halves of users to test the law on.")] = 20,
    bootstrap: Annotated[int, typer.Option("--bootstrap", min=20, max=10_000, help="Resamples for intervals.")] = 400,
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
        _ladder(scores, out, bootstrap, force=force, as_json=as_json)
        return
    from edge_ttp.lab.reproduction.document import document
    from edge_ttp.lab.reproduction.findings import Bootstrap
    from edge_ttp.lab.reproduction.reproduce import reproduce
    from edge_ttp.lab.reproduction.score_file import read_scores

    if not as_json:
        checked_output(out / "reproduction.md", force=force)  # before the work, not after it
    file = read_scores(scores)
    with progress("splitting users", 2 * splits, "splits") as advance:
        reproduction = reproduce(file, splits=splits, bootstrap=Bootstrap(bootstrap, seed), advance=advance)
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


def _ladder(scores: Path, out: Path, bootstrap: int, *, force: bool, as_json: bool) -> None:
    """Writes failure-modes.md and its pictures, or prints the rows."""
    from edge_ttp.lab.reproduction import ladder
    from edge_ttp.lab.reproduction.ladder_page import ladder_page
    from edge_ttp.lab.reproduction.score_file import read_scores

    if not as_json:
        checked_output(out / "failure-modes.md", force=force)
    file = read_scores(scores if scores.name != "scores.npz" else scores.with_name("ladder.npz"))
    rows = ladder.ladder(file, resamples=bootstrap)
    if not rows:
        raise InvalidInput(f"{scores} holds no ladder", "give a file made by `edge-ttp export ladder`")
    if as_json:
        emit_json({"rows": [row.as_dict() for row in rows], "reproduced": ladder.reproduced(rows)})
        return
    made = ladder_page(file, rows)
    try:
        (out / "reproduction").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput(f"{out} cannot be written: {error.strerror or error}", "choose another --out") from error
    texts = {f"reproduction/{name}": picture for name, picture in made.pictures.items()}
    for name, text in (texts | {"failure-modes.md": made.text}).items():
        with text_output(out / name, force=force) as written:
            written.write(text)
    note(f"wrote {out / 'failure-modes.md'} and {len(made.pictures)} figures")
