"""`edge-ttp models pull`, `add`, `find` and `suggest`: how a model comes onto this device."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from edge_ttp.cli import models_options, options
from edge_ttp.cli.models_options import AsJson, size
from edge_ttp.cli.output import emit_json, note, progress
from edge_ttp.errors import Cancelled, InvalidInput, NotFound

if TYPE_CHECKING:
    from edge_ttp.registry import Registry
    from edge_ttp.registry.found import FoundModel


def pull(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME",
            help="A name of the list, hf:OWNER/REPO[:FILE or quant], or an https address. Default: the default policy.",
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="Name in the store, for one that has none yet. Default: its file's.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Fetch models onto this device. Stops and goes on: an interrupted pull continues where it was."""
    from edge_ttp.registry import DEFAULT_POLICY
    from edge_ttp.registry.references import is_reference

    if name is not None and len(names or []) != 1:
        raise InvalidInput("--name is for one model", "pull them one after another")
    registry = models_options.registry()
    results = []
    for wanted in names or []:  # a wrong name ends this before anything is fetched
        if not is_reference(wanted) and wanted not in {offer.name for offer in registry.offers()}:
            registry.manifest(wanted)
    for wanted in names or [DEFAULT_POLICY]:
        already = _is_here(registry, wanted)
        with progress(f"Pulling {wanted}", None, unit="bytes") as advance:
            try:
                path = registry.pull(
                    wanted,
                    as_name=name,
                    progress=lambda done, total: advance(done, total or None),  # called within
                    note=note,
                )
            except KeyboardInterrupt as stopped:
                raise Cancelled(
                    f"the pull of {wanted!r} was interrupted",
                    f"run `edge-ttp models pull {wanted}` again to go on; what has arrived is kept",
                ) from stopped
        manifest = registry.manifest(wanted) if _is_known(registry, wanted) else registry.manifest(path.parent.name)
        results.append(
            {
                "name": manifest.name,
                "path": str(path),
                "size": manifest.size,
                "sha256": manifest.sha256,
                "licence": manifest.licence,
                "already_there": already,
            }
        )
        if not as_json:
            done = "is already on this device" if already else f"pulled ({size(manifest.size)})"
            typer.echo(f"{manifest.name}: {done}: {path}")
            if not already:
                link = f" ({manifest.licence_url})" if manifest.licence_url else ""
                note(f"licence of {manifest.name}: {manifest.licence}{link}")
    if as_json:
        emit_json({"models": results})


