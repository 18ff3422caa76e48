"""docs/measured/failure-modes.md, from the ladder's rows: what failed where, and what mended it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge_ttp.lab.diagnosis.charts import Line, lines_chart, standalone
from edge_ttp.lab.reproduction.further_page import encoder_part, own_part
from edge_ttp.lab.reproduction.ladder import BEYOND, BOTTOM, RUNGS, SHIPPED, LadderRow, appears, diagnosed, variant
from edge_ttp.lab.reproduction.markdown import estimate, number, table
from edge_ttp.lab.reproduction.score_file import ScoreFile
from edge_ttp.lab.reproduction.simulated_modes import SimulatedMode
from edge_ttp.lab.reproduction.simulated_page import simulated_part

_RUNG_TEXT = """Rungs, each with the cures of those before it: (1) absolute utility; (2) trained on differences within a
pool; (3) candidates' vectors standardized in their pool; (4) features of words, history and pool; (5) a start at the
untrained sum of consensus, similarity to the input and to the history.
Pools have 16 candidates, so that curves are measured to 16; `law at 32` is the law's closed form, from the
skewnesses of scores and utilities ([scaling.md](../scaling.md)).
"""

_VARIANCE_TEXT = """## With the variance

lcb takes one standard deviation off, shrink draws towards the pool's mean (t2 = .003): the shipped constants, not
chosen here. `learned`: the variance that the likelihood has learned; `epistemic`: the last layer's own error.
"""

_ELSE_TEXT = """## What these numbers cannot tell

- The ladder's training sees about 80 pools. On 1,092 pools, which were not kept, the encoder fine-tuned as a
  cross-encoder reached a share of .206 ([reward.md](reward.md)), and online updates without a prior .06 to .30 in place
  of .31 to .32 ([learning.md](learning.md)): other users and pools than here.
- They are tune users: nothing is decided here that report users are kept for.
- The shipped model saw 1,155 pools in training, and was stopped by tune users, some of these among them.
"""


@dataclass(frozen=True)
class LadderPage:
    """The page and its pictures."""

    text: str
    pictures: dict[str, str]
    """SVG by file name."""


@dataclass(frozen=True)
class Further:
    """What stands beside the ladder on its page; each may be missing."""

    own: tuple[ScoreFile, Sequence[LadderRow]] | None = None
    """Networks of one user alone."""
    encoder: Sequence[LadderRow] = ()
    """Encoders that are trained too."""
    modes: Sequence[SimulatedMode] = ()
    """Simulated users."""


def ladder_page(file: ScoreFile, rows: Sequence[LadderRow], further: Further = Further()) -> LadderPage:
    """The page, with pictures of what each rung reaches, of the bottom rung's curves, and of what stands beside."""
    queries = sum(len(one) for one in file.sets)
    users = len({int(user) for one in file.sets for user in one.user})
    seeds = max(row.seeds for row in rows)
    simulated, pictures = simulated_part(further.modes) if further.modes else ([], {})
    own, drawn = own_part(*further.own) if further.own else ([], {})
    pictures |= drawn
    lines = [
        "# The two failure modes: a ladder from the standard reward model to the shipped one",
        "",
        "Made by `edge-ttp reproduce --ladder` from `docs/measured/reproduction/ladder*.npz`, which `edge-ttp export",
        "ladder`, `ladder-own` and `ladder-encoder` write; edits here are lost.",
        "",
        f"{queries} queries of {users} tune users, {file.sets[0].sizes[-1]} candidates of SmolLM2-135M at T=.8 each,",
        f"{seeds} seeds of everything. Every network is trained on the pools of two thirds of the users and scores the",
        "others: no early stopping, no gate, nothing that refuses a collapsed network. The bottom rung is the standard",
        "reward model: frozen text vectors of candidate, input and user's mean into an MLP (3 x 384 -> 128 -> 1).",
        "Intervals: 90%, users resampled with all their seeds.",
        "",
        *_words(rows),
        "",
        "`edge-ttp diagnose` says of the bottom rung with squared error (seed 0):",
        "",
        *(f"> {sentence}" for sentence in diagnosed(file, variant(BOTTOM, "mse", 0))),
        "",
        "and of the shipped model on the same pools:",
        "",
        *(f"> {sentence}" for sentence in diagnosed(file, SHIPPED)),
        "",
        "## Ranked by mean",
        "",
        _RUNG_TEXT,
        *_means(rows),
        "",
        "![Share of the oracle's gain on every rung](reproduction/ladder-rungs.svg)",
        "",
        "![Predicted and measured share by n on the bottom rung](reproduction/ladder-bottom.svg)",
        "",
        _VARIANCE_TEXT,
        *_variances(rows),
        "",
        *own,
        *(encoder_part(further.encoder) if further.encoder else ()),
        *simulated,
        _ELSE_TEXT,
        "## Every seed",
        "",
        *table(
            ("rung", "arm", "selection", "share by seed"),
            ((row.rung, row.arm, row.selection, " ".join(f"{one:.2f}" for one in row.by_seed)) for row in rows),
        ),
        "",
    ]
    pictures |= {"ladder-rungs.svg": _rungs(rows), "ladder-bottom.svg": _bottom(rows)}
    return LadderPage("\n".join(lines), pictures)


