"""`edge-ttp hook`: commit messages in the user's voice, suggested by git's own hooks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_ttp.cli import options
from edge_ttp.cli.output import emit_json, note
from edge_ttp.errors import EdgeTTPError

if TYPE_CHECKING:
    from edge_ttp.desk.git_hook import Hooked

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False, no_args_is_help=True)

Repository = Annotated[Path, typer.Option("--repo", "-C", help="A folder of the repository.")]


@app.callback()
def hook() -> None:
    """Commit messages the way this user writes them: a suggestion in the editor, from what is staged.

    The message that is committed in the end is remembered as feedback.
    """


@app.command()
def install(
    repo: Repository = Path(),
    user: options.User = None,
    as_json: options.AsJson = False,
) -> None:
    """Put the hooks into a repository, beside those that are there."""
    from edge_ttp.desk import git_hook

    _tell(git_hook.install(repo, user=user), as_json=as_json)


@app.command()
def uninstall(repo: Repository = Path(), as_json: options.AsJson = False) -> None:
    """Take the hooks out again; what else was in them stays."""
    from edge_ttp.desk import git_hook

    _tell(git_hook.uninstall(repo), as_json=as_json)


@app.command()
def status(repo: Repository = Path(), as_json: options.AsJson = False) -> None:
    """Whether the hooks are in a repository."""
    from edge_ttp.desk import git_hook

    _tell(git_hook.hooks(repo), as_json=as_json)


@app.command(hidden=True)
def run(
    name: Annotated[str, typer.Argument(metavar="HOOK", help="Which hook git runs.")],
    arguments: Annotated[list[str] | None, typer.Argument(metavar="[ARGS]...", help="What git gave it.")] = None,
    user: options.User = None,
) -> None:
    """What git's hooks call. Says what is wrong in one line and never stops a commit."""
    from edge_ttp.desk import git_hook

    try:
        _run(name, arguments or [], user)
    except EdgeTTPError as error:
        note(git_hook.quietly(error))
    except Exception as error:  # noqa: BLE001  # a commit must never fail for a suggestion
        note(git_hook.quietly(error))


def _run(name: str, arguments: list[str], user: str | None) -> None:
    from edge_ttp.desk import git_hook
    from edge_ttp.runtime import Runtime

    here = Path()
    if name == "prepare-commit-msg" and arguments:
        source = arguments[1] if len(arguments) > 1 else ""
        with Runtime.open() as runtime:
            git_hook.suggest(runtime, here, Path(arguments[0]), source, user=user)
    elif name == "post-commit" and git_hook.waits(here):
        with Runtime.open() as runtime:
            git_hook.committed(runtime, here)


def _tell(states: list[Hooked], *, as_json: bool) -> None:
    if as_json:
        found = [{"path": str(one.path), "installed": one.installed, "others": one.others} for one in states]
        emit_json({"hooks": found})
        return
    for one in states:
        beside = ", beside another hook" if one.installed and one.others else ""
        typer.echo(f"{one.path}: {'installed' if one.installed else 'not installed'}{beside}")
