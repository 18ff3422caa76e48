"""`edge-ttp device`: what this machine has to give, and what requests cost on it."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import psutil
import typer

from edge_ttp.cli import options
from edge_ttp.cli.output import emit_json, note, print_table, progress

if TYPE_CHECKING:
    from edge_ttp.budget.device_profile import Profile

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False, help=__doc__
)

_GIB = 2**30


@app.command()
def show(as_json: options.AsJson = False) -> None:
    """Cores, load by others, memory, power, heat and GPUs now, and the profiles that are kept."""
    from edge_ttp.budget import device
    from edge_ttp.budget.device_profile import Profiles
    from edge_ttp.paths import locate

    machine = device.inspect()
    store = Profiles(locate().measured_costs)
    profiles = {key: profile for key in store.keys() if (profile := store.load(key)) is not None}  # noqa: SIM118
    if as_json:
        emit_json({"device": asdict(machine), "profiles": {key: facts(one) for key, one in profiles.items()}})
        return
    busy = "unknown" if machine.load_by_others is None else f"{machine.load_by_others:.1f}"
    lines = [
        ("cores", f"{machine.cores}, kept busy by others: {busy}"),
        ("memory", f"{machine.memory_available / _GIB:.1f} of {machine.memory_total / _GIB:.1f} GiB free"),
        ("power", machine.energy + ("" if machine.battery_percent is None else f", {machine.battery_percent:.0f}%")),
        ("heat", _heat(machine.temperature_c, machine.hot)),
    ]
    lines += [
        ("GPU", f"{one.name}: {one.memory_free / _GIB:.1f} of {one.memory_total / _GIB:.1f} GiB free")
        for one in machine.gpus
    ]
    for name, value in lines:
        typer.echo(f"{name:8} {value}")
    for key, profile in profiles.items():
        typer.echo("")
        typer.echo(key)
        _print_profile(profile)
    if not profiles:
        note("nothing was measured yet: edge-ttp device profile")


@app.command()
def profile(
    model: options.Model = None,
    threads: options.Threads = None,
    background: Annotated[
        bool, typer.Option("--background", help="Return at once; a process of low priority measures.")
    ] = False,
    as_json: options.AsJson = False,
) -> None:
    """Measure what a policy costs on this device: under a minute for a small model. Requests keep it up to date."""
    if background:
        started = _in_background([f"--model={model}"] * bool(model) + [f"--threads={threads}"] * bool(threads))
        if as_json:
            emit_json({"started": started})
        else:
            note(f"measuring in the background (process {started}); see edge-ttp device show")
        return
    from edge_ttp.runtime import Runtime

    with (
        Runtime.open(model=model, threads=threads) as runtime,
        progress("measuring", None, "thread counts") as advance,
    ):
        measured = runtime.profile(advance=advance)
    if as_json:
        emit_json(facts(measured))
        return
    _print_profile(measured)


def _in_background(arguments: list[str]) -> int:
    """Starts this command in a process of its own that outlives this one, and returns its number."""
    command = [sys.executable, "-m", "edge_ttp", "device", "profile", *arguments]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True)
    with suppress(OSError, psutil.Error):
        psutil.Process(process.pid).nice(10 if sys.platform != "win32" else psutil.BELOW_NORMAL_PRIORITY_CLASS)
    return process.pid


def facts(profile: Profile) -> dict[str, Any]:
    """A profile in words and round units, for JSON."""
    import numpy as np

    from edge_ttp.budget.cost import KNOTS

    most = max(profile.speeds)
    reading, drawing = profile.threads(most)
    return {
        "threads": {
            str(threads): {
                "prompt_tps": 256 / speed.prefill_s(256),
                "step_s": {str(rows): float(speed.rows_s(np.array([float(rows)]))[0]) for rows in KNOTS},
                "row_s_per_1000_cached": 1000 * speed.cell_s,
            }
            for threads, speed in sorted(profile.speeds.items())
        },
        "best_threads": {"prefill": reading, "decode": drawing},
        "score_s": {"each_time": profile.score_parts[0], "each_candidate": profile.score_parts[1]},
        "recall_s": profile.before_s,
        "record_s": profile.after_s,
        "load_s": profile.load_s,
        "bytes_per_candidate": profile.sequence_bytes,
        "calls": profile.calls,
        "measured_at": profile.measured_at,
    }


def _print_profile(profile: Profile) -> None:

    told = facts(profile)
    widths = ("1", "4", "16", "32")
    print_table(
        ("threads", "prompt t/s", *(f"step of {rows}, ms" for rows in widths)),
        [
            (
                threads,
                f"{speed['prompt_tps']:.0f}",
                *(f"{1000 * speed['step_s'][rows]:.1f}" for rows in widths),
            )
            for threads, speed in told["threads"].items()
        ],
    )
    best, score = told["best_threads"], told["score_s"]
    load = "" if told["load_s"] is None else f"; loading {told['load_s']:.2f} s"
    size = "" if told["bytes_per_candidate"] is None else f"; {told['bytes_per_candidate'] / 1e6:.1f} MB a candidate"
    typer.echo(
        f"threads: {best['prefill']} for prompts, {best['decode']} for drawing; scoring "
        f"{1000 * score['each_time']:.0f} ms + {1000 * score['each_candidate']:.1f} ms a candidate{load}{size}"
    )
    typer.echo(f"measured {told['measured_at']}, corrected by {told['calls']} requests since")


def _heat(degrees: float | None, hot: bool) -> str:
    if degrees is None:
        return "no sensor"
    return f"{degrees:.0f} C" + (", at its limit" if hot else "")
