"""`edge-ttp export reward`: the reward model's encoder, its training, export to ONNX and evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from edge_ttp.cli.output import console, emit_json, note
from edge_ttp.errors import InvalidInput
from edge_ttp.system.output_folder import checked_folder, output_folder
from edge_ttp_export.command_options import (
    Data,
    EncoderFolder,
    Force,
    Json,
    On,
    Pools,
    SalienceFolder,
    Seed,
    Threads,
    Workers,
    WorkerThreads,
    print_result,
    reward_folder,
    worker_threads,
)
from edge_ttp_export.extra import need_torch
from edge_ttp_export.form_commands import encoder_forms, requantize
from edge_ttp_export.places.named import place_at

reward = typer.Typer(no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)
reward.command("forms")(encoder_forms)
reward.command("requantize")(requantize)


@reward.command()
def encoder(
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder to write the encoder to.")],
    layers: Annotated[int, typer.Option(help="Transformer layers to keep: 3, 4 or 6.")] = 3,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the texts.")] = 2,
    seed: Seed = 1,
    threads: Threads = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Shorten all-MiniLM-L6-v2 and distil it on texts of train users."""
    need_torch(threads)
    from edge_ttp_export.minilm import KEPT_LAYERS
    from edge_ttp_export.shorten import shorten

    if layers not in KEPT_LAYERS:
        raise InvalidInput(f"an encoder of {layers} layers is not offered", f"choose one of {sorted(KEPT_LAYERS)}")
    with output_folder(out, force=force) as folder:
        found = shorten(data, folder, layers=layers, epochs=epochs, seed=seed, report=note)
    print_result(
        found, as_json, f"{out}: cosine with the full encoder {found['cosine']:.3f}, rank {found['spearman']:.3f}"
    )


