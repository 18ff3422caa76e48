"""`edge-ttp chat`: one message after another in the same conversation, and what is said of the answers in between."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_ttp.cli import options
from edge_ttp.cli.drawing import sampling_of, with_drawing
from edge_ttp.cli.generate import present, print_candidates
from edge_ttp.cli.leading import leading
from edge_ttp.cli.output import note
from edge_ttp.errors import EdgeTTPError

if TYPE_CHECKING:
    from edge_ttp.cli.chat_input import Read
    from edge_ttp.runtime import Runtime
    from edge_ttp.runtime.conversation import Conversation
    from edge_ttp.schema import Generation

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)

_HELP = """\
/accept          the last answer is what I would have written
/reject          the last answer is of no use
/edit [TEXT]     it should have been TEXT; without a text, your editor opens with the answer
/prefer K        candidate K is better
/retract         take back what was said of the last answer
/copy            copy the last answer to the clipboard
/candidates      all candidates of the last answer
/new             forget this conversation (the history stays)
/quit            leave; so does the end of input (Ctrl-D)
//TEXT           a message that begins with a slash
Enter sends, Alt-Enter begins a new line, Ctrl-X Ctrl-E opens your editor; arrows recall what was typed before"""

_JUDGMENTS = ("/accept", "/reject", "/edit", "/prefer")
_COMMANDS = (*_JUDGMENTS, "/retract", "/copy", "/candidates", "/new", "/quit", "/exit", "/help")


@app.command()
@with_drawing
def chat(
    user: options.User = None,
    model: options.Model = None,
    adapter: options.Adapter = None,
    policy_url: options.PolicyUrl = None,
    reward: options.Reward = None,
    n: options.Count = None,
    deadline: options.Deadline = None,
    mode: options.ModeName = None,
    select: options.Select = options.DEFAULT_RULE,
    seed: options.Seed = None,
    *,
    kind: options.Kind = None,
    documents: options.Documents = None,
    system: options.System = None,
    threads: options.Threads = None,
    no_store: options.NoStore = False,
    show_candidates: Annotated[bool, typer.Option("--show-candidates", help="Print all candidates.")] = False,
    **drawing: Any,
) -> None:
    """Answer message after message the way this user would. /help lists what can be said about an answer."""
    from edge_ttp.runtime import Runtime
    from edge_ttp.schema import Budget

    budget = Budget.model_validate(options.given(deadline_s=deadline, mode=mode))
    sampling = sampling_of(drawing)
    context = options.read_documents(documents)
    with Runtime.open(model=model, reward=reward, threads=threads, policy_url=policy_url) as runtime:
        runtime.warm(rule=select)  # type: ignore[arg-type]  # checked by the runtime, against the same list
        talk = runtime.conversation(
            user=user,
            n=n,
            budget=budget,
            select=select,  # type: ignore[arg-type]  # as above
            sampling=sampling,
            seed=seed,
            kind=kind,
            adapter=adapter,
            system=system,
            context=context,
            store=not no_store,
        )
        read = _reader(runtime, user, keep=not no_store)
        if sys.stdin.isatty():
            note("/help lists what can be said about an answer; /quit leaves")
        while (line := read()) is not None:
            if not line.strip():
                continue
            if line.startswith("/") and not line.startswith("//"):
                if line.strip() in ("/quit", "/exit"):
                    return
                _command(runtime, talk, line)
                continue
            message = line.removeprefix("/")
            try:
                with options.interruptible() as cancel, leading() as hear:
                    answer = talk.generate(message, cancel=cancel, on_event=hear)
            except EdgeTTPError as error:  # one request failed; the conversation goes on
                note(f"edge-ttp: {error}")
                continue
            present(answer, as_json=False, show_candidates=show_candidates, terse=True)


def _reader(runtime: Runtime, user: str | None, *, keep: bool) -> Read:
    """What reads messages; with `keep`, what is typed can be called back another time."""
    from edge_ttp.cli.chat_input import reader
    from edge_ttp.history.user import default_user, valid_user

    typed = None
    if keep and not runtime.history.read_only:
        typed = runtime.history.typed_lines(default_user(runtime.paths) if user is None else valid_user(user))
    return reader(typed, _COMMANDS)


def _command(runtime: Runtime, talk: Conversation, line: str) -> None:
    """Carries out a line that begins with a slash; what is wrong with it is said, and the conversation goes on."""
    word, _, rest = line.strip().partition(" ")
    if word == "/help":
        note(_HELP)
        return
    if word == "/new":
        talk.begin_anew()
        note("a new conversation")
        return
    if word not in _COMMANDS:
        note(f"{word} is not known; /help lists what is, and //{word[1:]} sends it as a message")
        return
    last = talk.last
    if last is None:
        note("nothing was answered yet")
        return
    if word == "/candidates":
        print_candidates(last)
        return
    try:
        if word == "/copy":
            _copy(runtime, last)
        elif not last.stored:
            note("the last answer was not stored, so nothing can be noted about it")
        elif word == "/retract":
            gone = runtime.retract(last.generation_id)
            note(f"taken back: {', '.join(one.kind for one in gone)}")
        else:
            _judge(runtime, talk, word, rest)
    except EdgeTTPError as error:
        note(f"edge-ttp: {error}")


def _judge(runtime: Runtime, talk: Conversation, word: str, rest: str) -> None:
    last = talk.last
    assert last is not None
    candidate = None
    if word == "/prefer":
        if not rest.strip().isdecimal() or not 1 <= int(rest) <= last.n:
            note(f"/prefer needs the number of a candidate, 1 to {last.n}")
            return
        candidate = int(rest) - 1
    if word == "/edit":
        text: str | None = rest
        if not rest.strip() and sys.stdin.isatty():
            from edge_ttp.cli.editor import edit

            text = edit(last.text)
            if text is None:
                note("left as it was; nothing is noted")
                return
        talk.sent(text)  # the conversation goes on with it
    else:
        runtime.feedback(
            last.generation_id,
            word[1:],  # type: ignore[arg-type]  # one of the four kinds, checked by the caller
            candidate=candidate,
        )
    note("noted")


def _copy(runtime: Runtime, last: Generation) -> None:
    from edge_ttp.cli.clipboard import copy

    if not copy(last.text):
        note("not copied: no terminal is there to take it, or the answer is too long for it")
        return
    if last.stored:
        runtime.feedback(last.generation_id, "copied")
    note("copied, if your terminal allows it (OSC 52)")