def add(
    path: Annotated[
        Path,
        typer.Argument(help="A .gguf file, a folder with manifest.toml, a manifest, or a label that `find` prints."),
    ],
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
    link: Annotated[
        bool | None,
        typer.Option("--link/--copy", help="Link to the file or copy it. Default: link what `find` found, else copy."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Take a model you already have into the store."""
    from edge_ttp.registry.adopt import suggest_name

    registry = models_options.registry()
    foreign = None if path.exists() else _found(path.as_posix())
    if foreign is not None and name is None:
        stem = foreign.label.removesuffix(".gguf").partition("/")[2]  # without the program; the repository's owner too
        name = suggest_name(stem.rpartition("/")[2])
    place = path if foreign is None else foreign.path
    with progress(f"Adding {path.name}", place.stat().st_size if place.is_file() else None, unit="bytes") as advance:
        entry = registry.add(
            place,
            name=name,
            kind=kind,
            prompt_style=prompt_style,
            context=context,
            licence=licence,
            licence_url=licence_url,
            description=description,
            derivable=derivable,
            link=foreign is not None if link is None else link,
            file_name=None if foreign is None or foreign.path.suffix.lower() == ".gguf" else f"{name}.gguf",
            progress=lambda done, _: advance(done),
            note=note,
        )
    if as_json:
        emit_json(models_options.as_dict(entry))
    elif entry.installed:
        typer.echo(f"{entry.name}: {entry.kind}, {size(entry.size)}: {entry.path}")
    else:
        typer.echo(f"{entry.name}: known now; `edge-ttp models pull {entry.name}` fetches it")


def find(as_json: AsJson = False) -> None:
    """List the models that Ollama, LM Studio, the Hugging Face cache, llama.cpp and GPT4All left on this disk."""
    from edge_ttp.registry.found import find_models

    foreign = find_models()
    if as_json:
        emit_json(
            {
                "found": [
                    {
                        "label": one.label,
                        "program": one.program,
                        "path": str(one.path),
                        "size": one.size,
                        "description": one.description,
                        "problem": one.problem or None,
                    }
                    for one in foreign
                ]
            }
        )
        return
    for one in foreign:
        typer.echo(f"{one.label}  {size(one.size)}")
        typer.echo(f"    {one.description}" if not one.problem else f"    cannot be used: {one.problem}")
    usable = [one for one in foreign if not one.problem]
    if usable:
        note(f"edge-ttp models add '{usable[0].label}' links one into the store, without a copy")
    else:
        note("no usable model of another program was found; `edge-ttp models suggest` names some to pull")


def suggest(
    language: Annotated[
        str | None, typer.Option("--language", metavar="CODE", help="ISO 639-1, such as de. Default: as configured.")
    ] = None,
    memory: options.Memory = None,
    cores: Annotated[int | None, typer.Option("--cores", min=1, help="Default: those this process may use.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say which small models suit this device and language, and why the others do not."""
    from edge_ttp.budget import device
    from edge_ttp.registry.offers import suggest as judge

    spoken = _language(language)
    judged = judge(
        models_options.registry().offers(),
        memory_bytes=memory or device.available_memory(),
        cores=cores or device.cores(),
        language=spoken,
    )
    if as_json:
        emit_json(
            {
                "language": spoken,
                "suggestions": [
                    {**one.offer.model_dump(mode="json"), "fits": one.fits, "reason": one.reason} for one in judged
                ],
            }
        )
        return
    for one in judged:
        offer = one.offer
        typer.echo(
            f"{'*' if one is judged[0] and one.fits else ' '} {offer.name}: {offer.parameters_b:g} billion parameters, "
            f"about {size(offer.download_mb * 10**6)}, {offer.licence}"
        )
        typer.echo(f"    {offer.description}")
        typer.echo(f"    {'fits' if one.fits else 'does not fit'}: {one.reason}")
    if judged and judged[0].fits:
        note(f"edge-ttp models pull {judged[0].offer.name}")
    else:
        note("none of them fits: the default policy needs least (edge-ttp models pull)")


def _language(given: str | None) -> str:
    """The language meant: as given, else that of the system, else English."""
    import os

    from edge_ttp.paths import locate
    from edge_ttp.system.settings import settings_in_force

    configured = settings_in_force(locate()).language
    text = given or configured or os.environ.get("LC_ALL") or os.environ.get("LANG") or "en"
    code = text.replace("-", "_").partition("_")[0].partition(".")[0].lower()
    if given is not None and not (code.isascii() and code.isalpha() and len(code) in (2, 3)):
        raise InvalidInput(f"{given!r} is no language", "give an ISO 639-1 code such as en, de or fr")
    return code if len(code) == 2 and code.isalpha() else "en"


def _found(label: str) -> FoundModel | None:
    """The model of another program that is called so; None where the text looks like none."""
    from edge_ttp.registry.found import find_models

    programs = ("ollama/", "lmstudio/", "hf/", "llama.cpp/", "gpt4all/")
    if not label.startswith(programs):
        return None
    for one in find_models():
        if one.label == label:
            if one.problem:
                raise InvalidInput(f"{label!r} cannot be used: {one.problem}", "choose another: edge-ttp models find")
            return one
    raise NotFound(f"no model {label!r} was found on this disk", "see `edge-ttp models find`")


def _is_known(registry: Registry, name: str) -> bool:
    try:
        registry.manifest(name)
    except NotFound:
        return False
    return True


def _is_here(registry: Registry, name: str) -> bool:
    from edge_ttp.errors import ModelUnavailable

    try:
        registry.own(name)
    except (ModelUnavailable, NotFound):
        return False
    return True
