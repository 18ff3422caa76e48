"""`edge-ttp models`: which model files there are, and getting, checking and removing them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from edge_ttp.cli import models_options
from edge_ttp.cli.models_getting import add, find, pull, suggest
from edge_ttp.cli.models_options import AsJson, size
from edge_ttp.cli.output import emit_json, note, print_table
from edge_ttp.cli.stages import stages

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Model files.",
)

for _command in (pull, add, find, suggest):
    app.command()(_command)

Threads = Annotated[int | None, typer.Option("--threads", min=1, help="Default: the cores this process may use.")]


@app.command("list")
def list_models(
    installed: Annotated[bool, typer.Option("--installed", help="Only models on this device.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the known models: what they are for, whether they are on this device, size and licence."""
    registry = models_options.registry()
    every = registry.list()
    entries = [entry for entry in every if entry.installed or not installed]
    known = {entry.name for entry in every}
    offers = [] if installed else [offer for offer in registry.offers() if offer.name not in known]
    if as_json:
        emit_json(
            {
                "models": [models_options.as_dict(entry) for entry in entries],
                "offers": [offer.model_dump(mode="json") for offer in offers],
                "problems": list(registry.problems()),
            }
        )
        return
    width = max((len(name) for name in [*(one.name for one in entries), *(one.name for one in offers)]), default=0)
    for entry in entries:
        place = ("part of edge-ttp" if entry.bundled else "on this device") if entry.installed else "not here"
        line = f"{entry.name:<{width}}  {entry.kind:<7}  {place:<16}  {size(entry.size):>8}  {entry.licence}"
        marks = [mark for mark, applies in (("default", entry.default), ("used here", entry.chosen)) if applies]
        typer.echo(line + (f"  ({', '.join(marks)})" if marks else ""))
        if entry.description:
            typer.echo(f"    {entry.description}")
    for offer in offers:
        about = f"~{size(offer.download_mb * 10**6)}"
        typer.echo(f"{offer.name:<{width}}  {'policy':<7}  {'on the hub':<16}  {about:>8}  {offer.licence}")
        typer.echo(f"    {offer.description}")
    for problem in registry.problems():
        note(f"edge-ttp: {problem}")


