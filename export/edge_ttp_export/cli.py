"""`edge-ttp export`: policies as GGUF, pools, and the reward model's training, export and evaluation."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from edge_ttp.cli.options import PolicyUrl
from edge_ttp.cli.output import emit_json, note, progress
from edge_ttp.errors import InvalidInput
from edge_ttp.system.output_file import prepared_output
from edge_ttp_export import ladder_commands, reward_commands
from edge_ttp_export.command_options import (
    Data,
    Force,
    Json,
    On,
    Pools,
    Seed,
    Threads,
    Workers,
    WorkerThreads,
    print_result,
    reward_folder,
    threads_for,
)
from edge_ttp_export.extra import need, need_torch
from edge_ttp_export.places.named import place_at
from edge_ttp_export.policy import commands as policy_commands
from edge_ttp_export.restoring_commands import small_words

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False, help=__doc__
)
policy_commands.add_to(app)
ladder_commands.add_to(app)
app.command()(small_words)
app.add_typer(
    reward_commands.reward,
    name="reward",
    help="The reward model: shorten its encoder, train, export to ONNX, evaluate.",
)


@app.command()
def pools(
    data: Annotated[Path, typer.Option(help="File of texts: JSON lines with user_id, order, input, output.")],
    out: Annotated[Path, typer.Option(help="Pools to write or continue: a file (.jsonl.zst), or a folder (.parquet).")],
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
    on: On = "local",
    workers: Workers = None,
    threads: WorkerThreads = None,
    as_json: Json = False,
) -> None:
    """Draw candidates for users' past queries and label them. Interrupted runs go on where they stopped.

    Pools are the same wherever they are drawn, with the same --threads.
    """
    need("sacrebleu", "zstandard")
    from edge_ttp.paths import locate
    from edge_ttp.registry.model_store import Registry
    from edge_ttp.schema import Sampling
    from edge_ttp_export.draw_pools import Who, make_pools
    from edge_ttp_export.pool_drawer import Recipe
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
    used = threads_for(on, workers, threads)
    with place_at(on, workers=workers, threads=used) as place, progress("pools", queries, unit="pools") as advance:
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
            threads=used,
            report=report,
            who=Who(wanted, min_items, min_history),
            policy_url=policy_url,
            place=place,
        )
    print_result({"file": str(out), "pools": count}, as_json, f"{out}: {count} pools")


@app.command()
def scores(
    pools: Pools,
    data: Data,
    out: Annotated[Path, typer.Option(help="Score file to write (.npz).")],
    model: Annotated[
        str | None, typer.Option("--reward", help="A finished reward model: a name in the model store, or its folder.")
    ] = None,
    trained: Annotated[
        list[str] | None,
        typer.Option("--trained", metavar="NAME=FOLDER", help="A trained network. Repeat for several."),
    ] = None,
    encoder: Annotated[
        Path | None, typer.Option("--encoder", help="The trained networks': folder made by `export reward encoder`.")
    ] = None,
    salience: Annotated[
        Path | None, typer.Option("--salience", help="The trained networks': folder made by `export reward salience`.")
    ] = None,
    policy: Annotated[
        list[str] | None,
        typer.Option("--policy", metavar="NAME=SHA256", help="Name of a policy, by how its file's SHA-256 begins."),
    ] = None,
    queries: Annotated[int, typer.Option(min=1, help="Most queries of each file, the first ones.")] = 400,
    threads: Threads = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Write what `edge-ttp reproduce` reads: scores and utilities under hashed ids, without texts.

    Of a finished reward model (--reward), of networks in training (--trained, with --encoder and --salience), or both.
    """
    need_torch(threads)
    from edge_ttp.reward.model import RewardModel
    from edge_ttp_export.graphs import ReaderFolders
    from edge_ttp_export.scores import run_scores

    prepared_output(out, force=force)
    networks = {name: Path(folder) for name, folder in map(_pair, trained or [])}
    policies = {digest: name for name, digest in map(_pair, policy or [])}
    facts = run_scores(
        pools,
        data,
        ReaderFolders(encoder, salience) if encoder and salience else None,
        networks,
        out,
        reward=RewardModel.load(reward_folder(model), threads=threads) if model else None,
        policies=policies,
        queries=queries,
        report=note,
        force=force,
    )
    print_result(facts, as_json, f"{out}: {facts['queries']} queries, {facts['bytes']:,} bytes")


