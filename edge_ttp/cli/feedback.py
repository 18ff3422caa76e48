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
    generation_id: Annotated[
        str, typer.Argument(metavar="GENERATION_ID", help="As printed by generate, or `last`: the user's newest.")
    ],
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
    retract: Annotated[bool, typer.Option("--retract", "--undo", help="Take back what was said of it.")] = False,
    user: Annotated[
        str | None, typer.Option("--user", "-u", help="Look among this user's answers only. Default: among all.")
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Say what became of an answer. Accepted and edited texts join the user's history.

    The last word counts: it replaces what was said of the same answer before. `edge-ttp history generations` lists ids.
    """
    given: list[tuple[FeedbackKind | None, bool]] = [
        ("accept", accept),
        ("reject", reject),
        ("edit", edit is not None),
        ("prefer", prefer is not None),
        ("copied", copied),
        ("regenerated", regenerated),
        (None, retract),
    ]
    chosen = [kind for kind, present in given if present]
    if len(chosen) != 1:
        raise InvalidInput(
            f"{len(chosen)} judgments were given",
            "give one of --accept, --reject, --edit TEXT, --prefer K, --copied, --regenerated, --undo",
        )
    from edge_ttp.cli.history_generations import stored as stored_generation
    from edge_ttp.runtime import Runtime

    with Runtime.open() as runtime:
        generation = stored_generation(runtime.history, generation_id, user)
        name = generation.generation_id
        if chosen[0] is None:
            gone = runtime.retract(name, user=user)
            if as_json:
                emit_json({"generation_id": name, "retracted": [one.model_dump(mode="json") for one in gone]})
            else:
                note(f"taken back for {name}: {', '.join(one.kind for one in gone)}")
            return
        if prefer is not None and not 1 <= prefer <= len(generation.candidates):  # the table counts from 1
            raise InvalidInput(f"{name} has no candidate {prefer}", f"choose 1 to {len(generation.candidates)}")
        stored = runtime.feedback(
            name,
            chosen[0],
            user=user,
            candidate=None if prefer is None else prefer - 1,
            text=None if edit is None else options.read_text(edit),
        )
    if as_json:
        emit_json(stored.model_dump(mode="json"))
    else:
        note(f"noted: {stored.kind} for candidate {stored.candidate + 1} of {stored.generation_id}")
