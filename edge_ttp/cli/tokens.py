"""`edge-ttp tokens`: who may ask a server of this installation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from edge_ttp.cli import options
from edge_ttp.cli.output import emit_json, note

if TYPE_CHECKING:
    from edge_ttp.server.access import Access

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False, help=__doc__
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="What the token is called: the program that uses it.")]


@app.command()
def show(as_json: options.AsJson = False) -> None:
    """Print the installation's own token; clients send it as `Authorization: Bearer TOKEN` (an API key)."""
    token = _access().own()
    if as_json:
        emit_json({"token": token})
    else:
        typer.echo(token)


@app.command()
def add(
    name: Name,
    user: Annotated[
        str | None, typer.Option("--user", "-u", help="Whose history it opens. Default: a user called NAME.")
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Make a token for another program or person, with a user of its own. It is shown this once."""
    token = _access().add(name, user)
    if as_json:
        emit_json({"name": name, "user": name if user is None else user, "token": token})
        return
    typer.echo(token)
    note("it is not shown again: only its hash is kept")


@app.command("list")
def list_(as_json: options.AsJson = False) -> None:
    """The further tokens, with the users whose histories they open."""
    named = _access().named()
    if as_json:
        emit_json({"tokens": [{"name": one.name, "user": one.user} for one in named]})
        return
    for one in named:
        typer.echo(f"{one.name}\t{one.user}")
    if not named:
        note("there are no further tokens: edge-ttp tokens add NAME")


@app.command()
def revoke(name: Name, as_json: options.AsJson = False) -> None:
    """Refuse a token from now on, running servers included."""
    _access().revoke(name)
    if as_json:
        emit_json({"revoked": name})
    else:
        note(f"revoked {name}")


def _access() -> Access:
    from edge_ttp.paths import locate
    from edge_ttp.server.access import Access

    return Access(locate())
