"""`edge-ttp bench rivals`: time to N choices against other programs on the same file, and what clients rely on."""

from __future__ import annotations

from contextlib import ExitStack
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from edge_ttp.cli import options
from edge_ttp.cli.output import emit_json, note, print_table, progress
from edge_ttp.errors import Cancelled, ExtraMissing, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edge_ttp.lab.bench.behaviours import Seen
    from edge_ttp.lab.bench.rivals import Ground, Rival, RivalSpeed, Situation

_MARKS = {True: "yes", False: "no", None: "-"}


def rivals(
    n: Annotated[list[int] | None, typer.Option("--n", help="Choices; may be repeated. Default: 1 8.")] = None,
    tokens: Annotated[int, typer.Option("--tokens", min=1, max=2048, help="Of each choice.")] = 48,
    prompts: Annotated[int, typer.Option("--prompts", min=1, help="Prompts to take the medians over.")] = 4,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="How often each is asked.")] = 3,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="NAME", help="These rivals alone; may be repeated.")
    ] = None,
    situation: Annotated[
        list[str] | None,
        typer.Option(
            "--situation", metavar="NAME", help="new, again, second, turns; may be repeated. Default: new again."
        ),
    ] = None,
    behaviours: Annotated[
        bool, typer.Option("--behaviours/--no-behaviours", help="Also try what clients rely on, server by server.")
    ] = True,
    speed: Annotated[bool, typer.Option("--speed/--no-speed", help="Measure times.")] = True,
    model: options.Model = None,
    data: options.Data = None,
    threads: options.Threads = None,
    as_json: options.AsJson = False,
) -> None:
    """Time to N choices against other programs on the same GGUF file, and twenty behaviours that clients rely on.

    All are started here and asked in turns, the others stopped meanwhile; the servers may not draw the end token, so
    that their choices have the same length. Situations: a new prompt; the same again; a user's second request, in which
    ours puts a core of texts first and the others nothing but recalled ones; several prompts by turns for the second
    time. A rival whose package is missing is left out and named. Nothing is stored.
    """
    from edge_ttp.lab.bench.rivals import SITUATIONS
    from edge_ttp.lab.bench.tasks import chosen_tasks

    situations = list(dict.fromkeys(situation or ["new", "again"]))
    unknown = [name for name in situations if name not in SITUATIONS]
    if unknown:
        raise InvalidInput(f"no situation is called {unknown[0]!r}", f"choose from {', '.join(SITUATIONS)}")

    counts = n or [1, 8]
    if min(counts) < 1 or max(counts) > 64:
        raise InvalidInput(f"n={counts} is out of range", "choose each from 1 to 64")
    ground = ground_of(model, threads, tokens, max(_FEWEST_SLOTS, *counts))
    tasks = chosen_tasks(options.data_folder(data), prompts)
    wanted = _wanted(only)
    rows: list[RivalSpeed] = []
    seen: dict[str, list[Seen]] = {}
    with options.interruptible() as cancel:
        if speed:
            from edge_ttp.lab.bench.rivals import speeds

            with ExitStack() as open_now:
                met = _opened(open_now, wanted, ground)
                total = len(met) * len(counts) * rounds * len(tasks) * len(situations)
                groups = [f"{name}, n={count}" for name in situations for count in counts]
                bar = open_now.enter_context(progress("measuring", total, "requests"))
                advance = _noting(bar, groups, total)
                rows = speeds(
                    met,
                    tasks,
                    counts,
                    situations=cast("list[Situation]", situations),
                    tokens=tokens,
                    rounds=rounds,
                    advance=advance,
                    cancel=cancel,
                )
        if behaviours and not cancel.is_set():
            seen = _observed(wanted, ground)
    if not rows and not seen:
        raise Cancelled("interrupted before anything was measured")
    if as_json:
        told = {name: [one.as_dict() for one in found] for name, found in seen.items()}
        emit_json({"rows": [row.as_dict() for row in rows], "behaviours": told, "ground": _shown(ground)})
        return
    _print_speeds(rows)
    _print_behaviours(seen)
    note(f"{ground.model}, {ground.threads} threads, {tokens} tokens a choice, {rounds} x {len(tasks)} prompts")


_FEWEST_SLOTS = 8
"""Choices that the behaviours ask for."""


