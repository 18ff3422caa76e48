"""`edge-ttp export policy` and what belongs to it: checkpoint, lora, converter, discard. Prints, never computes."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from edge_ttp.cli.options import DATA_VARIABLE
from edge_ttp.cli.output import console, emit_json, note
from edge_ttp.cli.stages import stages
from edge_ttp.errors import ExtraMissing, InvalidInput

if TYPE_CHECKING:
    from edge_ttp_export.policy.policy_run import Exported

Checkpoint = Annotated[Path, typer.Argument(help="Hugging Face folder with safetensors.")]
Data = Annotated[
    Path | None,
    typer.Option("--data", help="JSONL of input/output. The last third of each user's is held out. Default: samples."),
]
User = Annotated[str | None, typer.Option("--user", help="Take only this user of the data.")]
Name = Annotated[str | None, typer.Option("--name", help="Name in the store. Default: from the source.")]
Licence = Annotated[str | None, typer.Option("--licence", help="SPDX identifier or name. Default: from the source.")]
Threads = Annotated[int | None, typer.Option("--threads", min=1, help="Default: the cores this process may use.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def add_to(app: typer.Typer) -> None:
    """Adds the commands of this module to the group `app`."""
    for name, command in (
        ("policy", export_policy_command),
        ("checkpoint", checkpoint),
        ("lora", lora),
        ("voice", voice),
        ("converter", converter_command),
        ("discard", discard_command),
    ):
        app.command(name)(command)


def _prepare(threads: int | None) -> None:
    missing = [name for name in ("torch", "transformers", "safetensors", "gguf") if find_spec(name) is None]
    if missing:
        raise ExtraMissing(f"this command needs {' and '.join(missing)}", "pip install 'edge-ttp[export]'")
    import torch
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    if threads is not None:
        torch.set_num_threads(threads)


def export_policy_command(
    source: Annotated[Path, typer.Argument(help="Hugging Face folder with safetensors, or a .gguf file.")],
    *,
    quant: Annotated[str, typer.Option("--quant", help="auto, or a format: Q4_0, Q4_K_M, Q8_0, F16 ...")] = "auto",
    formats: Annotated[
        list[str] | None, typer.Option("--format", help="What auto chooses from; may be repeated.")
    ] = None,
    lora_folder: Annotated[Path | None, typer.Option("--lora", help="PEFT folder of a LoRA adapter.")] = None,
    lora_as: Annotated[
        Literal["merged", "adapter"], typer.Option("--lora-as", help="Merge it, or make a GGUF adapter of its own.")
    ] = "merged",
    imatrix: Annotated[Path | None, typer.Option("--imatrix", help="Importance matrix (llama.cpp's file).")] = None,
    calibrate: Annotated[
        Path | None, typer.Option("--calibrate", help="JSONL of input/output to compute one on (first two thirds).")
    ] = None,
    data: Data = None,
    user: User = None,
    name: Name = None,
    licence: Licence = None,
    max_kl: Annotated[float | None, typer.Option("--max-kl", min=0, help="Largest mean KL, in nats.")] = None,
    max_size: Annotated[str | None, typer.Option("--max-size", help="Largest file: 150MB, 1.5GB.")] = None,
    min_tps: Annotated[
        float | None, typer.Option("--min-tps", min=0, help="Least decode t/s of 8 candidates together.")
    ] = None,
    positions: Annotated[int, typer.Option("--positions", min=16, help="Held-out tokens to compare on.")] = 512,
    queries: Annotated[int, typer.Option("--queries", min=2, help="Held-out items to answer.")] = 24,
    candidates: Annotated[int, typer.Option("--candidates", min=1, max=256, help="Candidates of each answer.")] = 8,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Rounds of timing.")] = 5,
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Make a quantized GGUF of a checkpoint, measure it on this device, and put it into the store."""
    _prepare(threads)
    from edge_ttp.paths import locate
    from edge_ttp_export.policy.format_gates import FormatLimits, parse_size
    from edge_ttp_export.policy.policy_run import AUTO, AUTO_FORMATS, Order, export_policy

    if lora_folder is not None and lora_as == "adapter":
        _adapter(source, lora_folder, name, licence, data, user, positions, threads, as_json)
        return
    order = Order(
        source=source,
        quant=AUTO if quant.upper() == AUTO else quant.upper(),
        formats=tuple(one.upper() for one in formats) if formats else AUTO_FORMATS,
        lora=lora_folder,
        imatrix=imatrix,
        calibrate=calibrate,
        data=data,
        user=user,
        name=name,
        licence=licence,
        limits=FormatLimits(max_kl, parse_size(max_size) if max_size is not None else None, min_tps),
        positions=positions,
        queries=queries,
        candidates=candidates,
        rounds=rounds,
        threads=threads,
    )
    with stages() as report:
        done = export_policy(order, locate(), report=report, note=note)
    if as_json:
        emit_json(done.manifest.model_dump(mode="json"))
        return
    _print_table(done)
    typer.echo(f"{done.manifest.name}: {done.chosen.reason}")
    note(f"licence of {done.manifest.name}: {done.manifest.licence}; it is a modified file and says so")


