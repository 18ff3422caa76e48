"""The parts of docs/measured/failure-modes.md on networks of one user alone, and on encoders that are trained too."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge_ttp.lab.diagnosis.charts import Line, lines_chart, standalone
from edge_ttp.lab.reproduction.ladder import BEYOND, CROSSED, ONLINE, OWN, POPULATION, PRIOR, TUNED, LadderRow, appears
from edge_ttp.lab.reproduction.markdown import estimate, number, table
from edge_ttp.lab.reproduction.score_file import ScoreFile
from edge_ttp.scaling.quantities import ENOUGH_USERS


def own_part(file: ScoreFile, rows: Sequence[LadderRow]) -> tuple[list[str], dict[str, str]]:
    """Lines on networks and judgments of one user alone, and the picture as SVG by file name."""
    users = [np.unique(one.user, return_counts=True)[1].tolist() for one in file.sets]
    later = sorted(count for each in users for count in each)
    few = len(later) < ENOUGH_USERS
    learned = [row for row in rows if row.rung in (*OWN, POPULATION)]
    updated = [row for row in rows if row.rung in (ONLINE, PRIOR)]
    of_task = ", ".join(f"{len(each)} of {one.task}" for one, each in zip(file.sets, users, strict=True))
    lines = [
        "## One user alone",
        "",
        f"{len(later)} tune users ({of_task})",
        f"with 20 pools to learn from and {later[0]} to {later[-1]} later ones ({sum(later)} in all), drawn for this",
        "by `edge-ttp export pools`; trained and written by `edge-ttp export ladder-own`. The bottom rung's network of",
        "each user alone, after as many steps as the population's takes; the later pools are the same in every row.",
        *(
            ["So few users tell little of others: intervals of c, h, rho resample pools, those of shares users."]
            if few
            else ["Intervals: 90%, users resampled with all their seeds."]
        ),
        "",
        *_failures(learned),
        "",
        *_means(learned),
        "",
        "![Share by pools of one's own](reproduction/ladder-own.svg)",
        "",
        "With the variance, as above:",
        "",
        *_variances(learned),
        "",
        "Judgments of one user, 20 of them, on the same later pools: the shipped model's last layer, started from its",
        "prior (as the runtime learns) or online from nothing. Differences from the model without a judgment.",
        "",
        *_means(updated),
        "",
    ]  # fmt: skip
    return lines, {"ladder-own.svg": _picture(learned)}


def encoder_part(rows: Sequence[LadderRow]) -> list[str]:
    """Lines on encoders that are trained too."""
    told = [row for row in rows if row.rung in (TUNED, CROSSED)]
    seeds = max(row.seeds for row in told)
    return [
        "## With a trained encoder",
        "",
        f"`edge-ttp export ladder-encoder`, {seeds} seed of each: the ladder's pools and folds, all-MiniLM-L6-v2",
        "with its last two layers trained, all else as on the bottom rung.",
        *(
            [
                "The cross-encoder reads the input, the outputs of the three nearest earlier items and the candidate",
                "in one text, once over the pools.",
            ]
            if any(row.rung == CROSSED for row in told)
            else ["The cross-encoder that the command trains too is not among these numbers."]
        ),
        "",
        *_failures(told),
        "",
        *_means(told),
        "",
        *_variances(told),
        "",
    ]  # fmt: skip


def _failures(rows: Sequence[LadderRow]) -> list[str]:
    """What appears with squared error, and what the variance gains over it, by intervals."""
    said = []
    for row in rows:
        if (row.arm, row.selection) == ("mse", "mean"):
            found = (f"{what} {appears(one)} ({name} = {estimate(one)})" for name, what, one in (
                ("c", "collapse", row.c), ("h", "hacking", row.h)
            ))  # fmt: skip
            said.append(f"- {row.rung}, squared error: {'; '.join(found)}.")
    gained = [row for row in rows if row.over_mse.known and row.over_mse.low > 0]
    lost = [row for row in rows if row.over_mse.known and row.over_mse.high < 0]
    said.append(f"- More than squared error by more than chance: {_listed(gained)}. Less: {_listed(lost)}.")
    return said


def _listed(rows: Sequence[LadderRow]) -> str:
    if not rows:
        return "nothing"
    return "; ".join(f"{row.rung}, {row.arm} by {row.selection} ({row.over_mse.value:+.2f})" for row in rows)


def _means(rows: Sequence[LadderRow]) -> list[str]:
    shown = [row for row in rows if row.selection == "mean"]
    n = shown[0].n
    return table(
        ("learned from", "arm", "seeds", "c", "h", "rho+", "rho-", "utility", *(f"at {one}" for one in n[:-1]),
         f"share at {n[-1]}", "law", f"law at {BEYOND}", "over the first", "share by seed"),
        (
            (row.rung, row.arm, str(row.seeds), *(estimate(one) for one in (row.c, row.h, row.rho_plus, row.rho_minus)),
             f"{row.utility:.3f}", *(number(one) for one in row.measured[:-1]), estimate(row.share),
             " ".join(number(one) for one in row.predicted), number(row.beyond), estimate(row.over_mse),
             " ".join(number(one) for one in row.by_seed))
            for row in shown
        ),
    )  # fmt: skip


def _variances(rows: Sequence[LadderRow]) -> list[str]:
    return table(
        ("learned from", "arm", "selection", "c", "h", "share", "over mse"),
        (
            (row.rung, row.arm, row.selection, *(estimate(one) for one in (row.c, row.h, row.share, row.over_mse)))
            for row in rows
            if row.selection != "mean"
        ),
    )


def _picture(rows: Sequence[LadderRow]) -> str:
    """Share by the number of pools that a network of one user has learned from."""
    lines = []
    sizes = [float(rung.split()[0]) for rung in OWN]
    for arm, style in (("mse", "measured"), ("bradley-terry", "rival"), ("gaussian", "law"), ("beta-nll", "other")):
        shares = {row.rung: row.share.value for row in rows if row.arm == arm and row.selection == "mean"}
        lines.append(Line(arm, style, sizes, [shares.get(rung, float("nan")) for rung in OWN]))
    return standalone(
        lines_chart(
            lines,
            title="Share of the oracle's gain of a network of one user alone, by mean",
            x_label="pools of one's own",
            y_label="share of the oracle's gain",
            percent=True,
        )
    )
