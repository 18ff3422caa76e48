"""`edge-ttp bench quality` and `bench swap`: what answers are worth and whose they sound like, way by way."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_ttp.cli import options
from edge_ttp.cli.bench_pools import corpus_folder
from edge_ttp.cli.options import DATA_VARIABLE
from edge_ttp.cli.output import emit_json, note, print_table, progress
from edge_ttp.errors import InvalidInput
from edge_ttp.system.output_file import checked_output, text_output

if TYPE_CHECKING:
    from edge_ttp.lab.bench.quality import QualityRow, VoiceQuality

PoolFiles = Annotated[
    list[Path],
    typer.Option(
        "--pools", help="File for what is drawn, to go on with. More, also of `bench temperature`, may follow."
    ),
]
Folder = Annotated[Path | None, typer.Option("--data", help=f"Folder of the users' texts. Default: {DATA_VARIABLE}.")]


def quality(
    pools: PoolFiles,
    data: Folder = None,
    model: options.Model = None,
    reward: Annotated[str | None, typer.Option("--reward", help="Reward model. Default: the default one.")] = None,
    task: Annotated[
        list[str] | None, typer.Option("--task", help="May be repeated. Default: six in training, two left out.")
    ] = None,
    users: Annotated[int, typer.Option("--users", min=0, help="Users a task, eight queries each; 0 draws none.")] = 4,
    minutes: Annotated[
        float | None, typer.Option("--minutes", min=0.1, help="Stop drawing after so long; run again to go on.")
    ] = None,
    part: Annotated[str, typer.Option("--part", metavar="tune|report", help="Whose texts.")] = "tune",
    out: Annotated[Path | None, typer.Option("--out", help="Write the page about it here.")] = None,
    force: options.Force = False,
    threads: options.Threads = None,
    as_json: options.AsJson = False,
) -> None:
    """Utility and voice of every way to answer: one answer, best of N, no history, a stranger's, copies, consensus.

    Draws what the first --pools lacks, and may be interrupted and run again to go on. What decides anything is measured
    on tune users; report users are those who were in no pool before, and are looked at once.
    """
    from edge_ttp.lab.bench import quality as measurement
    from edge_ttp.lab.bench import quality_pools
    from edge_ttp.lab.bench.halves import halved_queries
    from edge_ttp.lab.bench.quality_page import page
    from edge_ttp.lab.bench.report_set import tenths_of
    from edge_ttp.lab.bench.resumable import Resumable
    from edge_ttp.paths import locate
    from edge_ttp.registry import DEFAULT_POLICY, DEFAULT_REWARD, Registry
    from edge_ttp.reward.model import RewardModel

    folder, registry = corpus_folder(data), Registry(locate())
    tasks = task or [*quality_pools.TASKS, *quality_pools.LEFT_OUT[:2]]
    tenths = tenths_of(part, folder, tasks)
    if out is not None:
        checked_output(out, force=force)
    located = registry.locate(model or DEFAULT_POLICY, kind="policy")
    if users:
        from edge_ttp.budget.device import cores
        from edge_ttp.policy.llama import LlamaPolicy

        wanted = halved_queries(folder, tasks, tenths=tenths, users=users)
        recipe = quality_pools.QualityRecipe(located.sha256, located.prompt_style or "few-shot")
        policy = LlamaPolicy(located.path, threads=threads or cores())
        try:
            with options.interruptible() as cancel, progress("drawing", len(wanted), "queries") as advance:
                held = quality_pools.draw(
                    policy, wanted, pools[0], recipe, advance=advance, cancel=cancel, minutes=minutes
                )
        finally:
            policy.close()
        note(f"{pools[0]} holds {held} queries of {len(wanted)}")
    judging = RewardModel.load(registry.locate(reward or DEFAULT_REWARD, kind="reward").path, threads=threads)
    trained = measurement.tasks_trained_on(judging)
    answers: measurement.Found = {}
    voices: list[VoiceQuality] = []
    made = []
    for file in pools:
        header, drawn = Resumable.read(file)
        with options.interruptible() as cancel, progress(f"judging {file.name}", len(drawn), "queries") as advance:
            judged = measurement.judge(judging, folder, file, tenths, advance=advance, cancel=cancel)
        answers |= judged.answers
        made.append(f"{len(judged.answers)} queries, {header['results']}, policy file {str(header['model'])[:12]}")
        if judged.halved:
            voices = measurement.voice_rows(judged, folder, tenths, int(header["each"]), trained=trained)
    if not answers:
        raise InvalidInput("the files hold no pools of these users", "draw some with --users")
    rows = measurement.utility_rows(answers, trained)
    facts: dict[str, Any] = {"policy": located.name, "reward": judging.name, "part": part, "made": made}
    if out is not None:
        with text_output(out, force=force) as written:
            written.write(page(rows, voices, facts))
        note(f"wrote {out}")
    if as_json:
        emit_json({"rows": [row.as_dict() for row in rows], "voice": [row.as_dict() for row in voices], **facts})
        return
    _print(rows, voices)


def _print(rows: list[QualityRow], voices: list[VoiceQuality]) -> None:
    from edge_ttp.lab.bench.quality import REFERENCE
    from edge_ttp.lab.bench.quality_page import with_interval

    print_table(
        ("tasks", "way", "queries", "users", "utility", f"over {REFERENCE}", "over greedy"),
        [
            (
                row.group,
                row.way,
                str(row.queries),
                str(row.users),
                f"{row.utility:.3f}",
                with_interval(row.over_reference),
                with_interval(row.over_greedy),
            )
            for row in rows
        ],
    )
    if voices:
        print_table(
            ("tasks", "way", "users", "n-grams", "learned", "human", f"n-grams over {REFERENCE}"),
            [
                (
                    row.group,
                    row.way,
                    str(row.users),
                    f"{row.voice['n-grams']:+.2f}",
                    f"{row.voice['learned']:+.2f}",
                    f"{row.human:.2f}",
                    with_interval(row.over_reference["n-grams"], 2),
                )
                for row in voices
            ],
        )


def swap(
    pools: Annotated[Path, typer.Option("--pools", help="File drawn by `bench quality`.")],
    data: Folder = None,
    reward: Annotated[str | None, typer.Option("--reward", help="Reward model. Default: the default one.")] = None,
    part: Annotated[str, typer.Option("--part", metavar="tune|report", help="Whose texts.")] = "tune",
    threads: options.Threads = None,
    as_json: options.AsJson = False,
) -> None:
    """History in the prompt x history of the reward model, own or a stranger's: utility and voice of what is chosen.

    The same seeds throughout. Strangers are near in subject, far in style, and have as many items; the reward model is
    shown up to eight of them in turn. `detects`: the loss that these queries would show four times in five.
    """
    from edge_ttp.lab.bench.corpus import tasks_of
    from edge_ttp.lab.bench.report_set import tenths_of
    from edge_ttp.lab.bench.resumable import Resumable
    from edge_ttp.lab.bench.swapping import measure
    from edge_ttp.paths import locate
    from edge_ttp.registry import DEFAULT_REWARD, Registry
    from edge_ttp.reward.model import RewardModel

    folder = corpus_folder(data)
    judging = RewardModel.load(Registry(locate()).locate(reward or DEFAULT_REWARD, kind="reward").path, threads=threads)
    _, drawn = Resumable.read(pools)
    with options.interruptible() as cancel, progress("swapping", len(drawn), "queries") as advance:
        tenths = tenths_of(part, folder, tasks_of(drawn))
        rows = measure(judging, folder, pools, tenths, advance=advance, cancel=cancel)
    if as_json:
        emit_json({"rows": [row.as_dict() for row in rows]})
        return
    from edge_ttp.lab.bench.quality_page import with_interval

    print_table(
        ("in the prompt", "of the judge", "queries", "utility", "lost", "detects", "voice", "voice lost"),
        [
            (
                row.prompt,
                row.judge,
                str(row.queries),
                f"{row.utility:.3f}",
                with_interval(row.lost),
                f"{row.detects:.3f}",
                f"{row.voice:+.2f}",
                with_interval(row.voice_lost, 2),
            )
            for row in rows
        ],
    )