def ground_of(model: str | None, threads: int | None, tokens: int, most: int) -> Ground:
    """What everything runs on. Raises NotFound, and InvalidInput for a model that is none of the store."""
    from edge_ttp.budget.device import cores
    from edge_ttp.lab.bench.rival_servers import end_token
    from edge_ttp.lab.bench.rivals import Ground
    from edge_ttp.paths import locate
    from edge_ttp.registry import DEFAULT_POLICY, Registry

    found = Registry(locate()).locate(model or DEFAULT_POLICY, kind="policy")
    if found.manifest is None:
        raise InvalidInput(f"{model!r} is no model of the store", "add it: edge-ttp models add FILE")
    context = min(found.context or 4096, 2048 + tokens)
    return Ground(found.name, found.path, threads or cores(), context, most, end_token(found.path))


def _wanted(only: Sequence[str] | None) -> dict[str, Any]:
    from edge_ttp.lab.bench.contestants import CONTESTANTS

    unknown = [name for name in only or [] if name not in CONTESTANTS]
    if unknown:
        raise InvalidInput(f"no rival is called {unknown[0]!r}", f"choose from {', '.join(CONTESTANTS)}")
    # Ours is always there: it is what the others are held against.
    return {name: one for name, one in CONTESTANTS.items() if only is None or one.ours or name in only}


def _noting(bar: Callable[[float], None], groups: Sequence[str], total: int) -> Callable[[float], None]:
    """Moves the bar, and says on stderr what was measured and how long the rest will take: servers take minutes."""
    began, each = monotonic(), total // len(groups)

    def advance(done: float) -> None:
        bar(done)
        if done % each == 0:
            left = (monotonic() - began) / done * (total - done)
            note(f"{groups[int(done // each) - 1]}: measured; about {left:.0f} s left")

    return advance


def _opened(open_now: ExitStack, wanted: dict[str, Any], ground: Ground) -> list[Rival]:
    """The rivals that could be started; the first one is ours. The others are named on stderr with the reason."""
    met: list[Rival] = []
    for name, one in wanted.items():
        try:
            met.append(open_now.enter_context(one.open(ground)))
            note(f"{name} is up")
        except ExtraMissing as missing:
            if one.ours:
                raise
            note(f"{name} is left out: {missing}")
    return met


def _observed(wanted: dict[str, Any], ground: Ground) -> dict[str, list[Seen]]:
    """What clients rely on, for every rival that is a server. Each is started anew, since the last check ends it."""
    from edge_ttp.lab.bench.behaviours import CHECKS, observe

    servers = {name: one.serve for name, one in wanted.items() if one.serve is not None}
    found: dict[str, list[Seen]] = {}
    with progress("trying behaviours", len(servers) * len(CHECKS), "checks") as advance:
        for place, (name, serve) in enumerate(servers.items()):
            try:
                with serve(ground) as served:
                    found[name] = observe(served, _from(advance, place * len(CHECKS)))
            except ExtraMissing as missing:
                note(f"{name} is left out: {missing}")
    return found


def _from(advance: Callable[[float], None], before: int) -> Callable[[float], None]:
    return lambda done: advance(before + done)


def _shown(ground: Ground) -> dict[str, Any]:
    from dataclasses import asdict

    return {**asdict(ground), "path": ground.path.name}


def _print_speeds(rows: list[RivalSpeed]) -> None:
    if rows:
        print_table(
            (
                "rival",
                "version",
                "asked by",
                "situation",
                "n",
                "seconds",
                "tokens",
                "different",
                "tokens/s",
                "x edge-ttp",
            ),
            [
                (
                    row.name,
                    row.version,
                    row.way,
                    row.situation,
                    str(row.n),
                    f"{row.seconds:.2f}",
                    f"{row.tokens:g}",
                    f"{row.choices:g}",
                    f"{row.rate:.0f}",
                    f"{row.slower:.2f}",
                )
                for row in rows
            ],
        )


def _print_behaviours(seen: dict[str, list[Seen]]) -> None:
    if not seen:
        return
    rows = zip(*seen.values(), strict=True)
    lines = [(f"{row[0].number} {row[0].behaviour}", *(_MARKS[one.kept] for one in row)) for row in rows]
    print_table(("behaviour", *seen), lines)
    for name, found in seen.items():
        for one in found:
            if one.kept is not True:
                note(f"{name}: {one.number} {one.behaviour}: {one.said}")