@app.command("derive")
def derive_command(
    name: Annotated[str, typer.Argument(help="A policy on this device.")],
    *,
    format: Annotated[str, typer.Option("--format", "-f", help="Q4_0, Q8_0, F16 ... (see docs/formats.md).")],
    data: Annotated[
        Path | None, typer.Option("--data", help="JSONL of input/output to measure the loss on. Default: the samples.")
    ] = None,
    choose: Annotated[bool, typer.Option("--choose", help="Use it on this device wherever NAME is asked for.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Make it again even if it is here.")] = False,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Rounds of timing.")] = 5,
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Make another format of a model on this device, and measure its loss and its speed. The model's own file stays."""
    from edge_ttp.budget.device import cores
    from edge_ttp.lab.bench.passages import file_text, sample_text
    from edge_ttp.policy.formats.derive import derive, in_words

    registry = models_options.registry()
    text = file_text(data) if data is not None else sample_text()
    with stages() as report:
        located = derive(
            registry,
            name,
            format.upper(),
            text,
            threads=threads or cores(),
            rounds=rounds,
            force=force,
            report=report,
            note=note,
        )
    if choose:
        registry.choose(name, located.format, "chosen by hand")
    manifest = registry.manifest(located.name)
    if as_json:
        emit_json(
            {
                "name": located.name,
                "path": str(located.path),
                "size": manifest.size,
                "chosen": choose,
                "recipe": manifest.recipe,
                "measurements": manifest.measurements,
            }
        )
        return
    typer.echo(f"{located.name}: {size(manifest.size)}: {located.path}")
    for line in in_words(manifest):
        typer.echo(f"    {line}")
    link = f" ({manifest.licence_url})" if manifest.licence_url else ""
    note(f"licence of {located.name}: {manifest.licence}{link}; it is a modified file and says so")


@app.command()
def fastest(
    name: Annotated[str | None, typer.Argument(help="A policy on this device. Default: the one in use.")] = None,
    *,
    max_kl: Annotated[float, typer.Option("--max-kl", min=0.0, help="Largest mean KL divergence, in nats.")] = 0.05,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Rounds of timing.")] = 5,
    when_idle: Annotated[
        bool, typer.Option("--when-idle", help="At idle priority, only while nothing is asked: so it runs by itself.")
    ] = False,
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Find the fastest format of a model on this device within the loss limit, make it, and use it from then on.

    What was cut off goes on with the next format. Other formats that were made for it go again.
    """
    from edge_ttp.budget.device import cores
    from edge_ttp.errors import Cancelled
    from edge_ttp.lab.bench.passages import sample_text
    from edge_ttp.lab.fastest_format import find_fastest
    from edge_ttp.lab.search_state import check_room
    from edge_ttp.paths import locate
    from edge_ttp.policy.formats.derive import TABLE_HEADER, table
    from edge_ttp.registry import DEFAULT_POLICY
    from edge_ttp.system.settings import settings_in_force

    paths, registry = locate(), models_options.registry()
    model = name or settings_in_force(paths).model or DEFAULT_POLICY
    own = registry.own(model)
    if when_idle:
        from edge_ttp.lab.format_search import search
        from edge_ttp.lab.search_state import SearchState

        words = ["--max-kl", str(max_kl), "--rounds", str(rounds), *(["--threads", str(threads)] if threads else [])]
        code = search(
            paths,
            [sys.executable, "-m", "edge_ttp", "models", "fastest", model, *words],
            on_begin=lambda: SearchState.count_try(paths, model, own.sha256),
        )
        if code is None:
            raise Cancelled("another search runs, or this one was turned off")
        raise typer.Exit(code)
    check_room(paths, own.path.stat().st_size)
    with stages() as report:
        found = find_fastest(
            registry,
            paths,
            model,
            sample_text(),
            threads=threads or cores(),
            rounds=rounds,
            max_kl=max_kl,
            report=report,
        )
    if as_json:
        emit_json(found.as_dict() | {"chosen": True})
        return
    print_table(TABLE_HEADER, table(found))
    for format, why in found.unfit.items():
        note(f"{format} was left out: {why}")
    note(f"{found.model} now means {found.model}:{found.choice} on this device: {found.reason}")


@app.command()
def verify(
    name: Annotated[str | None, typer.Argument(help="Without a name: all models on this device.")] = None,
    as_json: AsJson = False,
) -> None:
    """Read every byte of the model files and compare with the manifests. Exit code 3 if something is wrong."""
    from edge_ttp.errors import ModelUnavailable

    results = models_options.registry().verify(name)
    if as_json:
        emit_json({"models": [{"name": one.name, "ok": one.ok, "problem": one.problem or None} for one in results]})
    else:
        for one in results:
            typer.echo(f"{one.name}: {'ok' if one.ok else one.problem}")
        if not results:
            note("no models on this device yet; run `edge-ttp models pull`")
    if not all(one.ok for one in results):
        raise typer.Exit(ModelUnavailable.exit_code)


@app.command("rm")
def remove(
    name: Annotated[str | None, typer.Argument(help="A model on this device, or one format of it (NAME:Q4_0).")] = None,
    downloads: Annotated[bool, typer.Option("--downloads", help="Delete what interrupted pulls have kept.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove a model's files from this device, or the remains of interrupted pulls."""
    from edge_ttp.errors import InvalidInput

    if name is None and not downloads:
        raise InvalidInput("nothing to remove was named", "give a model's name, or --downloads")
    registry = models_options.registry()
    freed = registry.remove(name) if name is not None else 0
    freed += registry.clear_downloads() if downloads else 0
    if as_json:
        emit_json({"name": name, "freed_bytes": freed})
    else:
        typer.echo(f"{name or 'downloads'}: removed, {size(freed)} freed")


@app.command("path")
def print_path(
    name: Annotated[str, typer.Argument(help="A model on this device, a format of it (NAME:Q4_0), or a .gguf file.")],
    as_json: AsJson = False,
) -> None:
    """Print where a model lies, after checking it: in the format this device uses, or in the one named."""
    located = models_options.registry().locate(name)
    if as_json:
        emit_json({"name": located.name, "kind": located.kind, "path": str(located.path), "sha256": located.sha256})
    else:
        typer.echo(str(located.path))
