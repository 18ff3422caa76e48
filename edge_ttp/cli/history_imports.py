"""`edge-ttp history imports` and `undo-import`: what was imported together, and taking it out again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge_ttp.cli.history_options import (
    REMAINS,
    AllUsers,
    AsJson,
    User,
    counted,
    open_history,
    plain,
    selected,
    text_table,
    user_named,
)
from edge_ttp.cli.output import console, emit_json, note


def imports(user: User = None, all_users: AllUsers = False, as_json: AsJson = False) -> None:
    """List what was imported, newest first, with the number that `undo-import` takes."""
    owner = selected(user, all_users)
    with open_history() as history:
        taken_in = history.imports(owner)
    if as_json:
        rows = [
            {
                "import": one.id,
                "user": one.user,
                "name": one.name,
                "created_at": one.created_at.isoformat(),
                "items": one.items,
                "generations": one.generations,
            }
            for one in taken_in
        ]
        emit_json({"imports": rows})
        return
    if not taken_in:
        note("nothing was imported yet" if owner is None else f"nothing was imported yet for {owner}")
        return
    shown = text_table("import", "date", "user", "texts", "answers", "from")
    for one in taken_in:
        day = f"{one.created_at.astimezone():%Y-%m-%d %H:%M}"
        shown.add_row(
            str(one.id),
            day,
            plain(one.user),
            str(one.items),
            str(one.generations),
            plain(Path(one.name).name or one.name),
        )
    console().print(shown)


def undo_import(
    number: Annotated[int, typer.Argument(metavar="IMPORT", help="As `history imports` numbers it.")],
    user: User = None,
    all_users: Annotated[bool, typer.Option("--all-users", help="For all users that it brought something to.")] = False,
    as_json: AsJson = False,
) -> None:
    """Take out what one import brought, with all that was learned from it. What was there before it stays."""
    from dataclasses import asdict

    from edge_ttp.errors import NotFound

    name = None if all_users else user_named(user)
    with open_history() as history:
        try:
            gone = history.undo_import(number, name)
        except NotFound:
            others = sorted({one.user for one in history.imports() if one.id == number})
            if name is None or not others:
                raise
            raise NotFound(
                f"import {number} brought nothing to {name}, but to {', '.join(others[:5])}",
                "name whose with --user, or --all-users",
            ) from None
    if as_json:
        emit_json({"import": number, "user": name, **asdict(gone)})
        return
    typer.echo(f"{counted(gone.items, 'text')} and {counted(gone.generations, 'answer')} of import {number} taken out")
    if not gone.overwritten:
        note(REMAINS)
