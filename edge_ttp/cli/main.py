"""`edge-ttp`: finds the command asked for, loads only its module, and turns errors into one line and an exit code."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from edge_ttp.cli import standard_streams
from edge_ttp.cli.output import emit_json, ending
from edge_ttp.errors import Cancelled, EdgeTTPError, ExtraMissing, InvalidInput, OutOfCapacity, is_interrupt, unusable

# name -> (module holding `app`, help line). The line is here so that `--help` imports none of the modules.
COMMANDS: dict[str, tuple[str, str]] = {
    "app": ("edge_ttp.cli.app", "Open a window to write in: choose a model, bring your writing, answer."),
    "compose": ("edge_ttp.cli.compose", "Write like me, anywhere: a small window, from the clipboard and back."),
    "generate": ("edge_ttp.cli.generate", "Answer a prompt the way this user would."),
    "rewrite": ("edge_ttp.cli.rewrite", "Say a text again the way this user would, its facts kept."),
    "chat": ("edge_ttp.cli.chat", "Answer one line after another, with feedback in between."),
    "stats": ("edge_ttp.cli.stats", "What was sent against what was suggested: edits, keystrokes saved."),
    "hook": ("edge_ttp.cli.hook", "Commit messages the way this user writes them, suggested by git hooks."),
    "mcp": ("edge_ttp.cli.mcp", "Serve rewriting, drafting and remembering to other programs (MCP, stdio)."),
    "feedback": ("edge_ttp.cli.feedback", "Accept, reject, edit or prefer what was generated."),
    "adapt": ("edge_ttp.cli.adapt", "Learn from what a user wrote: self-calibration on this device."),
    "history": ("edge_ttp.cli.history", "What a user has written: add, import, search, export."),
    "models": ("edge_ttp.cli.models", "Model files: list, pull, add, verify, remove."),
    "config": ("edge_ttp.cli.config", "Settings: user, model, mode, language, retention."),
    "diagnose": ("edge_ttp.cli.diagnose", "Diagnose a reward model from scored candidates: what holds selection back."),
    "reproduce": ("edge_ttp.cli.reproduce", "Test the paper's claims on the committed numbers of real pools."),
    "plan": ("edge_ttp.cli.plan", "How a request would be answered on this device, and why."),
    "device": ("edge_ttp.cli.device", "What this machine has to give, and what requests cost on it."),
    "doctor": ("edge_ttp.cli.doctor", "Check this installation: engines, models, database, privacy."),
    "serve": ("edge_ttp.cli.serve", "Serve apps, chat front ends and a browser on this machine."),
    "tokens": ("edge_ttp.cli.tokens", "Who may ask a server: show, add, list, revoke tokens."),
    "bench": ("edge_ttp.cli.bench", "Measure this device: ratios against a baseline in the same run."),
}
# Command groups of other packages (entry-point group edge_ttp.commands) -> help line.
PLUGINS = {"export": "Make models: policies as GGUF, reward training, ONNX export (extra: export)."}


COMPLETION_VARIABLE = "_EDGE_TTP_COMPLETE"
"""Set by the shell's completion script (`edge-ttp config completion`): it asks what could follow."""

_OUTPUT_CURES = {errno.ENOSPC: "free some space", errno.EBADF: "leave it open, or send it to /dev/null"}
_ENGINES_NEEDED = ("generate", "rewrite", "chat", "bench")
_LEAST_ADDRESS_SPACE = 256 * 2**20
"""What the libraries take before any model: with less, loading them ends in a native error."""


def _check_address_space() -> None:
    """Raises OutOfCapacity where a limit on the address space (ulimit -v) leaves no room for the libraries."""
    if sys.platform == "win32":
        return
    import resource

    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit != resource.RLIM_INFINITY and limit < _LEAST_ADDRESS_SPACE:
        raise OutOfCapacity(
            f"the address space is limited to {limit // 2**20} MiB, the libraries alone need "
            f"{_LEAST_ADDRESS_SPACE // 2**20} MiB",
            "raise the limit (ulimit -v)",
        )


