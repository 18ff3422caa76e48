"""`edge-ttp bench`: measurements on this device, as ratios against a baseline in the same run."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_ttp.cli import options
from edge_ttp.cli.bench_adapt import adapt
from edge_ttp.cli.bench_budget import budget
from edge_ttp.cli.bench_company import company
from edge_ttp.cli.bench_engine import engine
from edge_ttp.cli.bench_latency import latency
from edge_ttp.cli.bench_overhead import overhead
from edge_ttp.cli.bench_quality import quality, swap
from edge_ttp.cli.bench_racing import racing
from edge_ttp.cli.bench_recall import recall
from edge_ttp.cli.bench_requests import languages, requests
from edge_ttp.cli.bench_rewrite import rewrite
from edge_ttp.cli.bench_rivals import rivals
from edge_ttp.cli.bench_temperature import temperature
from edge_ttp.cli.bench_trial import trial
from edge_ttp.cli.bench_voice import voice
from edge_ttp.cli.bench_window import window
from edge_ttp.cli.output import console, emit_json, note, print_table, progress
from edge_ttp.errors import Cancelled, InvalidInput

if TYPE_CHECKING:
    from edge_ttp.lab.bench.candidates import CandidateSpeed

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)

OVERHEAD_AT = 16
"""N at which the share of a whole request outside decoding is measured."""


app.command("adapt")(adapt)
app.command("budget")(budget)
app.command("company")(company)
app.command("temperature")(temperature)
app.command("racing")(racing)
app.command("recall")(recall)
app.command("engine")(engine)
app.command("latency")(latency)
app.command("overhead")(overhead)
app.command("quality")(quality)
app.command("swap")(swap)
app.command("languages")(languages)
app.command("requests")(requests)
app.command("voice")(voice)
app.command("trial")(trial)
app.command("rewrite")(rewrite)
app.command("rivals")(rivals)
app.command("window")(window)


@app.callback()
def bench() -> None:
    """Measure this device: medians of paired ratios, so that a noisy machine cancels out."""


@app.command()
def candidates(
    model: Annotated[
        list[str] | None, typer.Option("--model", "-m", help="May be repeated. Default: the default policy.")
    ] = None,
    n: Annotated[list[int] | None, typer.Option("--n", help="May be repeated. Default: 1 4 8 16 32.")] = None,
    temperature: Annotated[
        list[float] | None, typer.Option("--temperature", help="May be repeated. Default: 0.6 0.8 1.0.")
    ] = None,
    prompts: Annotated[int, typer.Option("--prompts", min=1, help="Prompts to take the medians over.")] = 5,
    data: options.Data = None,
    threads: options.Threads = None,
    as_json: options.AsJson = False,
) -> None:
    """Candidates against a loop of create_completion, against no sharing, and against bare llama_decode calls.

    All on the same file. Ctrl-C ends with the prompts that were measured whole. With N=16 also pipeline_overhead: the
    share of a whole request that is not decoding.
    """
    from edge_ttp.budget.device import cores
    from edge_ttp.lab.bench.candidates import measure, pipeline_overhead
    from edge_ttp.lab.bench.tasks import chosen_tasks
    from edge_ttp.paths import locate
    from edge_ttp.registry import DEFAULT_POLICY, Registry

    tasks = chosen_tasks(options.data_folder(data), prompts)
    names = model or [DEFAULT_POLICY]
    counts, temperatures = n or [1, 4, 8, 16, 32], temperature or [0.6, 0.8, 1.0]
    if min(counts) < 1 or max(counts) > 256:
        raise InvalidInput(f"n={counts} is out of range", "choose each from 1 to 256")
    paths, used = locate(), threads or cores()
    registry = Registry(paths)
    found = [registry.locate(name, kind="policy") for name in names]
    rows: list[CandidateSpeed] = []
    calls = len(temperatures) * len({1, *counts}) * len(tasks)
    with options.interruptible() as cancel, progress("measuring", calls * len(names), "calls") as advance:
        for place, located in enumerate(found):
            rows += measure(
                located.path,
                located.name,
                located.prompt_style or "few-shot",
                tasks,
                counts=counts,
                temperatures=temperatures,
                threads=used,
                advance=partial(_advance_from, advance, place * calls),
                cancel=cancel,
            )
            if cancel.is_set():
                break
        if not rows:
            raise Cancelled("interrupted before one prompt was measured")
    overhead = None
    if OVERHEAD_AT in counts and not cancel.is_set():
        overhead = pipeline_overhead(str(names[0]), tasks, n=OVERHEAD_AT, threads=used, paths=paths)
    if as_json:
        emit_json(
            {
                "rows": [row.as_dict() for row in rows],
                "pipeline_overhead": overhead,
                "threads": used,
                "prompts": len(tasks),
            }
        )
        return
    print_table(
        ("model", "n", "T", "tokens/s", "x loop", "x unshared", "x bare", "outside", "cost vs 1", "decode", "600"),
        [
            (
                row.model,
                str(row.n),
                f"{row.temperature:g}",
                f"{row.tokens_per_s:.0f}",
                f"{row.ratio_loop:.2f}",
                f"{row.ratio_unshared:.2f}",
                f"{row.ratio_bare:.2f}",
                f"{row.outside_decode:.1%}",
                f"{row.cost_per_candidate_vs_1:.0%}",
                f"{row.decode_cost_vs_1:.0%}",
                "" if row.long_cost_vs_1 is None else f"{row.long_cost_vs_1:.0%}",
            )
            for row in rows
        ],
    )
    words = "" if overhead is None else f"; pipeline_overhead at N={OVERHEAD_AT}: {overhead:.1%}"
    note(f"medians over {min(row.prompts for row in rows)} prompts, {used} threads{words}")


@app.command("scaling")
def scaling_command(
    runs: Annotated[int, typer.Option("--runs", min=1, help="Simulated data sets per setting, shape and N.")] = 200,
    n: Annotated[list[int] | None, typer.Option("--n", min=8, help="May be repeated. Default: 8 16 32.")] = None,
    resamples: Annotated[int, typer.Option("--bootstrap", min=20, help="Resamples for each interval.")] = 200,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the simulation.")] = 0,
    as_json: options.AsJson = False,
) -> None:
    """Bias and coverage of what `diagnose` estimates, on simulated pools whose c, h and rho are known.

    The last two columns are the biases of counting measured correlations, and of a normal distribution of them.
    """
    from edge_ttp.lab.bench import simulation

    sizes = n or list(simulation.SIZES)
    total = runs * len(sizes) * len(simulation.SETTINGS) * len(simulation.SHAPES)
    with progress("simulating", total, "runs") as advance:
        rows = simulation.study(runs=runs, sizes=sizes, resamples=resamples, seed=seed, advance=advance)
    if as_json:
        emit_json({"rows": [row.as_dict() for row in rows], "summary": simulation.summary(rows)})
        return
    for line in [*simulation.table(rows), "", *simulation.summary(rows)]:
        typer.echo(line)


@app.command("diagnose")
def diagnose_command(
    rows: Annotated[int, typer.Option("--rows", min=10_000, help="Candidates in the file.")] = 1_000_000,
    parquet: Annotated[bool, typer.Option("--parquet", help="As Parquet (extra: scale), not JSON lines.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Time and memory that `edge-ttp diagnose` takes over a large file of simulated candidates."""
    from dataclasses import asdict

    from edge_ttp.lab.bench import diagnose_cost

    with progress("writing", rows, "rows") as advance:
        taken = diagnose_cost.measure(rows, advance, parquet=parquet)
    if as_json:
        emit_json(asdict(taken))
        return
    typer.echo(
        f"{taken.rows:,} rows ({taken.file_bytes / 1e6:.0f} MB): {taken.seconds:.1f} s, "
        f"{taken.peak_bytes / 1e6:.0f} MB of memory"
    )


