"""`edge-ttp rewrite`: notes or anybody's text in, the user's own words out."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_ttp.cli import attached, options
from edge_ttp.cli.drawing import with_drawing
from edge_ttp.cli.errand import Errand
from edge_ttp.cli.generate import print_candidates
from edge_ttp.cli.output import console, emit_json, note, progress
from edge_ttp.errors import ExtraMissing, InvalidInput

if TYPE_CHECKING:
    from edge_ttp.schema import Event, Rewritten

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)

_STYLES = {"same": "", "removed": "red strike", "added": "green"}
_SIGNS = {"same": ("", ""), "removed": ("[-", "-]"), "added": ("{+", "+}")}
"""As `git diff --word-diff` has it, where there are no colours."""


@app.command()
@with_drawing
def rewrite(
    text: Annotated[str | None, typer.Argument(metavar="[TEXT|-]", help="What to say again; - reads stdin.")] = None,
    notes: Annotated[bool, typer.Option("--notes", help="TEXT is notes: write them out.")] = False,
    kind: Annotated[
        str | None, typer.Option("--as", metavar="KIND", help="In the manner of the user's texts of this kind.")
    ] = None,
    keep: Annotated[
        str,
        typer.Option("--keep", metavar="words|strict|loose", help="Every word that says something; or facts alone."),
    ] = "words",
    file: Annotated[Path | None, typer.Option("--file", "-f", help="The text is in this file.")] = None,
    clipboard: Annotated[
        bool, typer.Option("--clipboard", help="The text is on the clipboard; the result goes there.")
    ] = False,
    user: options.User = None,
    model: options.Model = None,
    adapter: options.Adapter = None,
    policy_url: options.PolicyUrl = None,
    reward: options.Reward = None,
    n: options.Count = None,
    deadline: options.Deadline = None,
    memory: options.Memory = None,
    mode: options.ModeName = None,
    select: options.Select = options.REWRITE_RULE,
    seed: options.Seed = None,
    *,
    examples: Annotated[int | None, typer.Option("--examples", help="Own texts shown to the model.")] = None,
    system: options.System = None,
    threads: options.Threads = None,
    no_store: options.NoStore = False,
    diff: Annotated[bool, typer.Option("--diff", help="Show what changed, word by word.")] = False,
    show_candidates: Annotated[bool, typer.Option("--show-candidates", help="Print all versions.")] = False,
    no_server: Annotated[
        bool, typer.Option("--no-server", help="Load the models here, even where a server of this home runs.")
    ] = False,
    as_json: options.AsJson = False,
    **drawing: Any,
) -> None:
    """Say TEXT again the way this user would. Numbers, dates, names, links, code and negations stay.

    Draws N versions, judges each against the user's own texts of that kind, and prefers one that keeps every fact.
    """
    if keep not in ("words", "strict", "loose"):
        raise InvalidInput(f"--keep {keep} is not known", "choose words, strict or loose")
    given = _given(text, file, clipboard=clipboard)
    errand = Errand.of(
        user,
        drawing,
        deadline=deadline,
        mode=mode,
        memory=memory,
        model=model,
        reward=reward,
        threads=threads,
        policy_url=policy_url,
        no_server=no_server,
        notes=notes,
        keep=keep,
        n=n,
        select=select,
        seed=seed,
        kind=kind,
        adapter=adapter,
        examples=examples,
        system=system,
        store=not no_store,
    )
    with _counted() as count:
        made = attached.rewrite(user, errand.wish(text=given), count) if errand.for_server else None
        if made is None:
            with errand.here() as (runtime, how):
                made = runtime.rewrite(given, **how, on_event=count)
            made = made.model_copy(update={"generation": options.as_it_stays(made.generation, runtime)})
    if clipboard:
        copied(made.text)
    present(made, as_json=as_json, diff=diff, show_candidates=show_candidates)
    errand.leave(made.generation)


@contextmanager
def _counted() -> Iterator[Callable[[Event], None]]:
    """Yields what the request's events are to be given to: it counts the engine's steps on stderr."""
    steps = 0
    with progress("drawing versions", None, "steps") as advance:

        def count(event: Event) -> None:
            nonlocal steps
            steps += event.type == "progress"
            advance(steps)

        yield count


def _given(text: str | None, file: Path | None, *, clipboard: bool) -> str:
    if (file is not None) + clipboard + (text is not None) > 1:
        raise InvalidInput("there is more than one text", "give TEXT, --file or --clipboard")
    if clipboard:
        return pasted()
    if file is not None:
        return options.read_documents([file])[0]
    return options.read_prompt(text)


def present(made: Rewritten, *, as_json: bool, diff: bool, show_candidates: bool) -> None:
    """Prints a rewriting: the text on stdout, or all of it as JSON; what the user should know on stderr."""
    if as_json:
        emit_json(made.model_dump(mode="json"))
        return
    from edge_ttp.answer.facts import in_words

    for line in made.generation.notes:
        note(f"note: {line}")
    if show_candidates:
        print_candidates(made.generation)
        for number, check in enumerate(made.facts, 1):
            if not check.sound:
                note(f"version {number} {in_words(check)}")
    if diff:
        _print_changes(made)
    else:
        typer.echo(made.text)
    name = made.generation.generation_id
    if made.generation.stored and (show_candidates or sys.stderr.isatty()):
        note(f"generation {name}: edge-ttp feedback {name} --accept, or --edit with what you sent")


def _print_changes(made: Rewritten) -> None:
    from rich.text import Text

    out = console()
    line = Text()
    for one in made.changes:
        before, after = ("", "") if out.is_terminal and not out.no_color else _SIGNS[one.op]
        line.append(f"{before}{one.text}{after}", style=_STYLES[one.op])
    out.print(line)


def pasted() -> str:
    """The text on the clipboard. ExtraMissing without pyperclip, InvalidInput where there is no clipboard."""
    pyperclip = _pyperclip()
    try:
        text = str(pyperclip.paste())
    except (pyperclip.PyperclipException, OSError, UnicodeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InvalidInput(f"the clipboard cannot be read: {reason}", "pipe the text in instead") from error
    if not text.strip():
        raise InvalidInput("the clipboard holds no text", "copy some first")
    return text.replace("\r\n", "\n")


def copied(text: str) -> None:
    """Puts the text on the clipboard; where there is none, asks the terminal to (OSC 52), or says so."""
    from edge_ttp.cli.clipboard import copy

    pyperclip = _pyperclip()
    try:
        pyperclip.copy(text)
    except (pyperclip.PyperclipException, OSError):
        if not copy(text):
            note("note: the clipboard cannot be written")


def _pyperclip() -> Any:
    try:
        import pyperclip
    except ModuleNotFoundError as missing:
        cure = "install the extra: pip install 'edge-ttp[clipboard]'"
        raise ExtraMissing("--clipboard needs the package pyperclip", cure) from missing
    return pyperclip