@app.command()
def rows(
    pools: Pools,
    data: Data,
    out: Annotated[Path, typer.Option(help="File to write (.jsonl.zst or .parquet).")],
    part: Annotated[str | None, typer.Option(help="Only users of this part: train, tune or report.")] = None,
    model: Annotated[
        str | None, typer.Option("--reward", help="Add this reward model's scores, and leave the texts out.")
    ] = None,
    on: On = "local",
    workers: Workers = None,
    threads: WorkerThreads = None,
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
    folder = None if model is None else reward_folder(model)
    used = threads_for(on, workers, threads)
    with place_at(on, workers=workers, threads=used) as place:
        count = write_rows(pools, data, out, part, reward=folder, report=note, place=place, threads=used, force=force)
    print_result({"file": str(out), "rows": count}, as_json, f"{out}: {count} rows")


@app.command()
def growth(
    data: Annotated[Path, typer.Option(help="File of texts.")],
    model: Annotated[
        list[str] | None, typer.Option(help="Policy: a name in the store or a .gguf file. Repeat for several sizes.")
    ] = None,
    n: Annotated[int, typer.Option(min=1, max=256, help="Candidates per query.")] = 4,
    max_tokens: Annotated[int, typer.Option(min=1, help="Longest candidate in tokens.")] = 12,
    queries: Annotated[int, typer.Option(min=16, help="Queries of each measurement.")] = 40,
    rounds: Annotated[int, typer.Option(min=1, help="How often local and Ray take turns.")] = 3,
    only: Annotated[
        list[str] | None, typer.Option(metavar="PART", help="places, sizes or simulated alone; may be repeated.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure how drawing pools grows with workers, N and models, and what Ray costs (extra: scale).

    `places`: the same queries by one and two workers, locally and on Ray. `sizes`: by N and policy. `simulated`:
    clusters of up to 32 workers on four nodes, which sleep as long as a query takes.
    """
    need("sacrebleu", "zstandard")
    from edge_ttp.paths import locate
    from edge_ttp.registry.model_store import Registry
    from edge_ttp_export import growth as measured
    from edge_ttp_export.places.on_ray import ray_module
    from edge_ttp_export.pool_drawer import Recipe

    wanted = only or ["places", "sizes", "simulated"]
    if unknown := {*wanted} - {"places", "sizes", "simulated"}:
        raise InvalidInput(f"no part is called {min(unknown)!r}", "choose from places, sizes, simulated")
    if wanted != ["sizes"]:
        ray_module()
    registry = Registry(locate())
    found = [registry.locate(name, kind="policy") for name in model or ["smollm2-135m-instruct"]]
    policies = {one.name: one.path for one in found}
    recipe = Recipe(n=n, max_tokens=max_tokens, style=found[0].prompt_style or "few-shot")
    taken: dict[str, Any] = {"data": data.name, "recipe": recipe.as_dict(), "queries": queries}
    if "places" in wanted:
        places = measured.paired_places(data, found[0].path, recipe, queries=queries, rounds=rounds, report=note)
        taken["places"] = [one.as_dict() for one in places]
    if "sizes" in wanted:
        taken["sizes"] = measured.sizes(data, policies, recipe, queries=max(queries // 4, 8), report=note)
    if "simulated" in wanted:
        taken["simulated"] = measured.simulated(note)
    if as_json:
        emit_json(taken)
        return
    for one in taken.get("places", ()):
        typer.echo(
            f"{one['workers']} workers: {one['local_rate']:.2f} queries/s locally, {one['ray_rate']:.2f} on Ray: "
            f"overhead of a query {one['overhead']:+.1%} (rounds {min(one['overheads']):+.1%} to "
            f"{max(one['overheads']):+.1%})"
        )
    for one in taken.get("sizes", ()):
        typer.echo(f"{one['model']}, N={one['n']}: {one['seconds']:.3f} s a query")
    for one in taken.get("simulated", ()):
        whom = f"{one['workers']} workers on {one['nodes']} nodes"
        typer.echo(f"simulated, {whom}: {one['rate']:.1f} of {one['ideal']:.1f} a second")


def _pair(text: str) -> tuple[str, str]:
    name, between, value = text.partition("=")
    if not (name and between and value):
        raise InvalidInput(f"{text!r} is no pair", "write NAME=VALUE")
    return name, value
