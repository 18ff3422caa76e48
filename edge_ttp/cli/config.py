"""`edge-ttp config`: what is set once for all, and the shell's completion."""

from __future__ import annotations

from typing import Annotated

import typer

from edge_ttp.cli.main import COMPLETION_VARIABLE
from edge_ttp.cli.options import AsJson
from edge_ttp.cli.output import emit_json, note
from edge_ttp.errors import InvalidInput
from edge_ttp.system.settings import NAMES

app = typer.Typer(
    no_args_is_help=False,
    invoke_without_command=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    help=f"What is set once for all: {', '.join(NAMES)}.",
)


@app.callback()
def config(context: typer.Context, as_json: AsJson = False) -> None:
    """Show what is set. An option outdoes the environment (EDGE_TTP_USER ...), that the file, that the default."""
    if context.invoked_subcommand is not None:
        return
    show(as_json)


@app.command()
def show(as_json: AsJson = False) -> None:
    """Show what is set, and by what."""
    from edge_ttp.paths import locate
    from edge_ttp.system.settings import VARIABLES, read_settings, settings_file, settings_in_force

    paths = locate()
    stored, meant = read_settings(paths), settings_in_force(paths)
    rows = []
    for name, value in vars(meant).items():
        by = "default" if value is None else "file" if value == getattr(stored, name) else VARIABLES[name]
        rows.append((name, value, by))
    if as_json:
        emit_json(
            {
                "file": str(settings_file(paths)),
                "settings": {name: {"value": value, "from": by} for name, value, by in rows},
            }
        )
        return
    for name, value, by in rows:
        typer.echo(f"{name:<15} {'-' if value is None else value}" + ("" if by in ("default", "file") else f"  ({by})"))
    note(f"kept in {settings_file(paths)}")


@app.command()
def get(
    name: Annotated[str, typer.Argument(help="user, model, mode, language or retention_days.")], as_json: AsJson = False
) -> None:
    """Print one thing as it is in force; nothing where the default is."""
    from edge_ttp.paths import locate
    from edge_ttp.system.settings import settings_in_force

    found = vars(settings_in_force(locate()))
    if name not in found:
        raise InvalidInput(f"there is no setting {name!r}", f"there are {', '.join(found)}")
    if as_json:
        emit_json({"name": name, "value": found[name]})
    else:
        typer.echo("" if found[name] is None else found[name])


@app.command("set")
def set_(
    name: Annotated[str, typer.Argument(help=f"One of {', '.join(NAMES)}.")],
    value: Annotated[str, typer.Argument(help="What it is to be.")],
    as_json: AsJson = False,
) -> None:
    """Set one thing, such as `edge-ttp config set model qwen2.5-1.5b-instruct`."""
    from edge_ttp.history.user import valid_user
    from edge_ttp.paths import locate
    from edge_ttp.system.settings import change_settings

    if name == "user":
        valid_user(value)
    if name == "model":
        _check_model(value)
    found = change_settings(locate(), name, value)
    if as_json:
        emit_json({"name": name, "value": getattr(found, name)})
    else:
        note(f"{name} is {getattr(found, name)} from now on")


@app.command()
def unset(name: Annotated[str, typer.Argument(help=f"One of {', '.join(NAMES)}.")], as_json: AsJson = False) -> None:
    """Go back to the default."""
    from edge_ttp.paths import locate
    from edge_ttp.system.settings import change_settings

    change_settings(locate(), name, None)
    if as_json:
        emit_json({"name": name, "value": None})
    else:
        note(f"{name} is the default from now on")


@app.command()
def completion(
    shell: Annotated[
        str | None, typer.Option("--shell", metavar="bash|zsh|fish|powershell", help="Default: the one this runs in.")
    ] = None,
    show_only: Annotated[bool, typer.Option("--show", help="Print the script instead of installing it.")] = False,
) -> None:
    """Install the shell's completion of commands and options: once, then open a new shell."""
    # Typer's own scripts, which it installs with --install-completion; asking for them costs nothing at start-up here.
    from typer.completion import get_completion_script, install  # type: ignore[attr-defined]

    shell = shell or _this_shell()
    if shell not in ("bash", "zsh", "fish", "powershell", "pwsh"):
        raise InvalidInput(f"there is no completion for the shell {shell!r}", "name one with --shell: bash, zsh, fish")
    if show_only:
        script = get_completion_script(prog_name="edge-ttp", complete_var=COMPLETION_VARIABLE, shell=shell)
        typer.echo(script)
        return
    _, path = install(shell=shell, prog_name="edge-ttp", complete_var=COMPLETION_VARIABLE)
    note(f"completion for {shell} is installed in {path}; open a new shell")


def _this_shell() -> str:
    import shellingham

    try:
        return str(shellingham.detect_shell()[0])
    except shellingham.ShellDetectionFailure as unknown:
        raise InvalidInput("this shell is not known", "name one with --shell: bash, zsh, fish") from unknown


def _check_model(value: str) -> None:
    """Raises where no policy is called so; one that can be pulled is only said to be missing."""
    from edge_ttp.errors import ModelUnavailable
    from edge_ttp.paths import locate
    from edge_ttp.registry import Registry

    registry = Registry(locate())
    try:
        registry.locate(value, kind="policy")
    except ModelUnavailable as missing:
        if "is not on this device" not in missing.fact:
            raise
        note(f"note: {missing}")
