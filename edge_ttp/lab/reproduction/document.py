"""docs/measured/reproduction.md, from the numbers: claims that hold are said to, and so are those that do not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge_ttp.lab.reproduction.cells import REPORT, rows_of
from edge_ttp.lab.reproduction.findings import ALL, Ceiling, VariantQuantities
from edge_ttp.lab.reproduction.law_test import CONSTANT, CORRECTED, FORMS, ORDER, PLAIN, SPACED, TRANSFER, LawTest
from edge_ttp.lab.reproduction.markdown import estimate, signed, table
from edge_ttp.lab.reproduction.reproduce import R2_TARGET, SHARE_TARGET, Reproduction
from edge_ttp.lab.reproduction.score_file import ScoreFile
from edge_ttp.lab.reproduction.variance import Ranked

_FORM_NAMES = {
    SPACED: "**the law**, with the scores' own spacing",
    PLAIN: "its plain form, one share for all n",
    CORRECTED: "the plain form, corrected for skewness in closed form",
    CONSTANT: "one constant share for everything",
    ORDER: "const x m_N, fitted per task and policy",
    TRANSFER: "the other half's own measured shares (what chance leaves)",
}


_CEILING_TEXT = """## The ceiling

The oracle's gain over a random pick, exact for every n, everybody's pools. An exponential tail of utility gives
b (H_n - 1), which grows like ln n; a Gaussian one sigma m_n, about sigma sqrt(2 ln n).
"""

_LAW_TEXT = """## The law against the measured curve

Quantities from a random half of the users, curve of the other half. The law: rho sigma times the expected maximum of
the first half's own standardized scores, over its oracle's gain, times the other half's oracle gain. The plain form:
the other half's oracle gain(n) x (1-c) [(1-h) rho_plus - h rho_minus], one share for all n, which holds where scores
are as skewed as utilities. Corrected in closed form: that share x (m_n + g_s/6 (v_n - 1)) / (m_n + g_u/6 (v_n - 1)),
with the skewnesses g_s of scores and g_u of utilities and v_n = E[M_n^2] of n standard normals. Curves below N are
measured by scoring random subsets anew, since these scores depend on the rest of the pool. Rivals are fitted on the
first half as well. Means over splits, with their 5% and 95% points.
"""

_QUANTITIES_TEXT = """## The four quantities of every variant

Report users, whole pools. `-`: too few queries to tell (fewer than 30 informative ones; for rho-, fewer than 5 hacked
ones expected).
"""

_VARIANCE_TEXT = """## What the learned variance does to the failure modes

All tasks of a policy together, report users, whole pools. In training the likelihood divides each squared error by its
own variance (compare the rows ranked by mean); in selection a multiple of the standard deviation is taken off, its size
chosen on tune users from a grid that holds 0 and negative values.
"""


def document(reproduction: Reproduction) -> str:
    """The page. Figures are named beside it, in `reproduction/`."""
    parts = [
        _opening(reproduction),
        _claims(reproduction),
        _pools(reproduction.file),
        _ceiling(reproduction),
        _law(reproduction),
        _quantities(reproduction),
        _variance(reproduction),
        _reading(reproduction),
    ]
    return "\n".join(parts)


def _opening(reproduction: Reproduction) -> str:
    file = reproduction.file
    queries = sum(len(one) for one in file.sets)
    return f"""# Reproduction

Made by `make reproduce` (`edge-ttp reproduce`) from `scores.npz` (the shipped model) and `four-losses.npz` in
`docs/measured/reproduction/`; edits here are lost.

What the abstract of "Test-Time Personalization" (Zhang & He, arXiv 2605.10991) claims, tested on {queries:,} queries
of real users, {len(file.sets)} sets of pools (a task and a policy each) and {len(file.made)} ways to score.
The formulas are this project's own reading of the abstract ([scaling.md](../scaling.md)); the paper's own were not at
hand. The score files hold numbers only: utilities and scores under salted hashes of ids, no texts. Their format is
described in `edge_ttp/lab/reproduction/score_file.py`, and `edge-ttp export scores` makes them.

