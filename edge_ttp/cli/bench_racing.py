"""`edge-ttp bench racing`: what dropping candidates halfway would save and cost, on pools drawn to their end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from edge_ttp.cli import options
from edge_ttp.cli.bench_pools import ALL_QUERIES, Corpus, Judge, Pools, corpus_folder, in_words
from edge_ttp.cli.output import emit_json, note, print_table, progress
from edge_ttp.errors import InvalidInput

if TYPE_CHECKING:
    from edge_ttp.lab.bench.racing import JudgedBeginnings


def racing(
    pools: Pools,
    data: Corpus = None,
    model: options.Model = None,
    reward: Judge = None,
    n: Annotated[int, typer.Option("--n", min=4, max=64, help="Candidates that race.")] = 16,
    threads: options.Threads = None,
    as_json: options.AsJson = False,
) -> None:
    """Regret and time of dropping candidates at one to three checkpoints, by what the judge says of their beginnings.

    On pools that `bench temperature` drew for tune users, long ones alone; nothing is drawn. Every temperature's
    candidates are a pool. Intervals: central 95%, users resampled.
    """
    from edge_ttp.budget.cost import fit
    from edge_ttp.budget.device import cores
    from edge_ttp.lab.bench.corpus import queries, tasks_of
    from edge_ttp.lab.bench.drawing import DrawnText
    from edge_ttp.lab.bench.racing import LONG, RULES, STRETCHED, Pace, judged, rows
    from edge_ttp.lab.bench.resumable import Resumable
    from edge_ttp.lab.bench.scored_pools import TUNE
    from edge_ttp.paths import locate
    from edge_ttp.policy.llama import LlamaPolicy
    from edge_ttp.registry import DEFAULT_POLICY, DEFAULT_REWARD, Registry
    from edge_ttp.reward.model import RewardModel
    from edge_ttp.reward.user_profile import VectorMemory

    folder = corpus_folder(data)
    registry = Registry(locate())
    judge = RewardModel.load(registry.locate(reward or DEFAULT_REWARD, kind="reward").path, threads=threads)
    policy = LlamaPolicy(registry.locate(model or DEFAULT_POLICY, kind="policy").path, threads=threads or cores())
    try:
        timed = policy.measure()
        found: list[tuple[str, JudgedBeginnings]] = []
        seconds: list[float] = []
        for file in pools:
            _, drawn = Resumable.read(file)
            asked = [
                one for one in queries(folder, tasks_of(drawn), tenths=TUNE, count=ALL_QUERIES) if one.key in drawn
            ]
            with options.interruptible() as cancel, progress(f"judging {file.name}", len(asked), "queries") as advance:
                for done, query in enumerate(asked, 1):
                    if cancel.is_set():
                        break
                    candidates = [DrawnText.of(one) for one in drawn[query.key]["candidates"]]
                    made, took = judged(
                        judge,
                        query,
                        candidates,
                        VectorMemory(),
                        lambda text, at: policy.text(policy.tokens(text)[:at]),
                        n=n,
                    )
                    found += [(f"{query.task}/{query.item.user_id}", one) for one in made]
                    seconds += [took] * bool(made)
                    advance(done)
    finally:
        policy.close()
    if not found:
        raise InvalidInput(
            f"the files hold no pools of {n} candidates of {LONG} tokens and more",
            "draw some: edge-ttp bench temperature",
        )
    pace = Pace.of(fit(timed.chunks, timed.steps), sorted(seconds)[len(seconds) // 2])
    with progress("racing", len(RULES), "rules") as advance:
        table = rows(found, pace, advance=advance)
    if as_json:
        emit_json({"rows": [row.as_dict() for row in table], "n": n, "judge_s": pace.judge_s})
        return
    print_table(
        ("rule", "regret", "of headroom", "x faster", f"x faster at {STRETCHED}"),
        [
            (row.rule, in_words(row.regret), f"{row.of_headroom:+.1%}", f"{row.faster:.2f}", f"{row.faster_long:.2f}")
            for row in table
        ],
    )
    note(
        f"{table[0].pools} pools of {n} candidates, {table[0].users} users; drawing and judging, the prompt cached; "
        f"judging takes {pace.judge_s * 1e3:.1f} ms a text"
    )
