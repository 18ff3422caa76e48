"""What the measurements on a corpus's users share: their options, drawing what is missing, and judging it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from edge_ttp.cli import options
from edge_ttp.cli.options import DATA_VARIABLE
from edge_ttp.cli.output import note, progress
from edge_ttp.errors import InvalidInput

if TYPE_CHECKING:
    from edge_ttp.lab.bench.ladders import Difference
    from edge_ttp.lab.bench.resumable import Key
    from edge_ttp.registry import Located

Found = TypeVar("Found")

ALL_QUERIES = 10**9

Pools = Annotated[
    list[Path],
    typer.Option("--pools", help="File for what is drawn, to go on with later. Several are judged together."),
]
Corpus = Annotated[Path | None, typer.Option("--data", help=f"Folder of the users' texts. Default: {DATA_VARIABLE}.")]
Judge = Annotated[str | None, typer.Option("--reward", help="Reward model. Default: the default one.")]
EnglishTask = Annotated[list[str] | None, typer.Option("--task", help="May be repeated. Default: seven English ones.")]


def drawn_and_judged(
    recipe: Callable[[Located], object],
    draw: Callable[..., int],
    judge: Callable[..., Mapping[Key, Found]],
    pools: Sequence[Path],
    *,
    data: Path | None,
    model: str | None,
    reward: str | None,
    task: Sequence[str] | None,
    queries: int,
    threads: int | None,
) -> tuple[dict[Key, Found], str]:
    """What `judge` (reward model, queries, file) finds in the files on tune users, and the reward model's name.

    Before that `draw` (policy, queries, file, recipe) adds what the one file lacks of `queries` of each task. Both are
    given `advance` and `cancel` too: Ctrl-C ends drawing, and then judging, with what there is. Raises InvalidInput
    where the files hold nothing.
    """
    from edge_ttp.budget.device import cores
    from edge_ttp.lab.bench.corpus import queries as choose
    from edge_ttp.lab.bench.corpus import tasks_of
    from edge_ttp.lab.bench.resumable import Resumable
    from edge_ttp.lab.bench.scored_pools import TUNE
    from edge_ttp.lab.bench.temperature import TASKS
    from edge_ttp.paths import locate
    from edge_ttp.policy.llama import LlamaPolicy
    from edge_ttp.registry import DEFAULT_POLICY, DEFAULT_REWARD, Registry
    from edge_ttp.reward.model import RewardModel

    folder = corpus_folder(data)
    registry = Registry(locate())
    located = registry.locate(model or DEFAULT_POLICY, kind="policy")
    if queries:
        if len(pools) > 1:
            raise InvalidInput("one run draws into one file", "give one --pools, or --queries 0 to judge several")
        wanted = choose(folder, task or TASKS, tenths=TUNE, count=queries)
        policy = LlamaPolicy(located.path, threads=threads or cores())
        try:
            with options.interruptible() as cancel, progress("drawing", len(wanted), "queries") as advance:
                held = draw(policy, wanted, pools[0], recipe(located), advance=advance, cancel=cancel)
        finally:
            policy.close()
        note(f"{pools[0]} holds the pools of {held} queries")
    judging = RewardModel.load(registry.locate(reward or DEFAULT_REWARD, kind="reward").path, threads=threads)
    found: dict[Key, Found] = {}
    for file in pools:
        _, drawn = Resumable.read(file)
        asked = [one for one in choose(folder, tasks_of(drawn), tenths=TUNE, count=ALL_QUERIES) if one.key in drawn]
        with options.interruptible() as cancel, progress(f"judging {file.name}", len(asked), "queries") as advance:
            found |= judge(judging, asked, file, advance=advance, cancel=cancel)
    if not found:
        raise InvalidInput("the files hold no pools", "draw some with --queries")
    return found, judging.name


def in_words(difference: Difference) -> str:
    """A difference with its interval and its standard error."""
    return f"{difference.mean:+.3f} ({difference.low:+.3f} to {difference.high:+.3f}; se {difference.error:.3f})"


def corpus_folder(data: Path | None) -> Path:
    """The folder of the corpus. Raises InvalidInput where none is named."""
    folder = options.data_folder(data)
    if folder is None or not folder.is_dir():
        raise InvalidInput("the folder of the users' texts is not named", f"point --data or {DATA_VARIABLE} to it")
    return folder
