"""`edge-ttp history forget`, `backup`, `restore`: a user's texts are theirs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge_ttp.cli.history_options import AsJson, Force, User, counted, open_history, user_named
from edge_ttp.cli.output import emit_json, note


def forget(
    user: User = None,
    item: Annotated[int | None, typer.Option("--item", metavar="ID", help="This text, as `list` numbers it.")] = None,
    before: Annotated[
        str | None, typer.Option("--before", metavar="DATE", help="Everything older, such as 2025-06-01.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Everything of this user.")] = False,
    as_json: AsJson = False,
) -> None:
    """Take out a user's texts, with all that was learned from them, and overwrite their remains in the file."""
    from dataclasses import asdict

    from edge_ttp.exchange.dates import moment_of

    name = user_named(user)
    with open_history() as history:
        found = history.forget(
            name, item_id=item, before=None if before is None else moment_of("--before", before), everything=everything
        )
    if as_json:
        emit_json({"user": name, **asdict(found)})
        return
    typer.echo(
        f"{counted(found.items, 'text')}, {counted(found.generations, 'answer')} and what was drawn for "
        f"{counted(found.calibrations, 'text')} of {name} forgotten"
    )
    if not found.overwritten:
        note("another program has the history open: what remains in the file is overwritten when it is opened next")


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to.")],
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Write a copy of the whole history (all users) to one file, mode 0600."""
    with open_history() as history:
        size = history.backup(file, force=force)
    if as_json:
        emit_json({"file": str(file), "bytes": size})
    else:
        typer.echo(f"{file}: {size / 1e6:.1f} MB")


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Made by `backup`.")],
    as_json: AsJson = False,
) -> None:
    """Replace the whole history (all users) by a backup. Nothing changes if the backup is not sound."""
    with open_history() as history:
        history.restore_backup(file)
        users = len(history.users())
    if as_json:
        emit_json({"file": str(file), "users": users})
    else:
        typer.echo(f"restored {counted(users, 'user')} from {file}")


def encrypt(as_json: AsJson = False) -> None:
    """Encrypt the whole history at rest (SQLCipher); its key goes into the keyring. Needs the extra `encrypted`."""
    from edge_ttp.history import encryption
    from edge_ttp.paths import locate

    database = locate().database
    encryption.encrypt(database)
    _tell(as_json, database, encrypted=True)


def decrypt(as_json: AsJson = False) -> None:
    """Make the whole history a plain file again."""
    from edge_ttp.history import encryption
    from edge_ttp.paths import locate

    database = locate().database
    encryption.decrypt(database)
    _tell(as_json, database, encrypted=False)


def _tell(as_json: bool, database: Path, *, encrypted: bool) -> None:
    if as_json:
        emit_json({"path": str(database), "encrypted": encrypted})
    else:
        typer.echo(f"{database} is {'encrypted; keep its key in the keyring' if encrypted else 'a plain file'}")
