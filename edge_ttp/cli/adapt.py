"""`edge-ttp adapt`: learning one user from their own past texts."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from edge_ttp.cli import options
from edge_ttp.cli.output import emit_json, note, parse_duration, progress

if TYPE_CHECKING:
    from edge_ttp.learning.improvement import Improvement
    from edge_ttp.learning.self_calibration import Adapted

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)

_WHY = {
    "everything": "every past text was used",
    "learned": "the last texts taught too little",
    "time": "the time was over",
    "cancelled": "interrupted",
}


@app.command()
def adapt(
    user: options.User = None,
    time: Annotated[
        float | None,
        typer.Option(
            "--for", parser=parse_duration, metavar="TIME", help="At most so long: 5m, 1h. Default: no limit."
        ),
    ] = None,
    while_idle: Annotated[
        bool, typer.Option("--while-idle", help="Wait while the device is busy or runs on battery.")
    ] = False,
    model: options.Model = None,
    policy_url: options.PolicyUrl = None,
    reward: options.Reward = None,
    threads: options.Threads = None,
    as_json: options.AsJson = False,
) -> None:
    """Let the policy answer the user's past inputs, and learn from what they really wrote.

    May be interrupted at any moment and run again: it goes on where it was. Answers to people go first.
    """
    from edge_ttp.runtime import Runtime

    with (
        options.interruptible() as cancel,
        Runtime.open(model=model, reward=reward, threads=threads, policy_url=policy_url) as runtime,
        progress("learning", None, "texts") as advance,
    ):
        adapted = runtime.adapt(
            user,
            for_s=time,
            while_idle=while_idle,
            cancel=cancel,
            on_progress=lambda at: advance(at.calibrated + at.renewed),
        )
    if as_json:
        emit_json(_as_dict(adapted))
        return
    record = adapted.learned.record
    typer.echo(
        f"{adapted.calibrated} texts of {adapted.user} used in {adapted.seconds:.0f} s, {adapted.left} left; "
        f"{_WHY[adapted.stopped]}"
    )
    typer.echo(in_words(adapted.improvement))
    typer.echo(
        f"in numbers: evidence {adapted.learned.evidence}, trust {adapted.learned.trust:.2f}; scores correlate "
        f"{record.rho:.2f} (sd {record.rho_sd:.2f}) with utilities that spread by {record.spread:.3f}"
    )
    if adapted.renewed:
        note(f"{adapted.renewed} earlier judgments were looked at again: the reward model is another one")
    if adapted.passed_over:
        note(f"{adapted.passed_over} texts are too long for this policy")


def in_words(improvement: Improvement) -> str:
    """Did it get better, by how much, how sure."""
    from edge_ttp.learning.improvement import LEAST_TEXTS, SURE

    if not improvement.known:
        texts = f"{improvement.texts} of your texts" if improvement.texts != 1 else "1 of your texts"
        return f"Whether answers got better is unknown yet: {texts} could be compared, {LEAST_TEXTS} are needed."
    more = improvement.after - improvement.before
    compared = (
        f"on {improvement.texts} of your own texts, each judged without having been learned from, what is chosen now "
        f"agrees {improvement.after:.1%} with what you wrote, before {improvement.before:.1%}, a random candidate "
        f"{improvement.random:.1%}"
    )
    if improvement.sure >= SURE:
        return f"Answers got better, by {more:.1%} ({improvement.sure:.0%} sure): {compared}."
    if improvement.sure <= 1 - SURE:
        return (
            f"Answers got worse, by {-more:.1%} ({1 - improvement.sure:.0%} sure), so little is made of it: {compared}."
        )
    return f"No difference can be told yet ({improvement.sure:.0%} sure that answers got better): {compared}."


def _as_dict(adapted: Adapted) -> dict[str, object]:
    return {
        "user": adapted.user,
        "calibrated": adapted.calibrated,
        "renewed": adapted.renewed,
        "passed_over": adapted.passed_over,
        "left": adapted.left,
        "yielded": adapted.yielded,
        "stopped": adapted.stopped,
        "seconds": adapted.seconds,
        "evidence": adapted.learned.evidence,
        "trust": adapted.learned.trust,
        "version": adapted.learned.version,
        "record": asdict(adapted.learned.record),
        "improvement": {**asdict(adapted.improvement), "known": adapted.improvement.known},
    }