class LazyGroup(TyperGroup):
    """A command group whose members are imported when they run, so that help stays fast."""

    _listing = False

    def list_commands(self, ctx: Any) -> list[str]:
        """The names of all commands, in the order of the help page."""
        return [*COMMANDS, *PLUGINS]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command, loaded; on the help page only its name and line."""
        line = PLUGINS.get(cmd_name) or COMMANDS.get(cmd_name, ("", ""))[1]
        if not line:
            return None
        if self._listing:
            return TyperCommand(cmd_name, help=line)
        if cmd_name in _ENGINES_NEEDED:
            _check_address_space()
        app = _load_plugin(cmd_name) if cmd_name in PLUGINS else import_module(COMMANDS[cmd_name][0]).app
        command = typer.main.get_command(app)
        command.name = cmd_name
        return command

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """The help page, without importing what it lists."""
        self._listing = True
        try:
            super().format_help(ctx, formatter)
        finally:
            self._listing = False


def _load_plugin(name: str) -> typer.Typer:
    cure = f"install the extra: pip install 'edge-ttp[{name}]'"
    found = entry_points(group="edge_ttp.commands", name=name)
    if not found:
        raise ExtraMissing(f"the command group {name!r} is not installed", cure)
    try:
        app: typer.Typer = next(iter(found)).load()
    except ModuleNotFoundError as missing:
        raise ExtraMissing(f"`edge-ttp {name}` needs the package {missing.name!r}", cure) from missing
    return app


app = typer.Typer(
    cls=LazyGroup,
    name="edge-ttp",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich's help page alone would take a third of the time allowed for start-up
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Files live below EDGE_TTP_HOME if it is set. Exit codes: docs/errors.md.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from edge_ttp import __version__

        typer.echo(f"edge-ttp {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: bool = typer.Option(False, "--version", callback=_print_version, is_eager=True, help="Print the version."),
) -> None:
    """A local model answers the way you would; your history never leaves this machine."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line and leaves the process with its exit code."""
    standard_streams.prepare()
    standard_streams.warn_in_one_line()
    before = signal.getsignal(signal.SIGINT)
    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        if before != signal.SIG_IGN:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        code = run(given)
    except KeyboardInterrupt:  # between two lines of this module
        code = Cancelled.exit_code
        standard_streams.complain("edge-ttp: interrupted")
    finally:
        signal.signal(signal.SIGINT, before)
    failed = standard_streams.flush()
    if failed is not None:
        code = _output_failed(failed)
    if code == Cancelled.exit_code:
        # Where Ctrl-C came in the middle of an exec of text (dataclasses, namedtuple), `python -m` would still end by
        # the signal instead of the code, whoever caught the exception; the next exec of text makes it forget.
        exec("")  # noqa: S102
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Exit code of the command line `arguments`; errors are printed as one line, or one object under --json."""
    as_json = "--json" in arguments
    try:
        return _invoke(arguments, as_json)
    except OSError as error:
        if isinstance(error, FileNotFoundError) and error.filename is None:  # from os.getcwd
            return report(InvalidInput("the folder that this runs in is gone", "go to another one (cd)"), as_json)
        return _output_failed(error) if error.filename is None else report(unusable(error), as_json)
    except MemoryError:
        return report(OutOfCapacity("there is not enough memory", "end other programs, or raise the limit"), as_json)


def _invoke(arguments: Sequence[str], as_json: bool) -> int:
    if COMPLETION_VARIABLE in os.environ:
        return _complete(os.environ[COMPLETION_VARIABLE])
    try:
        # Not typer's own main, which ends without a word on Ctrl-C.
        command = typer.main.get_command(app)
        with ending() as errors, command.make_context("edge-ttp", list(arguments)) as context:
            result = command.invoke(context)
        if errors:
            return report(errors[0], as_json=False)  # stdout has the result already
    except typer.Exit as end:
        return end.exit_code
    except EdgeTTPError as error:
        told = isinstance(error, Cancelled) or not is_interrupt(error)
        return report(error if told else Cancelled("interrupted"), as_json)
    except KeyboardInterrupt:
        return report(Cancelled("interrupted"), as_json)
    except typer.Abort:
        return report(Cancelled("aborted"), as_json)
    except (OSError, MemoryError) as error:
        if is_interrupt(error):
            return report(Cancelled("interrupted"), as_json)
        raise
    except Exception as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # a bare `edge-ttp history`: its help page is the answer
            typer.echo(error.format_message())  # type: ignore[attr-defined]
            return 2
        if is_interrupt(error):
            return report(Cancelled("interrupted"), as_json)
        usage = _usage_error(error)
        if usage is None:
            raise
        return report(usage, as_json)
    return result if isinstance(result, int) else 0


def _complete(instruction: str) -> int:
    """Prints what could follow on the command line that the shell holds (typer's own way of asking)."""
    from typer.completion import completion_init, shell_complete  # type: ignore[attr-defined]

    completion_init()
    return int(shell_complete(typer.main.get_command(app), {}, "edge-ttp", COMPLETION_VARIABLE, instruction))


def _usage_error(error: Exception) -> EdgeTTPError | None:
    """A wrong option or argument as our error, else None: typer's own exceptions (vendored from click), pydantic's."""
    if isinstance(error, ValueError) and callable(getattr(error, "errors", None)):
        first = error.errors()[0]  # type: ignore[attr-defined]
        name = ".".join(str(part) for part in first["loc"]) or "value"
        return InvalidInput(f"{name}={first['input']!r}: {first['msg'].lower()}", "see the command's --help")
    message = getattr(error, "format_message", None)
    if not callable(message):
        return None
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "edge-ttp"
    text = " ".join(str(message()).split()).rstrip(".")
    return InvalidInput(text or f"`{path}` needs a command", f"see `{path} --help`")


def report(error: EdgeTTPError, as_json: bool) -> int:
    """Says what is wrong as one line, or one object under --json; the exit code."""
    if not as_json:
        standard_streams.complain(f"edge-ttp: {error}")
        return error.exit_code
    try:
        emit_json({"error": error.as_dict()})
    except OSError as failed:
        _output_failed(failed)
    return error.exit_code


def _output_failed(error: OSError) -> int:
    """Exit code 1 where standard output takes nothing more. A reader that went away is not worth a word."""
    standard_streams.abandon()
    if not isinstance(error, BrokenPipeError):
        why = error.strerror or type(error).__name__
        cure = _OUTPUT_CURES.get(error.errno or 0, "check its rights")
        standard_streams.complain(f"edge-ttp: standard output cannot be used: {why}; {cure}")
    return 1
