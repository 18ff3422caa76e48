"""`edge-ttp export ladder`, `ladder-own` and `ladder-encoder`: trains what `edge-ttp reproduce --ladder` shows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge_ttp.cli.output import note
from edge_ttp.errors import InvalidInput
from edge_ttp.system.output_file import prepared_output
from edge_ttp_export.command_options import Force, Json, Threads, print_result, reward_folder
from edge_ttp_export.extra import need, need_torch

TemperaturePools = Annotated[
    list[Path], typer.Option("--pools", help="File of `bench temperature`. Repeat for several.")
]
TextFolder = Annotated[Path, typer.Option("--data", help="Folder of the users' texts.")]
Work = Annotated[Path, typer.Option("--work", help="Folder for what is trained, to go on with later.")]
Out = Annotated[Path, typer.Option(help="Score file to write (.npz).")]
Reward = Annotated[str, typer.Option("--reward", help="The shipped reward model, whose encoder all rungs use.")]
Seeds = Annotated[int, typer.Option(min=1, help="Of every rung and arm.")]


def add_to(app: typer.Typer) -> None:
    """The three commands."""
    app.command()(ladder)
    app.command("ladder-own")(ladder_own)
    app.command("ladder-encoder")(ladder_encoder)


def ladder(
    pools: TemperaturePools,
    data: TextFolder,
    work: Work,
    out: Out,
    model: Reward = "reward-minilm-1",
    seeds: Seeds = 5,
    threads: Threads = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Train the ladder from the standard reward model up, and write its scores for `edge-ttp reproduce --ladder`."""
    need_torch(threads)
    from edge_ttp.reward.model import RewardModel
    from edge_ttp_export.rungs import climb, read_pools, write_ladder

    prepared_output(out, force=force)
    reward = RewardModel.load(reward_folder(model), threads=threads)
    read = read_pools(pools, data, reward, note)
    climb(read, work, seeds=seeds, report=note)
    size = write_ladder(read, work, out, reward, seeds=seeds, force=force)
    _written(out, "pools", len(read), size, as_json)


def ladder_own(
    own: Annotated[list[Path], typer.Option("--own", help="File of `export pools`: many pools of few users.")],
    texts: Annotated[list[Path], typer.Option("--texts", help="File of texts that --own was drawn from.")],
    pools: TemperaturePools,
    data: TextFolder,
    work: Work,
    out: Out,
    model: Reward = "reward-minilm-1",
    seeds: Seeds = 5,
    threads: Threads = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Train the standard reward model on 2, 4, 8 and 20 pools of one user alone, and online updates beside it.

    Of tune users with 20 pools to learn from and 6 later ones. --pools are other users' pools, which a network of the
    whole population learns from, judged on the same later pools.
    """
    need_torch(threads)
    need("zstandard")
    from edge_ttp.reward.model import RewardModel
    from edge_ttp_export.own_rungs import learn_alone, read_own, write_own
    from edge_ttp_export.rungs import read_pools

    prepared_output(out, force=force)
    reward = RewardModel.load(reward_folder(model), threads=threads)
    users = read_own(own, texts, reward, note)
    names = {user.name for user in users}
    others = [pool for pool in read_pools(pools, data, reward, note) if pool.user not in names]
    learn_alone(users, others, work, reward, seeds=seeds, report=note)
    size = write_own(users, work, out, reward, seeds=seeds, force=force)
    _written(out, "users", len(users), size, as_json)


def ladder_encoder(
    pools: TemperaturePools,
    data: TextFolder,
    work: Work,
    out: Out,
    model: Reward = "reward-minilm-1",
    seeds: Seeds = 1,
    arm: Annotated[
        list[str] | None, typer.Option("--arm", help="Only this loss of a fine-tuned encoder. Repeat for several.")
    ] = None,
    threads: Threads = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Train the bottom rung with the encoder's last layers, and a cross-encoder, on the ladder's pools."""
    from edge_ttp.lab.reproduction.ladder import ARMS

    unknown = sorted(set(arm or ()) - set(ARMS))
    if unknown:
        raise InvalidInput(f"there is no loss {unknown[0]!r}", f"choose from {', '.join(ARMS)}")
    need_torch(threads)
    from edge_ttp.reward.model import RewardModel
    from edge_ttp_export.encoder_rungs import read_texts, tune_encoders, write_tuned
    from edge_ttp_export.rungs import read_pools

    prepared_output(out, force=force)
    reward = RewardModel.load(reward_folder(model), threads=threads)
    read = read_pools(pools, data, reward, note)
    written = read_texts(pools, data, note)
    tune_encoders(read, written, work, seeds=seeds, arms=arm, report=note)
    size = write_tuned(read, work, out, force=force)
    _written(out, "pools", len(read), size, as_json)


def _written(out: Path, what: str, count: int, size: int, as_json: bool) -> None:
    text = f"{out}: {count} {what}, {size:,} bytes"
    print_result({"file": str(out), what: count, "bytes": size}, as_json, text)
