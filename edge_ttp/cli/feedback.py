"""`edge-ttp feedback`: what the user did with an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from edge_ttp.cli import options
from edge_ttp.cli.output import emit_json, note
from edge_ttp.errors import InvalidInput

if TYPE_CHECKING:
    from edge_ttp.schema import FeedbackKind

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)


@app.command()
def feedback(
    generation_id: Annotated[str, typer.Argument(metavar="GENERATION_ID", help="As printed by generate.")],
    accept: Annotated[bool, typer.Option("--accept", help="The answer was used as it is.")] = False,
    reject: Annotated[bool, typer.Option("--reject", help="The answer was of no use.")] = False,
    edit: Annotated[
        str | None, typer.Option("--edit", metavar="TEXT", help="What it should have been; - reads stdin.")
    ] = None,
    prefer: Annotated[
        int | None, typer.Option("--prefer", metavar="K", help="Candidate K of the table is better.")
    ] = None,
    copied: Annotated[
        bool, typer.Option("--copied", help="The answer was copied; a weak sign that it is good.")
    ] = False,
    regenerated: Annotated[
        bool, typer.Option("--regenerated", help="Another answer was asked for; a weak sign that it is not.")
    ] = False,
    user: Annotated[
        str | None, typer.Option("--user", "-u", help="Look among this user's answers only. Default: among all.")
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Say what became of an answer. Accepted and edited texts join the user's history."""
    given: list[tuple[FeedbackKind, bool]] = [
        ("accept", accept),
        ("reject", reject),
        ("edit", edit is not None),
        ("prefer", prefer is not None),
        ("copied", copied),
        ("regenerated", regenerated),
    ]
    chosen = [kind for kind, present in given if present]
    if len(chosen) != 1:
        raise InvalidInput(
            f"{len(chosen)} judgments were given",
            "give one of --accept, --reject, --edit TEXT, --prefer K, --copied, --regenerated",
        )
    from edge_ttp.runtime import Runtime

    with Runtime.open() as runtime:
        if prefer is not None:  # the table counts from 1, and so must what is said about it
            count = len(runtime.history.generation(generation_id, user).candidates)
            if not 1 <= prefer <= count:
                raise InvalidInput(f"{generation_id} has no candidate {prefer}", f"choose 1 to {count}")
        stored = runtime.feedback(
            generation_id,
            chosen[0],
            user=user,
            candidate=None if prefer is None else prefer - 1,
            text=None if edit is None else options.read_text(edit),
        )
    if as_json:
        emit_json(stored.model_dump(mode="json"))
    else:
        note(f"noted: {stored.kind} for candidate {stored.candidate + 1} of {stored.generation_id}")
