"""docs/measured/quality.md, from the rows of `edge-ttp bench quality`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import isfinite
from typing import Any

from edge_ttp.lab.bench.ladders import Difference
from edge_ttp.lab.bench.quality import ALL, GROUPS, NOT_TRAINED, OWN_TEXTS, REFERENCE, TRAINED, QualityRow, VoiceQuality
from edge_ttp.lab.bench.voice_scale import VERIFIERS

NAMES = {
    ALL: "All tasks",
    TRAINED: "Tasks that the reward model was trained on",
    NOT_TRAINED: "Tasks that it was not trained on",
}


def page(utility: Sequence[QualityRow], voice: Sequence[VoiceQuality], facts: dict[str, Any]) -> str:
    """The page as Markdown. `facts`: the policy, the reward model, whose users, and how the files were made."""
    lines = [
        "# Quality: what an answer is worth, and whose it sounds like",
        "",
        "Made by `edge-ttp bench quality --out docs/measured/quality.md`; edits here are lost.",
        "",
        f"Policy {facts['policy']}, reward model {facts['reward']}, {facts['part']} users. Utility: agreement with",
        "what the user really wrote (mean of ROUGE-1 and ROUGE-L F1), every user counting the same. Differences are",
        "paired, over the queries that both ways answer, with central 95% intervals, users resampled.",
        "",
        f"What is compared: `{REFERENCE}` draws so many candidates at T=.8 and chooses as `generate` does; one answer",
        "at a temperature; no history, or a stranger's (as many items, near in subject, far in style) in the prompt",
        "and for the judge; the top recalled output copied; the first words of the input, as many as the user usually",
        "writes; the candidate most like the others (consensus), and most like those that the judge thinks good",
        "(reward-weighted).",
        "",
    ]
    for group in GROUPS:
        rows = [row for row in utility if row.group == group]
        if rows:
            lines += [f"## {NAMES[group]}: utility", "", *_utility(rows), ""]
    tasks = [row for row in utility if row.group not in GROUPS]
    if tasks:
        lines += ["## By task: utility", "", *_by_task(tasks), ""]
    if voice:
        lines += [
            "## Voice",
            "",
            "Bags of a user's answers against the half of their history that neither recall nor judge saw, in standard",
            "deviations above a stranger's own texts of the same length: 0 is a stranger. Two verifiers of different",
            "kinds, and the parts of a voice by the first; `human`: share of people's bags that lie no less far out.",
            "",
        ]
        for group in GROUPS:
            told = [row for row in voice if row.group == group]
            if told:
                lines += [f"### {NAMES[group]}", "", *_voice(told), ""]
    return "\n".join([*lines, "## How it was made", "", *(f"- {one}" for one in facts["made"]), ""])


def _utility(rows: Sequence[QualityRow]) -> list[str]:
    ranked = sorted(rows, key=lambda row: -row.over_reference.mean if isfinite(row.over_reference.mean) else 0.0)
    header = ("way", "queries", "users", "utility", f"over {REFERENCE}", "over greedy")
    return _table(
        header,
        (
            (
                row.way,
                str(row.queries),
                str(row.users),
                f"{row.utility:.3f}",
                with_interval(row.over_reference),
                with_interval(row.over_greedy),
            )
            for row in ranked
        ),
    )


def _by_task(rows: Sequence[QualityRow]) -> list[str]:
    tasks = list(dict.fromkeys(row.group for row in rows))
    found = {(row.group, row.way): row for row in rows}
    ways = list(dict.fromkeys(row.way for row in rows))
    cells = (
        (way, *(f"{found[task, way].utility:.3f}" if (task, way) in found else "-" for task in tasks)) for way in ways
    )
    counts = [max(row.queries for row in rows if row.group == task) for task in tasks]
    return _table(("way", *(f"{task} ({count})" for task, count in zip(tasks, counts, strict=True))), cells)


def _voice(rows: Sequence[VoiceQuality]) -> list[str]:
    ranked = sorted(rows, key=lambda row: (row.way != OWN_TEXTS, -row.voice["n-grams"]))
    header = (
        "way",
        "users",
        "texts a bag",
        *VERIFIERS,
        "human",
        f"n-grams over {REFERENCE}",
        f"learned over {REFERENCE}",
    )
    return _table(
        header,
        (
            (
                row.way,
                str(row.users),
                f"{row.bag:.0f}",
                *(f"{row.voice[name]:+.2f}" for name in VERIFIERS),
                f"{row.human:.2f}",
                with_interval(row.over_reference["n-grams"], 2),
                with_interval(row.over_reference["learned"], 2),
            )
            for row in ranked
        ),
    )


def with_interval(difference: Difference, digits: int = 3) -> str:
    """A difference with its interval; a dash where there is none."""
    if not isfinite(difference.mean):
        return "-"
    if not isfinite(difference.low):
        return f"{difference.mean:+.{digits}f}"
    return f"{difference.mean:+.{digits}f} ({difference.low:+.{digits}f} to {difference.high:+.{digits}f})"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [" | ".join(header), " | ".join("---" for _ in header), *(" | ".join(row) for row in rows)]
    return [f"| {line} |" for line in lines]