{_whose(file)}
Users are split once into train, tune and report users ([reward.md](../reward.md)). How good a variant is, is told from
report users, whom no training has seen. Every user counts the same: wine has a single report user, and would be a
quarter of the whole if tasks or queries counted. Intervals are 90% bootstrap intervals over users; over queries where a
task has fewer than 8 report users, which then say nothing about other users.
"""


def _whose(file: ScoreFile) -> str:
    """Which of the variants is the shipped model, and on how many pools."""
    shipped = [name for name, facts in file.made.items() if "reward" in facts]
    if not shipped:
        return "None of these networks is the shipped model.\n"
    sets = [one for one in file.sets if shipped[0] in one.variants]
    report = sum(int(rows_of(one, REPORT).sum()) for one in sets)
    total = sum(len(one) for one in sets)
    return f"""`{shipped[0]}` is the model in `models/reward-minilm-1`, by its fingerprint, which a test compares. It is
scored on {total} pools of the default policy that were drawn for this, {report} of them of report users who had been in
no pool before and are looked at once; the others are of tune users. The pools that it was trained on were not kept, so
that the other networks (the same architecture with four losses, on 1,092 pools, their seeds as below) cannot be scored
beside it: between losses, [the ladder](failure-modes.md) with its five seeds each decides.
"""


def _claims(reproduction: Reproduction) -> str:
    exponential = sum(one.fits.better == "exponential" for one in reproduction.ceilings)
    sets = len(reproduction.ceilings)
    growth = [float(one.doublings[-1] / one.doublings[1]) for one in reproduction.ceilings if len(one.doublings) > 2]
    lines = [
        "## The claims, and what is found here",
        "",
        "| claim | here |",
        "| --- | --- |",
        f"| The oracle's utility grows logarithmically in N | {_oracle_words(exponential, sets, growth)} |",
    ]
    for name, test in (("report users", reproduction.law_report), ("everybody", reproduction.law_everybody)):
        if test is not None:
            lines.append(f"| One law gives any score's curve ({name}) | {_law_words(test)} |")
    lines += [
        f"| User-level collapse happens | {_mode_words(reproduction.measured, 'c')} |",
        f"| Query-level hacking happens | {_mode_words(reproduction.measured, 'h')} |",
        f"| A learned variance mitigates both | {_variance_words(reproduction.ranked)} |",
        "",
    ]
    return "\n".join(lines)


def _oracle_words(exponential: int, sets: int, growth: Sequence[float]) -> str:
    text = (
        f"The exponential form, b (H_n - 1), fits better in {exponential} of {sets} sets, the Gaussian one in the "
        "others."
    )
    if growth:
        text += (
            f" The last doubling of n adds {min(growth):.2f} to {max(growth):.2f} times what the second one adds "
            "(1 would be logarithmic growth)."
        )
    return text


def _law_words(test: LawTest) -> str:
    law = test.forms[SPACED]
    rivals = [test.forms[name] for name in (CONSTANT, ORDER)]
    met = [_met(law.r2 >= R2_TARGET), _met(law.error <= SHARE_TARGET)]
    better = all(law.error < one.error and law.r2 > one.r2 for one in rivals)
    return (
        f"R² of the gain {law.r2:.3f} (target {R2_TARGET}: {met[0]}), mean error of the share {law.error:.3f} (target "
        f"{SHARE_TARGET}: {met[1]}; chance alone makes {test.forms[TRANSFER].error:.3f}); "
        + ("better than both trivial rivals" if better else "not better than both trivial rivals")
        + f". Its plain form: {test.forms[PLAIN].r2:.3f}, {test.forms[PLAIN].error:.3f}; corrected for skewness in"
        f" closed form: {test.forms[CORRECTED].r2:.3f}, {test.forms[CORRECTED].error:.3f}."
    )


def _met(value: bool) -> str:
    return "met" if value else "missed"


def _mode_words(rows: Sequence[VariantQuantities], name: str) -> str:
    whole = [row for row in rows if row.task == ALL]
    known = [(row, getattr(row.quantities, name)) for row in whole]
    known = [(row, value) for row, value in known if value.known]
    if not known:
        return "Cannot be told from so few report users."
    row, value = max(known, key=lambda pair: float(pair[1].value))
    sure = sum(one.low > 0 and one.value > 0.005 for _, one in known)
    return (
        f"Told from 0 in {sure} of {len(known)} variants x policies; most in {row.variant} on {row.policy}: "
        f"{name} = {estimate(value)}."
    )


def _variance_words(rows: Sequence[Ranked]) -> str:
    probabilistic = [row for row in rows if not _plain(row)]
    if not probabilistic:
        return "No variant in the file has a variance."
    better = [row for row in probabilistic if row.against.low > 0]
    worse = [row for row in probabilistic if row.against.high < 0]
    text = (
        f"Of {len(probabilistic)} ways to use it, {len(better)} reach a larger share than {_bases(rows)} by more than "
        f"chance, {len(worse)} a smaller one"
    )
    best = max(probabilistic, key=lambda row: row.against.value)
    text += f"; the best is {signed(best.against)} ({_way(best)}, {best.policy})."
    plain = next(row for row in rows if (row.policy, row.way.variant, row.way.by) == (best.policy, best.base, "mean"))
    for name in ("c", "h"):
        without, with_it = getattr(plain.quantities, name), getattr(best.quantities, name)
        if without.known and with_it.known:
            apart = with_it.high < without.low
            text += f" There {name} is {estimate(with_it)} with it and {estimate(without)} without" + (
                "." if apart else ": not told apart."
            )
    return text


def _plain(row: Ranked) -> bool:
    """Whether it is what its policy's others are compared with."""
    return (row.way.variant, row.way.by) == (row.base, "mean")


