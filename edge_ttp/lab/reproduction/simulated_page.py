"""The part of docs/measured/failure-modes.md on simulated users."""

from __future__ import annotations

from collections.abc import Sequence

from edge_ttp.lab.diagnosis.charts import Line, lines_chart, standalone
from edge_ttp.lab.reproduction.ladder import LadderRow
from edge_ttp.lab.reproduction.markdown import estimate, number, table
from edge_ttp.lab.reproduction.simulated_modes import (
    CARELESS_NOISE,
    CARELESS_POOLS,
    COLLAPSE,
    DAZZLE,
    DAZZLED_OFTEN,
    GLOSS,
    HACKING,
    JUDGED,
    LATER,
    SHOWN,
    SIZES,
    USERS,
    SimulatedMode,
)

_LEARNED = ("gaussian", "lcb, learned")
"""The arm and selection that use the learned variance twice: to learn, and to choose."""


def simulated_part(modes: Sequence[SimulatedMode]) -> tuple[list[str], dict[str, str]]:
    """Lines of the page, and its pictures as SVG by file name."""
    pictures = {f"simulated-{place}.svg": _picture(mode) for place, mode in enumerate(modes[:2], 1)}
    lines = [
        "## Simulated users, where both failures have to appear",
        "",
        *_setting(modes[0].row("mse").seeds),
        "",
        *(_words(mode) for mode in modes),
        "",
        *table(
            ("world", "arm", "selection", "c", "h", "rho+", "rho-", *(f"at {n}" for n in SIZES[:-1]),
             f"share at {SIZES[-1]}", "law", "over mse, mean"),
            (_row(mode.world.name, row) for mode in modes for row in mode.rows),
        ),
        "",
        f"Law: predicted share at {', '.join(str(n) for n in SIZES)}. Shrinking leans on the whole pool: its share is",
        "measured at the largest n alone.",
        "",
        *(
            f"![Share by n, {mode.world.name}](reproduction/{name})"
            for mode, name in zip(modes, pictures, strict=False)
        ),
        "",
    ]  # fmt: skip
    for mode in modes[:2]:
        for arm, said in mode.said:
            lines += [f"`edge-ttp diagnose` says of {arm} by mean where there is {mode.world.name} (seed 0):", ""]
            lines += [*(f"> {sentence}" for sentence in said), ""]
    return lines, pictures


def _setting(seeds: int) -> list[str]:
    """How the users are made, in the numbers that make them."""
    return [
        "Made anew with every run, nothing is committed: `edge_ttp/lab/reproduction/simulated_modes.py`. Every one of",
        f"{USERS} users wants something of their own, linear in a candidate's features; a network of theirs learns it",
        f"from {JUDGED} judged pools of {SHOWN}, and ranks {LATER} later pools of {SIZES[-1]} whose utilities are true",
        f"({seeds} seeds). Both arms are the same Bayesian regression under the true prior. Squared error has one",
        "variance; the Gaussian likelihood learns how the variance goes with what can be seen of a judgment.",
        "",
        f"- {COLLAPSE.name}: {COLLAPSE.careless:.0%} of users judge {CARELESS_POOLS} of their {JUDGED} pools at random",
        f"  (an error of {CARELESS_NOISE:g}), and which ones can be seen.",
        f"- {HACKING.name}: gloss takes {GLOSS:g} of utility for each standard deviation, but {HACKING.dazzled:.0%} of",
        f"  users praise a very glossy candidate {DAZZLED_OFTEN * 10:.0f} times in 10, by {DAZZLE:g} for each unit of",
        "  gloss above 1.",
        "- neither: careful judgments, where nothing should fail and no variance should be worth anything.",
    ]


def _words(mode: SimulatedMode) -> str:
    """What fails in one world, and what of the variance mends it, as far as intervals tell."""
    plain, trained, both = mode.row("mse"), mode.row("gaussian"), mode.row(*_LEARNED)
    said = []
    for name, what in (("c", "collapse"), ("h", "hacking")):
        before = getattr(plain, name)
        if before.low > 0.01:
            after = [(how, getattr(row, name)) for how, row in (("learning", trained), ("learning and lcb", both))]
            mends = [f"with the variance in {how} {estimate(one)}" for how, one in after]
            said.append(f"{what} {name} = {estimate(before)}; {', '.join(mends)}")
    told = "; ".join(said) if said else "no failure told from 0"
    gains = ", ".join(
        f"{how} {row.over_mse.value:+.2f} ({row.over_mse.low:+.2f} to {row.over_mse.high:+.2f})"
        for how, row in (("in learning", trained), ("in learning and by lcb", both))
    )
    return f"- **{mode.world.name}**: {told}. Share over squared error with the variance {gains}."


def _row(world: str, row: LadderRow) -> tuple[str, ...]:
    four = (estimate(one) for one in (row.c, row.h, row.rho_plus, row.rho_minus))
    curve = (number(one) for one in row.measured[:-1])
    law = " ".join(number(one) for one in row.predicted)
    return world, row.arm, row.selection, *four, *curve, estimate(row.share), law, estimate(row.over_mse)


def _picture(mode: SimulatedMode) -> str:
    lines = []
    for label, key, styles in (
        ("mse", ("mse", "mean"), ("measured", "law")),
        ("likelihood", ("gaussian", "mean"), ("other", "rival")),
        ("likelihood, lcb", _LEARNED, ("oracle", "form")),
    ):
        row = mode.row(*key)
        n = [float(one) for one in row.n]
        lines += [
            Line(label, styles[0], n, list(row.measured)),
            Line(f"{label}, law", styles[1], n, list(row.predicted)),
        ]
    chart = lines_chart(
        lines,
        title=f"Measured and predicted share by n: {mode.world.name}",
        x_label="candidates n",
        y_label="share of the oracle's gain",
        percent=True,
    )
    return standalone(chart)
