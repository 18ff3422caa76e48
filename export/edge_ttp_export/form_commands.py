"""`edge-ttp export reward forms` and `requantize`: forms of the encoder compared, and a model written anew in one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from edge_ttp.cli.output import emit_json, note, print_table
from edge_ttp.errors import InvalidInput
from edge_ttp_export.command_options import Force, Json, print_result, reward_folder
from edge_ttp_export.extra import need_torch

TunePools = Annotated[list[Path], typer.Option("--pools", help="File of `bench temperature`. Repeat for several.")]
TextFolder = Annotated[Path, typer.Option("--data", help="Folder of the users' texts.")]


def encoder_forms(
    pools: TunePools,
    data: TextFolder,
    model: Annotated[str, typer.Option(help="Reward model: a name in the model store, or its folder.")] = (
        "reward-minilm-1"
    ),
    most: Annotated[int, typer.Option(min=1, help="Most pools, evenly from all.")] = 40,
    rounds: Annotated[int, typer.Option(min=1, help="Times that each pool is scored in each form.")] = 2,
    form: Annotated[
        list[str] | None, typer.Option("--form", help="Only this form, beside the two compared with.")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads.")] = 2,
    as_json: Json = False,
) -> None:
    """Compare forms of a reward model's encoder, all of its weights: size, load, ms for 32 candidates, ranking."""
    need_torch(threads)
    from edge_ttp_export.encoder_forms import CANDIDATES, compare

    compared = compare(
        reward_folder(model),
        _judged(pools, data, CANDIDATES, most),
        threads=threads,
        rounds=rounds,
        report=note,
        only=form or (),
    )
    if as_json:
        emit_json({"candidates": CANDIDATES, "threads": threads, "rows": [row.as_dict() for row in compared]})
        return
    header = (
        "form",
        "MB",
        "load ms",
        "encode ms",
        "score ms",
        "of today's",
        "Spearman",
        "least",
        "lost",
        "alone",
        "gates",
    )
    print_table(
        header,
        [
            (
                row.name,
                f"{row.megabytes:.1f}",
                f"{row.load_ms:.0f}",
                f"{row.encode_ms:.1f}",
                f"{row.score_ms:.1f}",
                f"{row.of_weights:.2f}",
                f"{row.spearman:.4f}",
                f"{row.spearman_least:.3f}",
                f"{row.utility_lost:+.4f}",
                f"{row.alone:.0e}",
                "pass" if row.gates else "missed",
            )
            for row in compared
        ],
    )


def requantize(
    pools: TunePools,
    data: TextFolder,
    out: Annotated[Path, typer.Option(help="Folder of models: NAME/ and NAME.toml are written there.")],
    model: Annotated[str, typer.Option(help="Reward model: a name in the model store, or its folder.")] = (
        "reward-minilm-1"
    ),
    most: Annotated[int, typer.Option(min=1, help="Most pools, evenly from all.")] = 200,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads.")] = 2,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Write a reward model anew, the same weights with the encoder's products in whole numbers, if the gates pass."""
    need_torch(threads)
    from edge_ttp_export.requantize import requantize as run
    from edge_ttp_export.rungs import SIZE

    found = run(reward_folder(model), _judged(pools, data, SIZE, most), out, threads=threads, report=note, force=force)
    shown = [{"name": gate.name, "value": gate.value, "limit": gate.limit, "passed": gate.passed} for gate in found]
    print_result({"folder": str(out), "gates": shown}, as_json, f"{out}: written, all gates passed")


def _judged(files: list[Path], data: Path, size: int, most: int) -> list[Any]:
    """At most `most` of the pools, evenly from all of them."""
    from edge_ttp_export.encoder_forms import JudgedQuery
    from edge_ttp_export.tune_queries import tune_queries

    found = [JudgedQuery(query, drawn) for query, drawn in tune_queries(files, data, size, note)]
    if not found:
        raise InvalidInput(
            f"no pool has {size} candidates at its highest temperature", "draw more: `bench temperature`"
        )
    return found[:: max(1, -(-len(found) // most))]