def _print_table(done: Exported) -> None:
    from rich.table import Table

    from edge_ttp_export.policy.format_gates import HEADER, table

    shown = Table(*HEADER)
    for line in table(done.rows, done.reference_perplexity):
        shown.add_row(*line)
    console().print(shown)
    if any(row.own for row in done.rows):
        typer.echo("* the source's weights were in this format already: its small loss says nothing")
    typer.echo(f"not beaten in both speed and utility: {', '.join(done.chosen.pareto)}")
    for gate in done.manifest.measurements.get("gates", []):  # type: ignore[union-attr]
        typer.echo(f"gate: {gate['name']} {gate['value']:.4g}, limit {gate['limit']:.4g}: passed")  # type: ignore[index, call-overload]
    found = done.conversion
    if found:
        logits, tokens = found["logits"], found["tokenizer"]
        typer.echo(
            "conversion: logits differ from transformers' by at most {max_difference:.3f} (mean {mean_difference:.4f}, "
            "their spread {spread:.2f}), same likeliest token {top1_agreement:.1%}".format(**logits)
            + "; tokens equal in {as_text} (as text) and {as_control} (as control) of {texts} hard texts".format(
                **tokens
            )
            + f"; chat template {'kept' if found['chat_template_kept'] else 'changed'}"
        )


def _adapter(
    base: Path,
    folder: Path,
    name: str | None,
    licence: str | None,
    data: Path | None,
    user: str | None,
    positions: int,
    threads: int | None,
    as_json: bool,
) -> None:
    from edge_ttp.paths import locate
    from edge_ttp_export.policy.adapter_run import export_adapter

    with stages() as report:
        manifest, path, effect = export_adapter(
            base,
            folder,
            locate(),
            name=name,
            licence=licence,
            data=data,
            user=user,
            positions=positions,
            threads=threads,
            report=report,
            note=note,
        )
    if as_json:
        emit_json(manifest.model_dump(mode="json"))
        return
    typer.echo(
        f"{manifest.name}: {path}: perplexity {effect.perplexity:.2f}, {effect.perplexity_without:.2f} without it, "
        f"on {effect.positions} held-out tokens"
    )


