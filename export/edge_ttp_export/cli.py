"""`edge-ttp export`: policies as GGUF, pools, and the reward model's training, export and evaluation."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from edge_ttp.cli.options import PolicyUrl
from edge_ttp.cli.output import console, emit_json, note, progress
from edge_ttp.errors import InvalidInput
from edge_ttp.system.output_file import prepared_output
from edge_ttp.system.output_folder import output_folder
from edge_ttp_export.extra import need, need_torch
from edge_ttp_export.policy import commands as policy_commands

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False, help=__doc__
)
reward = typer.Typer(no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)
policy_commands.add_to(app)
app.add_typer(reward, name="reward", help="The reward model: shorten its encoder, train, export to ONNX, evaluate.")

Data = Annotated[list[Path], typer.Option("--data", help="File of texts (JSON lines). Repeat for several.")]
Pools = Annotated[list[Path], typer.Option("--pools", help="File made by `export pools`. Repeat for several.")]
EncoderFolder = Annotated[Path, typer.Option("--encoder", help="Folder made by `export reward encoder`.")]
SalienceFolder = Annotated[Path, typer.Option("--salience", help="Folder made by `export reward salience`.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Threads = Annotated[int | None, typer.Option(min=1, help="CPU threads. Default: all.")]
Force = Annotated[bool, typer.Option("--force", help="Replace what is there already.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of everything random.")]


@app.command()
def pools(
    data: Annotated[Path, typer.Option(help="File of texts: JSON lines with user_id, order, input, output.")],
    out: Annotated[Path, typer.Option(help="Pool file to write or continue (.jsonl.zst).")],
    model: Annotated[
        str | None, typer.Option(help="Policy: a name in the store or a .gguf file. Default: smollm2-135m-instruct.")
    ] = None,
    policy_url: PolicyUrl = None,
    n: Annotated[int, typer.Option(min=1, max=256, help="Candidates per query.")] = 32,
    queries: Annotated[int, typer.Option(min=1, help="Queries in all; an existing file is continued.")] = 400,
    examples: Annotated[int, typer.Option(min=0, max=64, help="Recalled items in the prompt.")] = 4,
    max_tokens: Annotated[int, typer.Option(min=1, max=8192, help="Longest candidate in tokens.")] = 64,
    temperature: Annotated[float, typer.Option(min=0, max=5, help="Sampling temperature.")] = 0.8,
    part: Annotated[
        str | None, typer.Option(metavar="train|tune|report", help="Only users of this part of the split.")
    ] = None,
    min_items: Annotated[int, typer.Option(min=0, help="Only users with at least so many items.")] = 0,
    min_history: Annotated[int, typer.Option(min=0, help="Fewest earlier items of a query's user.")] = 4,
    seed: Seed = 1,
    threads: Threads = None,
    as_json: Json = False,
) -> None:
    """Draw candidates for users' past queries and label them. Interrupted runs go on where they stopped."""
    need("sacrebleu", "zstandard")
    from edge_ttp.paths import locate
    from edge_ttp.registry.model_store import Registry
    from edge_ttp.reward.session import default_threads
    from edge_ttp.schema import Sampling
    from edge_ttp_export.draw_pools import Recipe, Who, make_pools
    from edge_ttp_export.user_split import PARTS

    wanted = next((one for one in PARTS if one == part), None)
    if part is not None and wanted is None:
        raise InvalidInput(f"there is no part {part!r}", f"choose one of {', '.join(PARTS)}")
    located = None if policy_url else Registry(locate()).locate(model or "smollm2-135m-instruct", kind="policy")
    recipe = Recipe(
        n=n,
        examples=examples,
        max_tokens=max_tokens,
        sampling=Sampling(temperature=temperature),
        seed=seed,
        style=(located.prompt_style if located else None) or "few-shot",
    )
    with progress("pools", queries, unit="pools") as advance:
        last = [0.0]

        def report(done: int, wanted: int, left_s: float) -> None:
            advance(done)
            if time.monotonic() - last[0] > 30 or done == wanted:
                last[0] = time.monotonic()
                note(f"{data.name}: {done} of {wanted} pools, {left_s / 60:.0f} min left")

        count = make_pools(
            data,
            located.path if located else model,
            out,
            recipe,
            queries=queries,
            threads=threads or default_threads(),
            report=report,
            who=Who(wanted, min_items, min_history),
            policy_url=policy_url,
        )
    _print({"file": str(out), "pools": count}, as_json, f"{out}: {count} pools")


