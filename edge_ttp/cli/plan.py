"""`edge-ttp plan`: how a request would be answered here and now, and why, without answering it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_ttp.cli import options
from edge_ttp.cli.drawing import sampling_of, with_drawing
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
    kind: options.Kind = None,
    examples: options.Examples = None,
    threads: options.Threads = None,
    as_json: options.AsJson = False,
    **drawing: Any,
) -> None:
    """Explain how many candidates a request would get: expected gain and time by N, and which limit bound it."""
    from edge_ttp.runtime import Runtime
    from edge_ttp.schema import Budget

    budget = Budget.model_validate(
        options.given(deadline_s=deadline, mode=mode, memory_bytes=memory, energy=energy, max_candidates=most)
    )
    with Runtime.open(model=model, reward=reward, threads=threads, memory_bytes=memory) as runtime:
        explanation = runtime.plan(
            None if prompt is None else options.read_prompt(prompt),
            user=user,
            budget=budget,
            select=select,  # type: ignore[arg-type]  # checked by the runtime, against the same list
            sampling=sampling_of(drawing),
            kind=kind,
            examples=examples,
        )
    if as_json:
        emit_json(explanation.as_dict())
        return
    _print(explanation)


_WHY = {
    "requested": "as many as were asked for",
    "value": "one more would not be worth the wait",
    "trust": "this user's scores do not tell good candidates from bad ones yet, so more would not be chosen better",
    "max_candidates": "the most that was allowed",
    "deadline": "the deadline leaves no time for more",
    "memory": "the memory holds no more at once",
    "no_reward": "nothing judges them, so more would not be chosen better",
}


def in_words(explanation: Explanation) -> list[str]:
    """What the plan means, before any number: how many, how long, why not more, and what is known of the user."""
    plan, record = explanation.plan, explanation.calibration
    many = "one candidate" if plan.n == 1 else f"{plan.n} candidates, and choose among them"
    time = "" if plan.expected_s is None else f", in about {_duration(plan.expected_s)}"
    said = [f"This would draw {many}{time}: {_WHY.get(plan.bound_by, plan.bound_by.replace('_', ' '))}."]
    if not plan.examples:
        said.append("No text of this user stands in the prompt: the answer will not sound like them.")
    else:
        texts = "text of this user stands" if plan.examples == 1 else "texts of this user stand"
        said.append(f"{plan.examples} {texts} in the prompt, for the model to imitate.")
    if not record.queries:
        said.append("How well this user's candidates are judged is unknown yet: the average user's record holds.")
    elif not record.trusted:
        said.append("For this user the judge may point the wrong way; `edge-ttp adapt` learns from their texts.")
    if explanation.price:
        energy = explanation.energy
        dearer = "" if energy == "mains" else f" (a second is dearer on {energy})"
        said.append(
            f"Ten more seconds would have to make the answer agree {10 * explanation.price:.1%} better with what this "
            f"user would write{dearer}."
        )
    return said


def _duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else f"{seconds / 60:.1f} min"


def _print(explanation: Explanation) -> None:

    plan, record = explanation.plan, explanation.calibration
    for line in in_words(explanation):
        typer.echo(line)
    expected = "" if plan.expected_s is None else f", about {plan.expected_s:.2f} s"
    typer.echo(
        f"in numbers: {plan.n} candidate{'s' if plan.n != 1 else ''} of at most {plan.max_tokens} tokens behind "
        f"{plan.examples} examples ({plan.prompt_tokens} prompt tokens){expected}; "
        f"bound by {plan.bound_by.replace('_', ' ')}"
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
            for point in explanation.curve
        ],
    )
    limits = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in explanation.limits.items())
    typer.echo(f"limits on N: {limits}")
    known = f"{record.queries} judged queries" if record.queries else "no evidence yet: the population's"
    typer.echo(f"user: rho {record.rho:.2f} ± {record.rho_sd:.2f}, spread {record.spread:.3f} ({known})")
    threads = (
        ""
        if explanation.threads is None
        else f", threads {explanation.threads[0]} for the prompt and {explanation.threads[1]} after"
    )
    typer.echo(
        f"a second costs {explanation.price:.4f} of utility on {explanation.energy}"
        f"{', hot' if explanation.hot else ''}; {explanation.free_cores} free cores{threads}"
    )
    for line in explanation.notes:
        note(f"note: {line}")