@app.command("formats")
def formats_command(
    model: Annotated[str, typer.Argument(help="A policy on this device.")],
    extra: Annotated[
        list[str] | None,
        typer.Option("--format", "-f", help="Also measure this format, made for the measurement. May be repeated."),
    ] = None,
    choose: Annotated[bool, typer.Option("--choose", help="Use the choice on this device from now on.")] = False,
    max_kl: Annotated[float, typer.Option("--max-kl", min=0.0, help="Largest mean KL divergence, in nats.")] = 0.05,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Rounds to take the medians over.")] = 5,
    text: Annotated[
        Path | None, typer.Option("--text", help="JSONL of input/output to measure losses on. Default: the samples.")
    ] = None,
    threads: options.Threads = None,
    as_json: options.AsJson = False,
) -> None:
    """Speeds and losses of a model's formats on this device, and which one to use."""
    from edge_ttp.budget.device import cores
    from edge_ttp.cli.stages import stages
    from edge_ttp.lab.bench.passages import file_text, sample_text
    from edge_ttp.paths import locate
    from edge_ttp.policy.formats.derive import TABLE_HEADER, measure, table
    from edge_ttp.registry import Registry

    paths = locate()
    with stages() as report:
        findings = measure(
            Registry(paths),
            paths,
            model,
            [one.upper() for one in extra or []],
            file_text(text) if text is not None else sample_text(),
            threads=threads or cores(),
            rounds=rounds,
            max_kl=max_kl,
            choose=choose,
            report=report,
        )
    if as_json:
        emit_json(findings.as_dict() | {"chosen": choose})
        return
    print_table(TABLE_HEADER, table(findings))
    for name, why in findings.unfit.items():
        note(f"{name} was left out: {why}")
    console().print(findings.reason, soft_wrap=True)
    if choose:
        note(f"{findings.model} now means {findings.model}:{findings.choice} on this device")


def _advance_from(advance: Callable[[float], None], before: int, done: float) -> None:
    advance(before + done)