@reward.command("salience")
def train_salience(
    data: Data,
    encoder: EncoderFolder,
    out: Annotated[Path, typer.Option(help="Folder to write the salience network to.")],
    pools: Annotated[
        list[Path] | None,
        typer.Option(help="Pools that other networks are trained on: their items are left out. Repeat for several."),
    ] = None,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the texts.")] = 4,
    seed: Seed = 1,
    threads: Threads = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Train the network that knows which words an input calls for, on texts of train users alone."""
    need_torch(threads)
    from edge_ttp_export.salience_run import run_salience

    with output_folder(out, force=force) as folder:
        items = run_salience(data, encoder, folder, pools=pools or (), epochs=epochs, seed=seed, report=note)
    print_result({"folder": str(out), "left_out": items}, as_json, f"{out}: written, {items} items of pools left out")


@reward.command()
def train(
    pools: Pools,
    data: Data,
    encoder: EncoderFolder,
    salience: SalienceFolder,
    out: Annotated[Path, typer.Option(help="Folder to write the trained network to.")],
    loss: Annotated[
        list[str] | None, typer.Option(help="beta-nll (the default), mse, bradley-terry or listwise. Repeatable.")
    ] = None,
    beta: Annotated[float, typer.Option(min=0, max=1, help="For beta-nll: 0 weighs by noise, 1 does not.")] = 0.0,
    features_only: Annotated[
        bool, typer.Option("--features-only", help="Leave the text vectors' own terms out: for few pools.")
    ] = False,
    without_salience: Annotated[
        bool,
        typer.Option(
            "--without-salience", help="Do not use it: for a task left out that the salience network has seen."
        ),
    ] = False,
    epochs: Annotated[int, typer.Option(min=1, help="Longest training, in passes over the pools.")] = 30,
    seed: Annotated[
        list[int] | None, typer.Option(min=0, help="Seed of everything random. Default: 1. Repeatable.")
    ] = None,
    fold: Annotated[
        list[str] | None, typer.Option(metavar="TASK", help="Train also without this task's pools. Repeatable.")
    ] = None,
    on: On = "local",
    workers: Workers = None,
    threads: WorkerThreads = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Train the reward network on train users' pools; tune users stop it.

    Several losses, seeds or folds are trained in one go, each into a folder of its name in OUT, one a worker; those
    that are there already are kept.
    """
    used = worker_threads(on, workers, threads)
    need_torch(used)
    from edge_ttp_export.graphs import ReaderFolders
    from edge_ttp_export.losses import Loss
    from edge_ttp_export.train import TrainSettings
    from edge_ttp_export.train_run import Training, run_trainings

    losses: list[Loss] = []
    for one in loss or ["beta-nll"]:
        found = next((known for known in get_args(Loss) if known == one), None)
        if found is None:
            raise InvalidInput(f"there is no loss {one!r}", f"choose {', '.join(get_args(Loss))}")
        losses.append(found)
    settings = [
        TrainSettings(
            loss=each,
            beta=beta,
            seed=number,
            epochs=epochs,
            text_terms=not features_only,
            salience=not without_salience,
        )
        for each in dict.fromkeys(losses)
        for number in dict.fromkeys(seed or [1])
    ]
    trainings = [Training(one, without) for without in [None, *dict.fromkeys(fold or ())] for one in settings]
    single = len(trainings) == 1
    checked_folder(out, force=force or not single)
    with place_at(on, workers=workers, threads=used or 1) as place:
        facts = run_trainings(
            pools,
            data,
            ReaderFolders(encoder, salience),
            out,
            trainings,
            report=note,
            place=place,
            threads=used,
            force=force,
        )
    if single:
        (only,) = facts.values()
        print_result(only, as_json, f"{out}: share {only['tune_share']:.3f} of the headroom on tune users")
    else:
        print_result({"networks": facts}, as_json, f"{out}: {len(facts)} networks")


@reward.command()
def onnx(
    pools: Pools,
    data: Data,
    encoder: EncoderFolder,
    salience: SalienceFolder,
    trained: Annotated[Path, typer.Option(help="Folder made by `export reward train`.")],
    out: Annotated[Path, typer.Option(help="Folder of models: NAME/ and NAME.toml are written there.")],
    name: Annotated[str, typer.Option(help="The model's name.")],
    threads: Threads = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Export to ONNX, check the gates on tune users, measure on report users, write the model with its card."""
    need_torch(threads)
    from edge_ttp_export.export_run import run_export
    from edge_ttp_export.graphs import ReaderFolders

    reader = ReaderFolders(encoder, salience)
    gates = run_export(pools, data, reader, trained, out, name=name, report=note, force=force)
    shown = [{"name": gate.name, "value": gate.value, "limit": gate.limit, "passed": gate.passed} for gate in gates]
    print_result({"model": str(out / name), "gates": shown}, as_json, f"{out / name}: written, all gates passed")


@reward.command()
def evaluate(
    pools: Pools,
    data: Data,
    model: Annotated[str, typer.Option(help="Reward model: a name in the model store, or its folder.")] = (
        "reward-minilm-1"
    ),
    trained: Annotated[
        list[Path] | None,
        typer.Option(help="Folder made by `export reward train`, to compare with; repeat for losses and seeds."),
    ] = None,
    left_out: Annotated[
        list[str] | None, typer.Option(help="TASK=FOLDER: a network that never saw this task. Repeatable.")
    ] = None,
    on: On = "local",
    workers: Workers = None,
    threads: WorkerThreads = None,
    as_json: Json = False,
) -> None:
    """Utility and share of headroom on report users, against untrained rules and other trained networks."""
    used = worker_threads(on, workers, threads)
    need_torch(used)
    from edge_ttp.reward.model import RewardModel
    from edge_ttp_export.evaluate_run import evaluate_files

    folder = reward_folder(model)
    strangers = {}
    for one in left_out or ():
        task, mark, path = one.partition("=")
        if not mark:
            raise InvalidInput(f"--left-out {one!r} names no folder", "write TASK=FOLDER")
        strangers[task] = Path(path)
    with place_at(on, workers=workers, threads=used or 1) as place:
        evaluation = evaluate_files(
            RewardModel.load(folder, threads=used),
            pools,
            data,
            note,
            trained=trained or (),
            left_out=strangers,
            place=place,
            folder=folder,
            threads=used,
        )
    if as_json:
        emit_json(evaluation)
        return
    from rich.table import Table

    sizes = sorted({row["n"] for row in evaluation["rows"] if row["n"] > 1})
    for policy in evaluation["policies"]:
        rows = [row for row in evaluation["rows"] if row["policy"] == policy]
        for task in dict.fromkeys(row["task"] for row in rows):
            title = f"{task}, policy {policy}: share of headroom"
            table = Table("rule", *(f"N={size}" for size in sizes), title=title)
            for rule in dict.fromkeys(row["selector"] for row in rows if row["task"] == task):
                cells = {row["n"]: row for row in rows if row["task"] == task and row["selector"] == rule}
                table.add_row(rule, *(_share(cells[size]) for size in sizes if size in cells))
            console().print(table)


def _share(row: dict[str, Any]) -> str:
    return f"{row['share']:.2f} ({row['share_low']:.2f} to {row['share_high']:.2f})"
