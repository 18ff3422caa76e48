"""`edge-ttp plan`: how a request would be answered here and now, and why, without answering it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_ttp.cli import options
from edge_ttp.cli.drawing import with_drawing
from edge_ttp.cli.output import emit_json, note, print_table

if TYPE_CHECKING:
    from edge_ttp.answer.explain import Explanation

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)


@app.command()
@with_drawing
def plan(
    prompt: Annotated[
        str | None, typer.Argument(metavar="[PROMPT]", help="Default: one like the user's newest item.")
    ] = None,
    user: options.User = None,
    model: options.Model = None,
    reward: options.Reward = None,
    deadline: options.Deadline = None,
    memory: options.Memory = None,
    mode: options.ModeName = None,
    energy: Annotated[
        str | None, typer.Option("--energy", metavar="mains|battery|saver", help="Default: what the device runs on.")
    ] = None,
    most: Annotated[int | None, typer.Option("--max-candidates", help="Upper limit on the candidates.")] = None,
    select: options.Select = options.DEFAULT_RULE,
    *,
    drawing: dict[str, Any],
    kind: options.Kind = None,
    examples: options.Examples = None,
    threads: options.Threads = None,
    as_json: options.AsJson = False,
) -> None:
    """Explain how many candidates a request would get: expected gain and time by N, and which limit bound it."""
    from edge_ttp.runtime import Runtime
    from edge_ttp.schema import Budget, Sampling

    budget = Budget.model_validate(
        options.given(deadline_s=deadline, mode=mode, memory_bytes=memory, energy=energy, max_candidates=most)
    )
    with Runtime.open(model=model, reward=reward, threads=threads, memory_bytes=memory) as runtime:
        found = runtime.plan(
            None if prompt is None else options.read_prompt(prompt),
            user=user,
            budget=budget,
            select=select,  # type: ignore[arg-type]  # checked by the runtime, against the same list
            sampling=Sampling.model_validate(drawing),
            kind=kind,
            examples=examples,
        )
    if as_json:
        emit_json(found.as_dict())
        return
    _print(found)


def _print(found: Explanation) -> None:

    plan, record = found.plan, found.calibration
    expected = "" if plan.expected_s is None else f", about {plan.expected_s:.2f} s"
    typer.echo(
        f"{plan.n} candidate{'s' if plan.n != 1 else ''} of at most {plan.max_tokens} tokens behind {plan.examples} "
        f"examples ({plan.prompt_tokens} prompt tokens){expected}; bound by {plan.bound_by.replace('_', ' ')}"
    )
    print_table(
        ("N", "expected gain", "seconds", "gain - price"),
        [
            (
                f"{point.n}{' *' if point.n == plan.n else ''}",
                f"{point.gain:+.4f}",
                "-" if point.seconds is None else f"{point.seconds:.2f}",
                "-" if point.value is None else f"{point.value:+.4f}",
            )
            for point in found.curve
        ],
    )
    limits = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in found.limits.items())
    typer.echo(f"limits on N: {limits}")
    known = f"{record.queries} judged queries" if record.queries else "no evidence yet: the population's"
    typer.echo(f"user: rho {record.rho:.2f} ± {record.rho_sd:.2f}, spread {record.spread:.3f} ({known})")
    threads = (
        "" if found.threads is None else f", threads {found.threads[0]} for the prompt and {found.threads[1]} after"
    )
    typer.echo(
        f"a second costs {found.price:.4f} of utility on {found.energy}{', hot' if found.hot else ''}; "
        f"{found.free_cores} free cores{threads}"
    )
    for line in found.notes:
        note(f"note: {line}")