def _words(rows: Sequence[LadderRow]) -> list[str]:
    """Which failure appears on the bottom rung, and what mends it, as far as intervals tell."""
    bottom = [row for row in rows if row.rung == BOTTOM]
    plain = next(row for row in bottom if (row.arm, row.selection) == ("mse", "mean"))
    lines = []
    for name, what in (("c", "Collapse"), ("h", "Hacking")):
        one = getattr(plain, name)
        lines.append(f"- {what} of the standard model with squared error {appears(one)}: {name} = {estimate(one)}.")
    better = [row for row in bottom if row is not plain and row.over_mse.low > 0]
    worse = [row for row in bottom if row is not plain and row.over_mse.high < 0]
    mends = f"gained by {_listed(better)}" if better else "gained by no other loss and by no use of the variance"
    lines.append(f"- On the bottom rung, share over squared error is {mends} by more than chance.")
    if worse:
        lines.append(f"- It is lost by {_listed(worse)}.")
    reached = [row for row in rows if row.selection == "mean" and (row.arm == "mse" or row.rung == SHIPPED)]
    told = "; ".join(f"{row.rung} {estimate(row.share)}, h {estimate(row.h)}" for row in reached)
    lines.append(f"- Share with squared error, rung by rung: {told}.")
    return lines


def _listed(rows: Sequence[LadderRow]) -> str:
    return "; ".join(f"{row.arm} by {row.selection} ({row.over_mse.value:+.2f})" for row in rows)


def _means(rows: Sequence[LadderRow]) -> list[str]:
    shown = [row for row in rows if row.selection == "mean"]
    sizes = [f"at {one}" for one in shown[0].n[:-1]]
    header = (
        "rung",
        "arm",
        "c",
        "h",
        "rho+",
        "rho-",
        "utility",
        *sizes,
        f"share at {shown[0].n[-1]}",
        "law",
        f"law at {BEYOND}",
        "over mse",
    )
    return table(
        header,
        (
            (
                row.rung,
                row.arm,
                *(estimate(one) for one in (row.c, row.h, row.rho_plus, row.rho_minus)),
                f"{row.utility:.3f}",
                *(f"{one:.2f}" for one in row.measured[:-1]),
                estimate(row.share),
                " ".join(f"{one:.2f}" for one in row.predicted),
                number(row.beyond),
                estimate(row.over_mse),
            )
            for row in shown
        ),
    )


def _variances(rows: Sequence[LadderRow]) -> list[str]:
    shown = [row for row in rows if row.selection != "mean"]
    return table(
        ("rung", "arm", "selection", "c", "h", "share", "over mse"),
        (
            (row.rung, row.arm, row.selection, *(estimate(one) for one in (row.c, row.h, row.share, row.over_mse)))
            for row in shown
        ),
    )


def _rungs(rows: Sequence[LadderRow]) -> str:
    """Share on every rung, a line an arm."""
    lines = []
    for arm, style in (("mse", "measured"), ("bradley-terry", "rival"), ("gaussian", "law"), ("beta-nll", "other")):
        mine = {row.rung: row.share for row in rows if row.arm == arm and row.selection == "mean"}
        places = [place for place, rung in enumerate(RUNGS, 1) if rung in mine]
        shares = [mine[RUNGS[place - 1]] for place in places]
        lines.append(Line(arm, style, [float(place) for place in places], [one.value for one in shares]))
    return standalone(
        lines_chart(
            lines,
            title="Share of the oracle's gain on every rung, by mean",
            x_label="rung, from the standard reward model up",
            y_label="share of the oracle's gain",
            percent=True,
        )
    )


def _bottom(rows: Sequence[LadderRow]) -> str:
    """Measured and predicted shares by n of the bottom rung, squared error and likelihood."""
    lines = []
    for arm, styles in (("mse", ("measured", "law")), ("gaussian", ("other", "rival"))):
        row = next(row for row in rows if (row.rung, row.arm, row.selection) == (BOTTOM, arm, "mean"))
        n = [float(one) for one in row.n]
        lines.append(Line(f"{arm}, measured", styles[0], n, list(row.measured)))
        lines.append(Line(f"{arm}, by the law", styles[1], n, list(row.predicted)))
    return standalone(
        lines_chart(lines, title="Share by n on the bottom rung", x_label="candidates n", y_label="share", percent=True)
    )