def checkpoint(
    model: Annotated[str, typer.Argument(help="A policy on this device, or a .gguf file.")],
    out: Annotated[Path, typer.Argument(help="Folder to write.")],
    *,
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Read a GGUF back as a Hugging Face checkpoint (safetensors). What its quantization lost stays lost."""
    _prepare(threads)
    from edge_ttp.paths import locate
    from edge_ttp.registry import Registry
    from edge_ttp_export.policy.readback import read_back

    located = Registry(locate()).locate(model, kind="policy")
    known = located.manifest
    found = read_back(
        located.path,
        out.expanduser().absolute(),
        name=known.name if known is not None else located.path.stem,
        licence=known.licence if known is not None else "",
        licence_url=known.licence_url if known is not None else "",
    )
    if as_json:
        emit_json({"folder": str(out), **found})
    else:
        typer.echo(f"{out}: {found['architecture']}, weights as {found['format']} left them")


def lora(
    base: Checkpoint,
    out: Annotated[Path, typer.Argument(help="Folder to write the adapter to.")],
    *,
    data: Data = None,
    user: User = None,
    steps: Annotated[int, typer.Option("--steps", min=1, help="Steps of training.")] = 40,
    batch: Annotated[int, typer.Option("--batch", min=1, max=64, help="Passages of one step.")] = 2,
    rank: Annotated[int, typer.Option("--rank", min=1, max=256, help="Rank of the adapter.")] = 8,
    rate: Annotated[float, typer.Option("--rate", min=0, help="Learning rate.")] = 1e-3,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of everything random.")] = 1,
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Train a small LoRA adapter on the first two thirds of what a user wrote."""
    _prepare(threads)
    from edge_ttp.paths import locate
    from edge_ttp_export.policy.lora_run import run_lora
    from edge_ttp_export.policy.lora_train import LoraSettings

    settings = LoraSettings(rank=rank, alpha=2 * rank, steps=steps, batch=batch, rate=rate, seed=seed)
    with stages() as report:
        found = run_lora(base, out, locate(), settings, data=data, user=user, threads=threads, report=report, note=note)
    if as_json:
        emit_json(found)
    else:
        typer.echo(f"{out}: loss {found['loss_first']:.3f} at first, {found['loss_last']:.3f} at last, nats per token")


def voice(
    base: Checkpoint,
    *,
    data: Annotated[
        Path | None, typer.Option("--data", help=f"Folder of many users' texts, JSONL. Default: {DATA_VARIABLE}.")
    ] = None,
    task: Annotated[
        list[str] | None, typer.Option("--task", help="May be repeated; twice counts twice. Default: all but left out.")
    ] = None,
    left_out: Annotated[
        list[str] | None, typer.Option("--leave-out", help="Train on nothing of this task. May be repeated.")
    ] = None,
    policy: Annotated[
        str | None, typer.Option("--base", help="Policy that it is for. Default: those made of the checkpoint.")
    ] = None,
    name: Name = None,
    licence: Licence = None,
    begin: Annotated[
        Path | None, typer.Option("--from", help="Go on from this adapter: a PEFT folder, or its GGUF file.")
    ] = None,
    steps: Annotated[int, typer.Option("--steps", min=1, help="Steps of training.")] = 500,
    batch: Annotated[int, typer.Option("--batch", min=1, max=64, help="Passages of one step.")] = 4,
    rank: Annotated[int, typer.Option("--rank", min=1, max=256, help="Rank of the adapter.")] = 8,
    rate: Annotated[float, typer.Option("--rate", min=0, help="Learning rate.")] = 1.5e-3,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of everything random.")] = 1,
    watched: Annotated[int, typer.Option("--watched", min=1, help="Passages that the loss is watched on.")] = 20,
    device: Annotated[str, typer.Option("--device", metavar="auto|cpu|cuda", help="What trains.")] = "auto",
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Train a voice adapter for `rewrite` on many users' texts, and put it into the store for its policy.

    From then on `edge-ttp rewrite` uses it with that policy. Ctrl-C keeps what is done; the same command goes on.
    """
    _prepare(None)
    import torch

    from edge_ttp.cli.bench_pools import corpus_folder
    from edge_ttp.paths import locate
    from edge_ttp_export.policy.lora_train import LoraSettings
    from edge_ttp_export.policy.voice_run import LEFT_OUT, VoiceOrder, best_precision, export_voice

    if device not in ("auto", "cpu", "cuda"):
        raise InvalidInput(f"--device {device} is not known", "choose auto, cpu or cuda")
    there = torch.cuda.is_available()
    if device == "cuda" and not there:
        raise InvalidInput("this torch finds no GPU", "use --device cpu")
    used = "cuda" if there and device != "cpu" else "cpu"
    settings = LoraSettings(
        rank=rank, alpha=2 * rank, steps=steps, batch=batch, rate=rate, seed=seed, warmup=15,
        precision=best_precision(used), device=used, workers=(threads or 0) if used == "cpu" else 1,
    )  # fmt: skip
    order = VoiceOrder(
        base, corpus_folder(data), tuple(task or ()), tuple(left_out or LEFT_OUT), policy, name, licence, settings,
        watched, begin=begin,
    )  # fmt: skip
    with stages() as report:
        manifest, path = export_voice(order, locate(), report=report, note=note)
    if as_json:
        emit_json(manifest.model_dump(mode="json"))
        return
    found: Any = manifest.measurements["tune_losses"]
    first, last = next(iter(found.values())), min(found.values())
    typer.echo(f"{manifest.name}: {path}: {last:.3f} nats a token of tune users, {first:.3f} before training")


def converter_command(
    archive: Annotated[
        Path | None,
        typer.Option("--archive", help="llama-cpp-python's source distribution, where there is no network."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Fetch llama.cpp's converter: 77 MB from the package index, of which 2 MB are kept."""
    from edge_ttp.paths import locate
    from edge_ttp_export.policy.converter import RELEASE, fetch

    with stages() as report:
        folder = fetch(locate(), archive=archive, report=report)
    if as_json:
        emit_json({"folder": str(folder), "release": RELEASE})
    else:
        typer.echo(f"{folder}: the converter of llama-cpp-python {RELEASE}")


def discard_command(as_json: AsJson = False) -> None:
    """Remove what interrupted exports have kept to go on with."""
    from edge_ttp.paths import locate
    from edge_ttp_export.policy.work_folder import discard

    freed = discard(locate())
    if as_json:
        emit_json({"freed_bytes": freed})
    else:
        typer.echo(f"{freed / 1e6:.1f} MB freed")