@app.command()
def scores(
    pools: Pools,
    data: Data,
    encoder: EncoderFolder,
    salience: SalienceFolder,
    trained: Annotated[
        list[str], typer.Option("--trained", metavar="NAME=FOLDER", help="A trained network. Repeat for several.")
    ],
    out: Annotated[Path, typer.Option(help="Score file to write (.npz).")],
    policy: Annotated[
        list[str] | None,
        typer.Option("--policy", metavar="NAME=SHA256", help="Name of a policy, by how its file's SHA-256 begins."),
    ] = None,
    queries: Annotated[int, typer.Option(min=1, help="Most queries of each file, the first ones.")] = 400,
    threads: Threads = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Write what `edge-ttp reproduce` reads: scores and utilities under hashed ids, without texts."""
    need_torch(threads)
    from edge_ttp_export.graphs import ReaderFolders
    from edge_ttp_export.scores import run_scores

    prepared_output(out, force=force)
    networks = {name: Path(folder) for name, folder in map(_pair, trained)}
    policies = {digest: name for name, digest in map(_pair, policy or [])}
    facts = run_scores(
        pools,
        data,
        ReaderFolders(encoder, salience),
        networks,
        out,
        policies=policies,
        queries=queries,
        report=note,
        force=force,
    )
    _print(facts, as_json, f"{out}: {facts['queries']} queries, {facts['bytes']:,} bytes")


@app.command()
def ladder(
    pools: Annotated[list[Path], typer.Option("--pools", help="File of `bench temperature`. Repeat for several.")],
    data: Annotated[Path, typer.Option("--data", help="Folder of the users' texts.")],
    work: Annotated[Path, typer.Option("--work", help="Folder for what is trained, to go on with later.")],
    out: Annotated[Path, typer.Option(help="Score file to write (.npz).")],
    model: Annotated[str, typer.Option("--reward", help="The shipped reward model, whose encoder all rungs use.")] = (
        "reward-minilm-1"
    ),
    seeds: Annotated[int, typer.Option(min=1, help="Of every rung and arm.")] = 5,
    threads: Threads = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Train the ladder from the standard reward model up, and write its scores for `edge-ttp reproduce --ladder`."""
    need_torch(threads)
    from edge_ttp.paths import locate
    from edge_ttp.registry.model_store import Registry
    from edge_ttp.reward.model import RewardModel
    from edge_ttp_export.rungs import climb, read_pools, write_ladder

    prepared_output(out, force=force)
    reward = RewardModel.load(Registry(locate()).reward_folder(model), threads=threads)
    read = read_pools(pools, data, reward, note)
    climb(read, work, seeds=seeds, report=note)
    size = write_ladder(read, work, out, reward, seeds=seeds, force=force)
    _print({"file": str(out), "pools": len(read), "bytes": size}, as_json, f"{out}: {len(read)} pools, {size:,} bytes")


@app.command()
def rows(
    pools: Pools,
    data: Data,
    out: Annotated[Path, typer.Option(help="File to write (.jsonl.zst).")],
    part: Annotated[str | None, typer.Option(help="Only users of this part: train, tune or report.")] = None,
    model: Annotated[
        str | None, typer.Option("--reward", help="Add this reward model's scores, and leave the texts out.")
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Write pools as rows that `edge-ttp diagnose` reads: a candidate a line, with utility, and text or score."""
    need("zstandard")
    from edge_ttp_export.candidate_rows import write_rows
    from edge_ttp_export.user_split import PARTS

    if part is not None and part not in PARTS:
        raise InvalidInput(f"there is no part {part!r}", f"choose {', '.join(PARTS)}")
    prepared_output(out, force=force)
    if model is None:
        count = write_rows(pools, data, out, part, force=force)
    else:
        from edge_ttp.paths import locate
        from edge_ttp.registry.model_store import Registry
        from edge_ttp.reward.model import RewardModel
        from edge_ttp_export.candidate_rows import write_scored_rows

        folder = Registry(locate()).reward_folder(model)
        known: Any = part
        reward = RewardModel.load(folder)
        count = write_scored_rows(pools, data, out, known, reward=reward, report=note, force=force)
    _print({"file": str(out), "rows": count}, as_json, f"{out}: {count} rows")


def _pair(text: str) -> tuple[str, str]:
    name, between, value = text.partition("=")
    if not (name and between and value):
        raise InvalidInput(f"{text!r} is no pair", "write NAME=VALUE")
    return name, value


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
    _print(found, as_json, f"{out}: cosine with the full encoder {found['cosine']:.3f}, rank {found['spearman']:.3f}")


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
    _print({"folder": str(out), "left_out": items}, as_json, f"{out}: written, {items} items of pools left out")


@reward.command()
def train(
    pools: Pools,
    data: Data,
    encoder: EncoderFolder,
    salience: SalienceFolder,
    out: Annotated[Path, typer.Option(help="Folder to write the trained network to.")],
    loss: Annotated[str, typer.Option(help="beta-nll, mse, bradley-terry or listwise.")] = "beta-nll",
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
    seed: Seed = 1,
    threads: Threads = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Train the reward network on train users' pools; tune users stop it."""
    need_torch(threads)
    from edge_ttp_export.graphs import ReaderFolders
    from edge_ttp_export.train_run import run_training

    if loss not in ("beta-nll", "mse", "bradley-terry", "listwise"):
        raise InvalidInput(f"there is no loss {loss!r}", "choose beta-nll, mse, bradley-terry or listwise")
    with output_folder(out, force=force) as folder:
        facts = run_training(
            pools,
            data,
            ReaderFolders(encoder, salience),
            folder,
            loss=loss,
            beta=beta,
            epochs=epochs,
            seed=seed,
            text_terms=not features_only,
            use_salience=not without_salience,
            report=note,
        )
    _print(facts, as_json, f"{out}: share {facts['tune_share']:.3f} of the headroom on tune users")


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
    _print({"model": str(out / name), "gates": shown}, as_json, f"{out / name}: written, all gates passed")


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
    threads: Threads = None,
    as_json: Json = False,
) -> None:
    """Utility and share of headroom on report users, against untrained rules and other trained networks."""
    if trained or left_out:
        need_torch(threads)
    need("zstandard")
    from edge_ttp.paths import locate
    from edge_ttp.registry.model_store import Registry
    from edge_ttp.reward.model import RewardModel
    from edge_ttp_export.evaluate_run import evaluate_files

    folder = Registry(locate()).reward_folder(model)
    strangers = {}
    for one in left_out or ():
        task, mark, path = one.partition("=")
        if not mark:
            raise InvalidInput(f"--left-out {one!r} names no folder", "write TASK=FOLDER")
        strangers[task] = Path(path)
    found = evaluate_files(
        RewardModel.load(folder, threads=threads), pools, data, note, trained=trained or (), left_out=strangers
    )
    if as_json:
        emit_json(found)
        return
    from rich.table import Table

    sizes = sorted({row["n"] for row in found["rows"] if row["n"] > 1})
    for policy in found["policies"]:
        rows = [row for row in found["rows"] if row["policy"] == policy]
        for task in dict.fromkeys(row["task"] for row in rows):
            title = f"{task}, policy {policy}: share of headroom"
            table = Table("rule", *(f"N={size}" for size in sizes), title=title)
            for rule in dict.fromkeys(row["selector"] for row in rows if row["task"] == task):
                cells = {row["n"]: row for row in rows if row["task"] == task and row["selector"] == rule}
                table.add_row(rule, *(_share(cells[size]) for size in sizes if size in cells))
            console().print(table)


def _share(row: dict[str, Any]) -> str:
    return f"{row['share']:.2f} ({row['share_low']:.2f} to {row['share_high']:.2f})"


def _print(value: dict[str, Any], as_json: bool, line: str) -> None:
    if as_json:
        emit_json(value)
    else:
        typer.echo(line)
