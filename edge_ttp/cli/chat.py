"""`edge-ttp chat`: one line after another in the same conversation."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_ttp.cli import options
from edge_ttp.cli.drawing import with_drawing
from edge_ttp.cli.generate import present, print_candidates
from edge_ttp.cli.output import note
from edge_ttp.errors import EdgeTTPError, InvalidInput

if TYPE_CHECKING:
    from edge_ttp.runtime import Runtime
    from edge_ttp.schema import Generation

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)

_HELP = """\
/accept          the last answer is what I would have written
/reject          the last answer is of no use
/edit TEXT       it should have been TEXT
/prefer K        candidate K is better
/candidates      all candidates of the last answer
/new             forget this conversation (the history stays)
/quit            leave; so does the end of input"""

TURNS = 6
"""Earlier exchanges that a prompt carries."""


@app.command()
@with_drawing
def chat(
    user: options.User = None,
    model: options.Model = None,
    reward: options.Reward = None,
    n: options.Count = None,
    deadline: options.Deadline = None,
    mode: options.ModeName = None,
    select: options.Select = options.DEFAULT_RULE,
    seed: options.Seed = None,
    *,
    drawing: dict[str, Any],
    kind: options.Kind = None,
    threads: options.Threads = None,
    no_store: options.NoStore = False,
    show_candidates: Annotated[bool, typer.Option("--show-candidates", help="Print all candidates.")] = False,
) -> None:
    """Answer line after line the way this user would. /help lists what can be said about an answer."""
    from edge_ttp.runtime import Runtime
    from edge_ttp.schema import Budget, Sampling

    budget = Budget.model_validate(options.given(deadline_s=deadline, mode=mode))
    sampling = Sampling.model_validate(drawing)
    last: Generation | None = None
    turns: list[tuple[str, str]] = []
    opening = ""  # the conversation's first line: its examples stay, so that a prompt is read on, not anew
    with Runtime.open(model=model, reward=reward, threads=threads) as runtime:
        runtime.warm(rule=select)  # type: ignore[arg-type]  # as below
        if sys.stdin.isatty():
            note("/help lists what can be said about an answer; /quit leaves")
        while (line := _read_line()) is not None:
            if not line.strip():
                continue
            if line.startswith("/"):
                if line.strip() in ("/quit", "/exit"):
                    return
                if line.strip() == "/new":
                    turns, opening = [], ""
                _command(runtime, last, line)
                continue
            try:
                with options.interruptible() as cancel:
                    last = runtime.generate(
                        line,
                        user=user,
                        n=n,
                        budget=budget,
                        select=select,  # type: ignore[arg-type]  # checked by the runtime, against the same list
                        sampling=sampling,
                        seed=seed,
                        kind=kind,
                        recall_for=opening or line,
                        turns=turns[-TURNS:],
                        store=not no_store,
                        cancel=cancel,
                    )
            except EdgeTTPError as error:  # one request failed; the conversation goes on
                note(f"edge-ttp: {error}")
                continue
            present(last, as_json=False, show_candidates=show_candidates)
            turns.append((line, last.text))
            opening = opening or line


def _read_line() -> str | None:
    """The next line of standard input without its end; None at the end of input."""
    if sys.stdin.isatty():
        sys.stderr.write("> ")
        sys.stderr.flush()
    try:
        line = sys.stdin.readline()
    except UnicodeDecodeError as wrong:
        raise InvalidInput("standard input is not UTF-8 text", "convert it: iconv -t UTF-8") from wrong
    return line.rstrip("\n") if line else None


def _command(runtime: Runtime, last: Generation | None, line: str) -> None:
    """Carries out a line that begins with a slash; what is wrong with it is said, and the conversation goes on."""
    word, _, rest = line.strip().partition(" ")
    if word in ("/help", "/new"):
        note(_HELP if word == "/help" else "a new conversation")
        return
    if word not in ("/accept", "/reject", "/edit", "/prefer", "/candidates"):
        note(f"{word} is not known; /help lists what is")
        return
    if last is None:
        note("nothing was answered yet")
        return
    if word == "/candidates":
        print_candidates(last)
        return
    if not last.stored:
        note("the last answer was not stored, so nothing can be noted about it")
        return
    candidate = None
    if word == "/prefer":
        if not rest.strip().isdecimal() or not 1 <= int(rest) <= last.n:
            note(f"/prefer needs the number of a candidate, 1 to {last.n}")
            return
        candidate = int(rest) - 1
    try:
        runtime.feedback(
            last.generation_id,
            word[1:],  # type: ignore[arg-type]  # one of the four kinds, checked above
            candidate=candidate,
            text=rest if word == "/edit" else None,
        )
        note("noted")
    except EdgeTTPError as error:
        note(f"edge-ttp: {error}")
