"""`edge-ttp history forget`, `backup`, `restore`, `doctor`, `encrypt`: a user's texts are theirs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_ttp.cli.history_options import (
    NAMED,
    REMAINS,
    AsJson,
    Force,
    User,
    counted,
    open_history,
    tell_left_out,
    user_named,
)
from edge_ttp.cli.options import read_text
from edge_ttp.cli.output import agreed, emit_json, end_with, harmless, note, progress
from edge_ttp.errors import HistoryUnavailable

if TYPE_CHECKING:
    from edge_ttp.history.repair import Examined

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def forget(
    user: User = None,
    item: Annotated[int | None, typer.Option("--item", metavar="ID", help="This text, as `list` numbers it.")] = None,
    before: Annotated[
        str | None, typer.Option("--before", metavar="DATE", help="Everything older, such as 2025-06-01.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Everything of this user.")] = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Take out a user's texts, with all that was learned from them, and overwrite their remains in the file."""
    from dataclasses import asdict

    from edge_ttp.exchange.dates import moment_of

    name = user_named(user)
    with open_history() as history:
        if everything:
            texts, answers = history.count(name), history.stats(name).generations
            held = f"{counted(texts, 'text')} and {counted(answers, 'answer')}"
            agreed(f"Forget everything of {harmless(name)}, {held}, for good?", yes=yes)
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
        note(REMAINS)


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
    salvage: Annotated[
        bool, typer.Option("--salvage", help="Restore what can be read of a damaged backup; set the rest aside.")
    ] = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Replace the whole history (all users) by the rows of a backup. Nothing changes if the backup is not sound.

    A history that is too damaged to be opened is kept under another name.
    """
    from edge_ttp.history.faults import HistoryDamaged
    from edge_ttp.history.repair import replace_damaged
    from edge_ttp.paths import locate

    agreed(f"Replace the history of all users by {harmless(str(file))}? What is not in it is lost.", yes=yes)
    kept = None
    with progress("restoring", None, "rows") as advance:
        try:
            with open_history() as history:
                damaged = history.restore_backup(file, salvage=salvage, advance=advance)
        except HistoryDamaged:
            made = replace_damaged(locate().database, file, salvage=salvage, advance=advance)
            damaged, kept = made.damaged, made.kept
    with open_history() as history:
        users = len(history.users())
    if as_json:
        emit_json({"file": str(file), "users": users, "damaged": [str(row) for row in damaged], "kept": kept})
    else:
        typer.echo(f"restored {counted(users, 'user')} from {file}")
        if kept is not None:
            note(f"the damaged history is kept as {kept}")
    tell_left_out(damaged, "set aside in a file beside the history")


def doctor(
    repair: Annotated[
        bool, typer.Option("--repair", help="Make it sound: rows that cannot be kept are set aside in a file.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Read every row of the history, and name what is damaged. Exit code 4 if something is."""
    from edge_ttp.history import repair as repairing
    from edge_ttp.paths import locate

    database = locate().database
    found = repairing.examine(database)
    if found.sound or not repair:
        _tell_examined(found, as_json)
        return
    with progress("repairing", None, "rows") as advance:
        made = repairing.repair(database, advance)
    again = repairing.examine(database)
    rows = sum(made.counts.values())
    if as_json:
        emit_json(
            {
                "path": str(database),
                "sound": again.sound,
                "rows": made.counts,
                "damaged": [str(row) for row in made.damaged],
                "aside": made.aside,
                "kept": made.kept,
            }
        )
    else:
        typer.echo(
            f"{database} is repaired: {counted(rows, 'row')} kept, {counted(len(made.damaged), 'row')} set aside"
        )
        for row in made.damaged[:NAMED]:
            note(f"set aside: {row}")
        if made.aside is not None:
            note(f"what was set aside stands in {made.aside}")
        if made.kept is not None:
            note(f"the damaged file is kept as {made.kept}, because not all of it could be read")
    if not again.sound:
        end_with(
            HistoryUnavailable(f"{database} is still not sound", "restore a backup: edge-ttp history restore FILE")
        )


def _tell_examined(examined: Examined, as_json: bool) -> None:
    if as_json:
        emit_json(
            {
                "path": str(examined.path),
                "sound": examined.sound,
                "problems": list(examined.problems),
                "damaged": [str(row) for row in examined.damaged],
                "rows": examined.counts,
            }
        )
    else:
        for problem in examined.problems:
            note(problem)
        for row in examined.damaged[:NAMED]:
            note(f"damaged: {row}")
        if examined.sound:
            typer.echo(f"{examined.path} is sound: {counted(sum(examined.counts.values()), 'row')} read")
    if not examined.sound:
        count = len(examined.problems) + len(examined.damaged)
        end_with(
            HistoryUnavailable(
                f"{counted(count, 'fault')} in {examined.path}", "mend it: edge-ttp history doctor --repair"
            )
        )


def encrypt(
    recovery: Annotated[
        bool, typer.Option("--recovery-key", help="Print a key that opens it where the keyring is lost.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Encrypt the whole history at rest (SQLCipher); its key goes into the keyring. Needs the extra `encrypted`."""
    from edge_ttp.history import encryption
    from edge_ttp.paths import locate

    database = locate().database
    key = encryption.encrypt(database)
    if as_json:
        emit_json({"path": str(database), "encrypted": True, **({"recovery_key": key} if recovery else {})})
        return
    typer.echo(f"{database} is encrypted; its key is in the keyring")
    if recovery:
        note("the recovery key opens it without the keyring (edge-ttp history unlock); keep it where nobody finds it:")
        typer.echo(key)


def recovery_key(as_json: AsJson = False) -> None:
    """Print the key of an encrypted history, to be kept elsewhere."""
    from edge_ttp.history import encryption
    from edge_ttp.paths import locate

    key = encryption.recovery_key(locate().database)
    if as_json:
        emit_json({"recovery_key": key})
    else:
        typer.echo(key)


def unlock(as_json: AsJson = False) -> None:
    """Put the recovery key, read from standard input, into the keyring of this machine."""
    import sys

    from edge_ttp.history import encryption
    from edge_ttp.paths import locate

    database = locate().database
    asked = sys.stdin is not None and sys.stdin.isatty()
    key = typer.prompt("Recovery key", hide_input=True, err=True) if asked else read_text("-")
    encryption.unlock(database, key)
    if as_json:
        emit_json({"path": str(database), "encrypted": True})
    else:
        typer.echo(f"{database} opens again; its key is in the keyring")


def decrypt(as_json: AsJson = False) -> None:
    """Make the whole history a plain file again."""
    from edge_ttp.history import encryption
    from edge_ttp.paths import locate

    database = locate().database
    encryption.decrypt(database)
    if as_json:
        emit_json({"path": str(database), "encrypted": False})
    else:
        typer.echo(f"{database} is a plain file")
