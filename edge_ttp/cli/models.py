"""`edge-ttp models`: which model files there are, and getting, checking and removing them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from edge_ttp.cli.output import emit_json, note, progress
from edge_ttp.cli.stages import stages

if TYPE_CHECKING:
    from edge_ttp.registry import ModelEntry, Registry

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Model files.",
)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Threads = Annotated[int | None, typer.Option("--threads", min=1, help="Default: the cores this process may use.")]


def _registry() -> Registry:
    from edge_ttp.paths import locate
    from edge_ttp.registry import Registry

    return Registry(locate())


@app.command("list")
def list_models(
    installed: Annotated[bool, typer.Option("--installed", help="Only models on this device.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the known models: what they are for, whether they are on this device, size and licence."""
    registry = _registry()
    entries = [entry for entry in registry.list() if entry.installed or not installed]
    if as_json:
        emit_json({"models": [_as_dict(entry) for entry in entries], "problems": list(registry.problems())})
        return
    width = max((len(entry.name) for entry in entries), default=0)
    for entry in entries:
        place = ("part of edge-ttp" if entry.bundled else "on this device") if entry.installed else "not here"
        line = f"{entry.name:<{width}}  {entry.kind:<7}  {place:<16}  {_size(entry.size):>8}  {entry.licence}"
        marks = [mark for mark, applies in (("default", entry.default), ("used here", entry.chosen)) if applies]
        typer.echo(line + (f"  ({', '.join(marks)})" if marks else ""))
        if entry.description:
            typer.echo(f"    {entry.description}")
    for problem in registry.problems():
        note(f"edge-ttp: {problem}")


@app.command()
def pull(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", help="Without a name: the default policy.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Fetch models onto this device. Stops and goes on: an interrupted pull continues where it was."""
    from edge_ttp.errors import Cancelled
    from edge_ttp.registry import DEFAULT_POLICY

    registry = _registry()
    manifests = [registry.manifest(name) for name in names or [DEFAULT_POLICY]]
    results = []
    for manifest in manifests:
        already = _is_here(registry, manifest.name)
        with progress(f"Pulling {manifest.name}", manifest.size, unit="bytes") as advance:

            def report(done: int, _: int, advance: Callable[[float], None] = advance) -> None:
                advance(done)

            try:
                path = registry.pull(manifest.name, progress=report, note=note)
            except KeyboardInterrupt as stopped:
                raise Cancelled(
                    f"the pull of {manifest.name!r} was interrupted",
                    f"run `edge-ttp models pull {manifest.name}` again to go on; what has arrived is kept",
                ) from stopped
        results.append({"name": manifest.name, "path": str(path), "size": manifest.size, "already_there": already})
        if not as_json:
            done = "is already on this device" if already else f"pulled ({_size(manifest.size)})"
            typer.echo(f"{manifest.name}: {done}: {path}")
            if not already:
                link = f" ({manifest.licence_url})" if manifest.licence_url else ""
                note(f"licence of {manifest.name}: {manifest.licence}{link}")
    if as_json:
        emit_json({"models": results})


@app.command()
def add(
    path: Annotated[Path, typer.Argument(help="A .gguf file, a folder with manifest.toml, or a manifest.")],
    *,
    name: Annotated[str | None, typer.Option(help="Name in the store. Default: from the file's name.")] = None,
    kind: Annotated[Literal["policy", "adapter"] | None, typer.Option(help="Default: from the file's header.")] = None,
    prompt_style: Annotated[
        Literal["chat", "few-shot"] | None,
        typer.Option(help="How the policy is spoken to. Default: chat if the file carries a chat template."),
    ] = None,
    context: Annotated[
        int | None, typer.Option(min=1, help="Context in tokens. Default: from the file's header.")
    ] = None,
    licence: Annotated[str | None, typer.Option(help="SPDX identifier or name.")] = None,
    licence_url: Annotated[str, typer.Option(help="Where the licence can be read (https).")] = "",
    description: Annotated[str | None, typer.Option(help="One line. Default: from the file's header.")] = None,
    derivable: Annotated[
        bool | None,
        typer.Option(help="Whether its licence allows making other formats. Default: if it is a known permissive one."),
    ] = None,
    link: Annotated[bool, typer.Option("--link", help="Link to the file where it is instead of copying it.")] = False,
    as_json: AsJson = False,
) -> None:
    """Take a model you already have into the store."""
    registry = _registry()
    size = path.stat().st_size if path.is_file() else None
    with progress(f"Adding {path.name}", size, unit="bytes") as advance:
        entry = registry.add(
            path,
            name=name,
            kind=kind,
            prompt_style=prompt_style,
            context=context,
            licence=licence,
            licence_url=licence_url,
            description=description,
            derivable=derivable,
            link=link,
            progress=lambda done, _: advance(done),
        )
    if as_json:
        emit_json(_as_dict(entry))
    elif entry.installed:
        typer.echo(f"{entry.name}: {entry.kind}, {_size(entry.size)}: {entry.path}")
    else:
        typer.echo(f"{entry.name}: known now; `edge-ttp models pull {entry.name}` fetches it")


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

    registry = _registry()
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
    typer.echo(f"{located.name}: {_size(manifest.size)}: {located.path}")
    for line in in_words(manifest):
        typer.echo(f"    {line}")
    link = f" ({manifest.licence_url})" if manifest.licence_url else ""
    note(f"licence of {located.name}: {manifest.licence}{link}; it is a modified file and says so")


@app.command()
def verify(
    name: Annotated[str | None, typer.Argument(help="Without a name: all models on this device.")] = None,
    as_json: AsJson = False,
) -> None:
    """Read every byte of the model files and compare with the manifests. Exit code 3 if something is wrong."""
    from edge_ttp.errors import ModelUnavailable

    results = _registry().verify(name)
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
    registry = _registry()
    freed = registry.remove(name) if name is not None else 0
    freed += registry.clear_downloads() if downloads else 0
    if as_json:
        emit_json({"name": name, "freed_bytes": freed})
    else:
        typer.echo(f"{name or 'downloads'}: removed, {_size(freed)} freed")


@app.command("path")
def print_path(
    name: Annotated[str, typer.Argument(help="A model on this device, a format of it (NAME:Q4_0), or a .gguf file.")],
    as_json: AsJson = False,
) -> None:
    """Print where a model lies, after checking it: in the format this device uses, or in the one named."""
    located = _registry().locate(name)
    if as_json:
        emit_json({"name": located.name, "kind": located.kind, "path": str(located.path), "sha256": located.sha256})
    else:
        typer.echo(str(located.path))


def _is_here(registry: Registry, name: str) -> bool:
    from edge_ttp.errors import ModelUnavailable

    try:
        registry.own(name)
    except ModelUnavailable:
        return False
    return True


def _as_dict(entry: ModelEntry) -> dict[str, object]:
    from dataclasses import asdict

    return {**asdict(entry), "path": str(entry.path) if entry.path is not None else None}


def _size(count: int) -> str:
    """`count` bytes as a person reads them, in powers of 1000."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count} B"
