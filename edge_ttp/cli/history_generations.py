"""`edge-ttp history generations`: the answers that are stored, and one with all its candidates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from edge_ttp.cli.history_options import AsJson, Limit, User, open_history, plain, text_table, user_named
from edge_ttp.cli.output import console, emit_json, note
from edge_ttp.errors import NotFound

if TYPE_CHECKING:
    from edge_ttp.history import History
    from edge_ttp.schema import Feedback, Generation

LAST = "last"
"""Stands for the id of a user's newest generation."""


def generations(
    generation_id: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="Show this one with its candidates; `last`: the newest.")
    ] = None,
    user: User = None,
    limit: Limit = 20,
    as_json: AsJson = False,
) -> None:
    """List the answers that are stored, newest first, or show one with all its candidates."""
    with open_history() as history:
        if generation_id is not None:
            found = stored(history, generation_id, user)
            _show(found, history.judgments(found.generation_id), as_json)
            return
        name = user_named(user)
        listed = [(one, history.judgments(one.generation_id)) for one in history.generations(name, limit)]
    if as_json:
        emit_json({"user": name, "generations": [_as_dict(one, given) for one, given in listed]})
        return
    if not listed:
        note(f"no answers of {name} are stored yet")
        return
    table = text_table("id", "date", "judged", "input", "output")
    for one, given in listed:
        day = one.created_at.astimezone().strftime("%Y-%m-%d %H:%M")
        judged = ", ".join(_in_words(each) for each in given)
        table.add_row(one.generation_id, day, judged, plain(one.prompt), plain(one.text))
    console().print(table)


def stored(history: History, generation_id: str, user: str | None) -> Generation:
    """The generation with this id, or for `last` the user's newest one. Raises NotFound."""
    if generation_id != LAST:
        return history.generation(generation_id, user)
    name = user_named(user)
    newest = history.generations(name, 1)
    if not newest:
        raise NotFound(f"no answer of {name!r} is stored yet", "ask for one: edge-ttp generate")
    return newest[0]


def _show(generation: Generation, given: list[Feedback], as_json: bool) -> None:
    if as_json:
        emit_json(_as_dict(generation, given))
        return
    from edge_ttp.cli.generate import print_candidates

    out = console()
    moment = generation.created_at.astimezone().strftime("%Y-%m-%d %H:%M")
    out.print(plain(f"{generation.generation_id} of {generation.user}, {moment}, {generation.model}"))
    out.print(plain(f"prompt: {generation.prompt}"))
    print_candidates(generation)
    for one in given:
        out.print(plain(f"judged: {_in_words(one)}" + ("" if one.text is None else f": {one.text}")))
    for line in generation.notes:
        note(f"note: {line}")


def _in_words(given: Feedback) -> str:
    return f"prefer {given.candidate + 1}" if given.kind == "prefer" else given.kind


def _as_dict(generation: Generation, given: list[Feedback]) -> dict[str, object]:
    return {**generation.model_dump(mode="json"), "feedback": [one.model_dump(mode="json") for one in given]}
