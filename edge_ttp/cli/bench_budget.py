"""`edge-ttp bench budget`: whether plans come true, on this device and on stored pools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from edge_ttp.cli import options
from edge_ttp.cli.output import emit_json, note, print_table, progress
from edge_ttp.errors import InvalidInput

PARTS = ("prediction", "deadlines", "memory", "adaptive")


def budget(
    model: options.Model = None,
    part: Annotated[
        list[str] | None, typer.Option("--part", metavar="|".join(PARTS), help="May be repeated. Default: all.")
    ] = None,
    pools: Annotated[
        list[str] | None,
        typer.Option("--pools", help="Rows of docs/diagnosis.md; those with texts are scored anew. Repeatable."),
    ] = None,
    history: Annotated[
        Path | None, typer.Option("--history", help="The users' items (JSON lines). Default: all are new to the model.")
    ] = None,
    reward: options.Reward = None,
    data: options.Data = None,
    calls: Annotated[int, typer.Option("--calls", min=1, help="Calls for each deadline and load.")] = 50,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Times each N and prompt length is predicted.")] = 1,
    deadline: Annotated[
        list[float] | None, typer.Option("--deadline", help="Seconds. May be repeated. Default: 0.5 1 2 5.")
    ] = None,
    users: Annotated[int, typer.Option("--prompts", min=1, help="Different prompts, of different users.")] = 10,
    threads: options.Threads = None,
    as_json: options.AsJson = False,
) -> None:
    """Predicted times, deadlines and memory limits by real runs; adaptive N against fixed N on stored pools.

    Takes about half an hour with everything at its default; the adaptive part needs --pools.
    """
    wanted = part or [name for name in PARTS if name != "adaptive" or pools]
    unknown = sorted(set(wanted) - set(PARTS))
    if unknown:
        raise InvalidInput(f"there is no part {unknown[0]!r}", f"choose {', '.join(PARTS)}")
    if "adaptive" in wanted and not pools:
        raise InvalidInput("the adaptive part needs scored pools", "give them with --pools")
    from edge_ttp.lab.bench import deadlines
    from edge_ttp.lab.bench.candidates import temporary_home
    from edge_ttp.lab.bench.tasks import chosen_tasks
    from edge_ttp.paths import locate
    from edge_ttp.runtime import Runtime

    measured: dict[str, Any] = {}
    tasks = chosen_tasks(options.data_folder(data), users)
    with temporary_home(locate()) as home, Runtime.open(home=home, model=model, threads=threads) as runtime:
        note("measuring this device")
        profile = runtime.profile()
        if set(wanted) - {"adaptive"}:
            deadlines.fill(runtime, tasks)
        if "prediction" in wanted:
            with progress("predicting", None, "calls") as advance:
                measured["prediction"] = deadlines.prediction(runtime, tasks, rounds=rounds, advance=advance)
        if "deadlines" in wanted:
            seconds = deadline or list(deadlines.DEADLINES_S)
            with progress("deadlines", None, "calls") as advance:
                measured["deadlines"] = deadlines.deadlines(
                    runtime, tasks, calls=calls, wanted=seconds, advance=advance
                )
        if "memory" in wanted:
            with progress("memory limits", len(deadlines.LIMITS_MB) * len(deadlines.LENGTHS), "limits") as advance:
                measured["memory"] = deadlines.memory(runtime, tasks, advance=advance)
    if "adaptive" in wanted:
        from edge_ttp.lab.bench.adaptive_n import study
        from edge_ttp.lab.bench.scored_pools import TUNE, Rescoring
        from edge_ttp.registry import DEFAULT_REWARD, Registry
        from edge_ttp.reward.model import RewardModel

        with progress("adaptive N on stored pools", None, "comparisons") as advance:
            folder = Registry(locate()).locate(reward or DEFAULT_REWARD, kind="reward").path
            rescoring = Rescoring(RewardModel.load(folder, threads=threads), history)
            measured["adaptive"] = study(pools or [], profile, advance=advance, tenths=TUNE, rescoring=rescoring)
    if as_json:
        emit_json(measured)
        return
    _print(measured)


def _print(measured: dict[str, Any]) -> None:
    if "prediction" in measured:
        told = measured["prediction"]
        groups = [("all", told["median_error"]), *told["by_state"].items()]
        groups += [(f"N={n}", error) for n, error in told["by_n"].items()]
        groups += [(f"{length} tokens", error) for length, error in told["by_prompt"].items()]
        print_table(("calls", "median error"), [(name, _percent(error)) for name, error in groups])
    if "deadlines" in measured:
        print_table(
            (
                "deadline",
                "load",
                "p95 over, ms",
                "allowed, ms",
                "time used",
                "N",
                "fewer examples",
                "empty",
                "too short",
            ),
            [
                (
                    f"{row['deadline_s']:g} s",
                    row["load"],
                    f"{1000 * row['p95_overshoot_s']:.0f}",
                    f"{1000 * row['allowed_s']:.0f}",
                    _percent(row["budget_used"]),
                    "-" if row["median_n"] is None else f"{row['median_n']:g}",
                    str(row["fewer_examples"]),
                    str(row["empty"]),
                    str(row["no_time_for_a_token"]),
                )
                for row in measured["deadlines"]
            ],
        )
    if "memory" in measured:
        print_table(
            ("limit, MB", "answer, tokens", "N", "bound by", "waves", "process, MB"),
            [
                (
                    str(row["limit_mb"]),
                    str(row["max_tokens"]),
                    str(row["n"]),
                    row["bound_by"],
                    str(row["waves"]),
                    f"{row['process_mb']:.0f}",
                )
                for row in measured["memory"]
            ],
        )
        for row in measured["memory"]:
            for line in row["notes"]:
                note(f"{row['limit_mb']} MB, {row['max_tokens']} tokens: {line}")
    if "adaptive" in measured:
        print_table(
            ("policy", "price", "seconds", "N", "gain over fixed", "90% interval", "oracle", "held out", "from saving"),
            [
                (
                    row["policy"],
                    row["mode"],
                    f"{row['mean_s']:.2f}",
                    f"{row['mean_n']:.1f}",
                    f"{row['gain_over_best_fixed']:+.4f}",
                    f"{row['low']:+.4f} to {row['high']:+.4f}",
                    f"{row['oracle_gain']:+.4f}",
                    f"{row['oracle_gain_held_out']:+.4f}",
                    _percent(row["saved_part"]),
                )
                for row in measured["adaptive"]
            ],
        )


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"