def _bases(rows: Sequence[Ranked]) -> str:
    return " or ".join(dict.fromkeys(row.base for row in rows))


def _pools(file: ScoreFile) -> str:
    rows = []
    for one in file.sets:
        mean, spread = float(one.utility.mean()), float(one.utility.std(axis=1, ddof=1).mean())
        best = float((one.utility.max(axis=1) - one.utility.mean(axis=1)).mean())
        report = rows_of(one, REPORT)
        rows.append(
            (one.task, one.policy, str(len(one)), str(len(np.unique(one.user))), str(int(report.sum())),
             str(len(np.unique(one.user[report]))), str(one.sizes[-1]), f"{mean:.3f}", f"{spread:.3f}", f"{best:+.3f}")
        )  # fmt: skip
    header = ("task", "policy", "queries", "users", "report queries", "report users", "N", "mean utility", "spread",
              "oracle's gain at N")  # fmt: skip
    made = [
        (name, ", ".join(f"{key} {_fact(value)}" for key, value in facts.items()))
        for name, facts in file.made.items()
    ]  # fmt: skip
    return "\n".join(["## The pools and the variants", "", *table(header, rows), "",
                      *table(("variant", "how it was made"), made), ""])  # fmt: skip


def _fact(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else str(value)


def _ceiling(reproduction: Reproduction) -> str:
    rows = [
        (one.task, one.policy, _scale(one), f"{one.fits.exponential.rmse:.4f}", f"{one.fits.gaussian.rmse:.4f}",
         one.fits.better, f"{_sure(one):.0%}", f"{one.log_r2:.3f}",
         " ".join(f"{value:.3f}" for value in one.doublings))
        for one in reproduction.ceilings
    ]  # fmt: skip
    header = ("task", "policy", "b; sigma", "rmse exponential", "rmse Gaussian", "better", "in resamples",
              "R² of a + b ln n", "gain added by each doubling")  # fmt: skip
    pictures = [
        f"![The oracle's gain, {name}](reproduction/{file})" for name, file in reproduction.figure_names("ceiling")
    ]
    return "\n".join([_CEILING_TEXT, *table(header, rows), "", *pictures, ""])


def _scale(one: Ceiling) -> str:
    return f"{one.fits.exponential.scale:.3f}; {one.fits.gaussian.scale:.3f}"


def _sure(one: Ceiling) -> float:
    return one.exponential_better if one.fits.better == "exponential" else 1 - one.exponential_better


def _law(reproduction: Reproduction) -> str:
    lines = [_LAW_TEXT]
    for name, test in (("Report users", reproduction.law_report), ("Everybody", reproduction.law_everybody)):
        lines += [f"### {name}", ""]
        lines += _law_table(test) if test is not None else ["Too few queries.", ""]
    lines += [
        f"![Predicted and measured shares, {name}](reproduction/{file})"
        for name, file in reproduction.figure_names("law")
    ]
    return "\n".join([*lines, ""])


def _law_table(test: LawTest) -> list[str]:
    rows = [
        (_FORM_NAMES[name], f"{form.r2:.3f}", f"{form.r2_low:.3f} to {form.r2_high:.3f}", f"{form.error:.3f}",
         f"{form.error_low:.3f} to {form.error_high:.3f}")
        for name, form in ((name, test.forms[name]) for name in FORMS)
    ]  # fmt: skip
    worst = test.worst
    by_n, kept = (
        ", ".join(f"{value:+.3f} at n={n}" for n, value in one.items()) for one in (test.departure, test.kept)
    )
    return [
        f"{test.splits} splits of {test.points} points. Targets: R² at least {R2_TARGET}, error at most "
        f"{SHARE_TARGET}.",
        "",
        *table(("prediction", "R² of the gain", "over splits", "mean error of the share", "over splits"), rows),
        "",
        f"Worst case: {worst.task}, {worst.policy}, {worst.variant}, n={worst.n}: predicted {worst.predicted:.2f}, "
        f"measured {worst.measured:.2f}. Measured minus predicted share, mean over cells: {by_n}. "
        f"Of the plain form, where every subset keeps the scores of its whole pool: {kept}. Mean skewness within a "
        f"pool: scores {test.score_skewness:+.2f}, utilities {test.utility_skewness:+.2f}" + _skewed(test) + ".",
        "",
    ]


def _skewed(test: LawTest) -> str:
    if test.score_skewness >= test.utility_skewness:
        return ""
    return ": these scores tell the bad candidates apart better than the best ones, and a correlation counts both alike"


def _quantities(reproduction: Reproduction) -> str:
    rows = []
    for row in reproduction.measured:
        one = row.quantities
        rows.append(
            (row.task, row.policy, row.variant, str(row.queries), estimate(one.c), estimate(one.h),
             estimate(one.rho_plus), estimate(one.rho_minus), estimate(one.share), estimate(row.share))
        )  # fmt: skip
    header = ("task", "policy", "variant", "queries", "c", "h", "rho+", "rho-", "share by the law", "share measured")
    pictures = [f"![Share by n, {name}](reproduction/{file})" for name, file in reproduction.figure_names("curves")]
    return "\n".join([_QUANTITIES_TEXT, *table(header, rows), "", *pictures, ""])


def _variance(reproduction: Reproduction) -> str:
    if all(_plain(row) for row in reproduction.ranked):
        return ""
    rows = [
        (row.policy, _way(row), estimate(row.quantities.c), estimate(row.quantities.h),
         estimate(row.quantities.rho_plus), estimate(row.share), f"{row.base}, mean", signed(row.against))
        for row in reproduction.ranked
    ]  # fmt: skip
    header = ("policy", "ranked by", "c", "h", "rho+", "share measured", "minus", "that")
    return "\n".join([_VARIANCE_TEXT, *table(header, rows), ""])


def _way(row: Ranked) -> str:
    if row.way.by == "mean":
        return f"{row.way.variant}, mean"
    what = "standard deviations" if row.way.by == "sd" else "epistemic standard deviations"
    return f"{row.way.variant}, mean {_taken(row)} {what}" + (" (none is best)" if row.way.kappa == 0 else "")


def _taken(row: Ranked) -> str:
    return f"{-row.way.kappa:+g}" if row.way.kappa else "- 0"


def _reading(reproduction: Reproduction) -> str:
    smallest = min(int(rows_of(one, REPORT).sum()) for one in reproduction.file.sets)
    return f"""## How to read this

- Report users are few: {smallest} queries in the smallest set. Halves of them are smaller still, so much of a
  predicted share's error is chance; the last row of the law's tables says how much. "Everybody" has more queries, but
  the networks have trained on most of them: that is no measure of a variant, while the law has to hold for any score.
- Policies are named by model and format: two formats of one model are nearly one policy, so that agreement between them
  is no second confirmation.
- Policies are small models on short texts, and utility is agreement with the one text the user wrote. Other tasks may
  have other tails.
- A network's score depends on the other candidates, so rho at the whole pool need not be rho at n=2: the departure by n
  shows it.
"""
