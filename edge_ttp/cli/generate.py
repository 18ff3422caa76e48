"""`edge-ttp generate`: one personalized answer, with everything that led to it on request."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_ttp.cli import clipboard, options
from edge_ttp.cli.drawing import with_drawing
from edge_ttp.cli.errand import Errand
from edge_ttp.cli.express import EMPTY
from edge_ttp.cli.leading import leading
from edge_ttp.cli.output import console, emit_json, harmless, note

if TYPE_CHECKING:
    from edge_ttp.schema import Generation

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)


@app.command()
@with_drawing
def generate(
    prompt: Annotated[
        str | None,
        typer.Argument(metavar="[PROMPT]", help="What to answer; what is piped in belongs to it, or is it."),
    ] = None,
    user: options.User = None,
    model: options.Model = None,
    adapter: options.Adapter = None,
    policy_url: options.PolicyUrl = None,
    reward: options.Reward = None,
    n: options.Count = None,
    deadline: options.Deadline = None,
    memory: options.Memory = None,
    mode: options.ModeName = None,
    select: options.Select = options.DEFAULT_RULE,
    seed: options.Seed = None,
    *,
    kind: options.Kind = None,
    examples: options.Examples = None,
    core: options.Core = 0,
    documents: options.Documents = None,
    system: options.System = None,
    threads: options.Threads = None,
    no_store: options.NoStore = False,
    show_candidates: Annotated[
        bool, typer.Option("--show-candidates", help="Print all candidates with their scores.")
    ] = False,
    copy: Annotated[
        bool, typer.Option("--copy", help="Copy the answer to the clipboard, through the terminal (OSC 52).")
    ] = False,
    no_server: Annotated[
        bool, typer.Option("--no-server", help="Load the models here, even where a server of this home runs.")
    ] = False,
    as_json: options.AsJson = False,
    **drawing: Any,
) -> None:
    """Answer PROMPT the way this user would: draw N candidates, judge each against their history, pick one.

    Prints the answer. Ctrl-C stops drawing and answers with the best candidate so far (exit code 130).
    Where `edge-ttp serve` runs, it answers: nothing is loaded, and Ctrl-C ends it without an answer.
    """
    text, context = options.read_prompt(prompt), options.read_documents(documents)
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
        n=n,
        select=select,
        seed=seed,
        kind=kind,
        adapter=adapter,
        examples=examples,
        core=core,
        system=system,
        context=context,
        store=not no_store,
    )
    generation = _from_server(errand, text) if errand.for_server else None
    if generation is None:
        with errand.here() as (runtime, how), leading() as hear:
            generation = options.as_it_stays(runtime.generate(text, **how, on_event=hear), runtime)
    present(generation, as_json=as_json, show_candidates=show_candidates)
    if copy:
        copied = clipboard.copy(generation.text)
        note("copied, if your terminal allows it" if copied else "not copied: no terminal is there, or it is too long")
    errand.leave(generation)


def _from_server(errand: Errand, text: str) -> Generation | None:
    """What a running server of this home answers; None where there is none that can."""
    from edge_ttp.cli import attached

    with leading() as hear:
        generation = attached.generate(errand.user, errand.wish(prompt=text), hear)
    if generation is not None and sys.stderr.isatty():
        note("answered by the running server; --no-server loads the models here")
    return generation


def present(generation: Generation, *, as_json: bool, show_candidates: bool, terse: bool = False) -> None:
    """Prints a generation: the text on stdout, or all of it as JSON; what the user should know on stderr.

    `terse` leaves out how the answer can be judged.
    """
    if as_json:
        emit_json(generation.model_dump(mode="json"))
        return
    for line in generation.notes:
        note(f"note: {line}")
    if show_candidates:
        print_candidates(generation)
    if not generation.text.strip():
        note(EMPTY)
    typer.echo(harmless(generation.text) if sys.stdout.isatty() else generation.text)
    if generation.stored and not terse and (show_candidates or sys.stderr.isatty()):
        note(f"generation {generation.generation_id}: edge-ttp feedback {generation.generation_id} --accept")


def print_candidates(generation: Generation) -> None:
    """Prints the table of candidates, the chosen one marked, with the reason and the plan under it."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("", "#", "candidate"):
        table.add_column(name, justify="right" if name == "#" else "left", overflow="fold")
    for name in ("mean ± sd", "score", "tokens", "logprob", "ended"):
        table.add_column(name, justify="right", no_wrap=True)
    for index, candidate in enumerate(generation.candidates):
        known = candidate.mean is not None and candidate.variance is not None
        table.add_row(
            ">" if index == generation.chosen else "",
            str(index + 1),
            Text(harmless(candidate.text)),
            f"{candidate.mean:.3f} ± {candidate.variance**0.5:.3f}" if known else "-",  # type: ignore[operator]
            f"{candidate.score:.3f}" if candidate.score is not None else "-",
            str(candidate.tokens),
            f"{candidate.logprob:.1f}" if candidate.made == "drawn" else "-",
            candidate.finish_reason if candidate.made == "drawn" else candidate.made,
            style="bold" if index == generation.chosen else "",
        )
    out = console()
    out.print(table)
    plan, timings = generation.plan, generation.timings
    out.print(Text(f"chosen: {generation.selection.reason}"))
    out.print(
        Text(
            f"plan: n={plan.n}, bound by {plan.bound_by.replace('_', ' ')}, {plan.examples} examples; "
            f"{timings.total_s:.2f} s ({timings.prefill_s:.2f} reading, {timings.decode_s:.2f} drawing, "
            f"{timings.score_s:.2f} scoring)"
        )
    )
