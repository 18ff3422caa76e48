"""What a diagnosis means, in words with the cure, and what these pools cannot tell."""

from __future__ import annotations

from math import isfinite

from edge_ttp.lab.diagnosis.evidence_worth import LEAST_QUERIES, Worth
from edge_ttp.lab.diagnosis.judge import CurvePoint, Diagnosis
from edge_ttp.lab.diagnosis.own_evidence import Judgments
from edge_ttp.lab.diagnosis.score_table import Table
from edge_ttp.scaling import Quantities
from edge_ttp.scaling.collapse import ENOUGH_QUERIES
from edge_ttp.scaling.gauge import ENOUGH_POOLS, SMALLEST_POOL
from edge_ttp.scaling.quantities import ENOUGH_USERS

MATTERS = 0.03
"""Collapse and hacking rates below this are not worth a cure."""

WEAK = 0.2
"""Correlation of aligned queries below which the score says little."""

SURE = 2.1
"""Standard errors by which the best of three other rankings has to be better before it is recommended."""

MISSES = 0.05
"""Difference of measured and predicted share from which on a form of the law is said to miss."""


def printable(text: str, limit: int = 200) -> str:
    """Text from a file, safe to print: one line, nothing that moves a cursor or reverses the reading order, cut off."""
    line = "".join(character if character.isprintable() else " " for character in text[:limit])
    return line + ("…" if len(text) > limit else "")


def verdict(diagnosis: Diagnosis) -> list[str]:
    """Sentences, the most important first: what selection reaches, what holds it back, what to do about it."""
    quantities = diagnosis.quantities
    if quantities is None:
        return _without_law(diagnosis)
    said = [*_reach(diagnosis, quantities), *_collapse(diagnosis, quantities), *_hacking(diagnosis, quantities)]
    said += _length(diagnosis)
    if quantities.rho_plus.known and quantities.rho_plus.high < WEAK:
        said.append(
            f"Even where it points the right way the score says little (correlation {quantities.rho_plus.value:.2f}): "
            "give the reward model more to go by, or rank by consensus."
        )
    misled = [one.user for one in diagnosis.users if one.status == "misled"]
    if misled:
        said.append(
            f"For {_named(misled)} the score as a whole points the wrong way: "
            "use consensus or N=1 for them until there is feedback to correct it."
        )
    return [*said, *_departure(diagnosis, quantities), *_variance(diagnosis), *_ceiling(diagnosis)]


def own_verdict(diagnosis: Diagnosis, judgments: Judgments, worth: Worth) -> list[str]:
    """Sentences about one user's own evidence: how many candidates it justifies, then what its pools say."""
    if worth.known:
        said = [f"N = {worth.n} is justified: {worth.reason}."]
    else:
        count = worth.record.queries
        texts = f"{count or 'none'} of their queries {'tells' if count == 1 else 'tell'} candidates apart"
        said = [
            f"How many candidates this user justifies is unknown yet: {texts}, {LEAST_QUERIES} are needed. "
            f"Until then N = {worth.n}: {worth.reason}."
        ]
    if isfinite(judgments.preferred_rank):
        count = judgments.kinds.get("prefer", 0)
        said.append(
            f"Of {count} candidates that the user preferred themselves, the score had put "
            f"{judgments.preferred_rank:.0%} of the others below them on average (50% is chance)."
        )
    return [*said, *verdict(diagnosis)] if diagnosis.informative else said


def own_limits(diagnosis: Diagnosis, table: Table, judgments: Judgments) -> list[str]:
    """What one user's own evidence cannot tell."""
    kinds = ", ".join(f"{count} {kind}" for kind, count in judgments.kinds.items()) or "none"
    said = [f"{judgments.answers} answers are stored, {judgments.judged} of them judged ({kinds})."]
    if diagnosis.queries == 0:
        return [
            *said,
            "There is no text of the user's own beside candidates: nothing is known beyond the population's record. "
            "Run `edge-ttp adapt`, or edit answers.",
        ]
    if judgments.kinds.get("edit"):
        said.append("An edit starts from the answer that was shown, which flatters the score somewhat.")
    return [*said, *limits(diagnosis, table, ("utility", "score"))]


def _without_law(diagnosis: Diagnosis) -> list[str]:
    if diagnosis.curve:
        last = diagnosis.curve[-1]
        return [f"The best of {last.n} candidates is {last.oracle:+.4f} above a random one.", *_ceiling(diagnosis)]
    if diagnosis.constant_scores:
        return [
            f"The scores never differ within a query for {_named(diagnosis.constant_scores)}: any candidate is picked "
            "there. Gather history for them, or lower N for them."
        ]
    return ["Scores differ within queries for every user; whether they point the right way cannot be told."]


def _reach(diagnosis: Diagnosis, quantities: Quantities) -> list[str]:
    if not diagnosis.curve or diagnosis.curve[-1].n < 2:
        return []
    last = diagnosis.curve[-1]
    text = f"At N={last.n} selection gains {last.measured:+.4f} over a random pick"
    if isfinite(last.share):
        text += f", {last.share:.0%} of what the best candidate would gain"
    if isfinite(last.predicted) and last.oracle > 0:
        text += f" (the law says {last.predicted / last.oracle:.0%})"
    half = next((point for point in diagnosis.curve if point.n == max(last.n // 2, 1)), None)
    if half is None or half.n == last.n:
        return [text + "."]
    return [f"{text}; going from {half.n} to {last.n} candidates adds {last.measured - half.measured:+.4f}."]


def _collapse(diagnosis: Diagnosis, quantities: Quantities) -> list[str]:
    collapsed = int(quantities.users.collapsed.sum())
    users = len(quantities.users.collapsed)
    if not quantities.c.known:
        return []
    if collapsed == 0:
        return [f"No user collapsed (at most {quantities.c.high:.0%}, at 90% confidence)."]
    names = [one.user for one in diagnosis.users if one.status == "collapsed"]
    whom = f": {_named(names)}" if names else " (none with enough queries to be named)"
    text = f"{collapsed / users:.0%} of users collapsed ({collapsed} of {users}{whom})"
    if quantities.users.majority:
        text += ", most of them, so that they were compared with the users for whom the score says something"
    return [f"{text}: their scores hardly differ, so any candidate is picked. Gather history or lower N for them."]


def _hacking(diagnosis: Diagnosis, quantities: Quantities) -> list[str]:
    h = quantities.h
    if not h.known:
        return []
    upper = max(h.high, 0.005)
    if h.value < MATTERS:
        return [f"Hardly any query is hacked ({h.value:.0%} of the spread, at most {upper:.0%})."]
    if h.low <= 0:
        return [f"Hacked queries cannot be told from none ({h.value:.0%} of the spread, at most {upper:.0%})."]
    strength = f" (correlation -{quantities.rho_minus.value:.2f} there)" if quantities.rho_minus.known else ""
    return [
        f"{h.value:.0%} of the other users' queries, weighted by spread, are hacked{strength}: the score prefers "
        "the worse candidates. See what the preferred ones share, retrain on such queries with the variance as weight, "
        "and fall back to consensus where the model is unsure."
    ]


def _length(diagnosis: Diagnosis) -> list[str]:
    length = diagnosis.length
    if length is None or not length.followed:
        return []
    wants = "long" if length.score > 0 else "short"
    return [
        f"The score follows length: it prefers {wants} candidates (correlation {length.score:+.2f} with "
        f"{length.unit}), the utility does not ({length.utility:+.2f}). Take length out of the score, or balance "
        "it in training."
    ]


def _departure(diagnosis: Diagnosis, quantities: Quantities) -> list[str]:
    """Where the law misses, and which of its forms holds here."""
    points = [point for point in diagnosis.curve if isfinite(point.share) and isfinite(point.predicted)]
    if not points or not quantities.share.known:
        return []

    def missed(point: CurvePoint) -> float:
        return point.share - point.predicted / point.oracle

    def plainly(point: CurvePoint) -> float:
        return point.share - quantities.share.value

    worst, plain = max(points, key=lambda point: abs(missed(point))), max(points, key=lambda point: abs(plainly(point)))
    said = []
    if abs(plainly(plain)) >= MISSES:
        said.append(
            f"One share for all n would be off by {plainly(plain):+.2f} at n={plain.n}, {_why_plain(diagnosis)}"
            + ("; the law with the scores' own spacing holds." if abs(missed(worst)) < MISSES else ".")
        )
    if abs(missed(worst)) >= MISSES:
        said.append(
            f"The law misses by {missed(worst):+.2f} of the share at n={worst.n} (measured {worst.share:.2f}): utility "
            "does not grow evenly with the score there; trust the measured curve."
        )
    return said


def _why_plain(diagnosis: Diagnosis) -> str:
    """What the plain form takes for granted, and how far these pools are from it."""
    skewness = diagnosis.skewness
    if skewness is None or not (isfinite(skewness.score) and isfinite(skewness.utility)):
        return "which holds only where scores and utilities are spaced alike"
    return (
        "which holds only where scores and utilities are spaced alike "
        f"(skewness {skewness.score:+.2f} and {skewness.utility:+.2f} here)"
    )


def _variance(diagnosis: Diagnosis) -> list[str]:
    variance = diagnosis.variance
    if variance is None:
        return []
    best = max(variance.shares, key=lambda kappa: variance.shares[kappa])
    plain, top = variance.shares[0.0], variance.shares[best]
    said = []
    if not 0.5 <= variance.ratio <= 2:
        size = "too small" if variance.ratio > 1 else "too large"
        said.append(
            f"The variance is {size}: squared errors are {variance.ratio:.2g} times what it says. Calibrate it on "
            "users that training did not see."
        )
    if best != 0 and top - plain >= max(0.01, SURE * variance.errors[best]):
        said.append(
            f"Ranking by score {-best:+g} standard deviations would reach {top:.0%} of the headroom, not {plain:.0%}."
        )
    return said


def _ceiling(diagnosis: Diagnosis) -> list[str]:
    if diagnosis.ceilings is None:
        return []
    better = diagnosis.ceilings.better
    sure = diagnosis.exponential_better if better == "exponential" else 1 - diagnosis.exponential_better
    fit = diagnosis.ceilings.exponential if better == "exponential" else diagnosis.ceilings.gaussian
    form = "b (H_n - 1), b" if better == "exponential" else "sigma m_n, sigma"
    return [
        f"The ceiling grows like {form} = {fit.scale:.4f} ({better} tail, better in {sure:.0%} of "
        f"resamples; off by {fit.worst:.4f} at most)."
    ]


def limits(diagnosis: Diagnosis, table: Table, columns: tuple[str, str]) -> list[str]:
    """What these pools cannot tell, and what they still can. `columns`: names of the utility and the score."""
    utility, score = columns
    said = []
    if table.bad_count:
        said.append(f"{table.bad_count} of {table.bad_count + len(table.line)} lines were left out.")
    if not table.share.whole:
        said.append(_kept(table))
    if table.utility is None:
        said.append(
            f"No row has `{utility}`: c, h, rho, the curve and the ceiling cannot be estimated. What can be: for which "
            "users the scores never differ."
        )
    if table.score is None:
        said.append(
            f"No row has `{score}`: c, h, rho and what selection gains cannot be estimated. What can be: the oracle's "
            "curve and the ceiling."
        )
    if diagnosis.largest_pool < 2:
        said.append("Every query has one candidate: there is nothing to select from, and nothing can be estimated.")
    elif table.utility is not None and diagnosis.informative == 0:
        said.append("All utilities are equal within their queries: neither the score nor the ceiling can be judged.")
    elif table.utility is not None and diagnosis.informative < diagnosis.queries:
        said.append(
            f"{diagnosis.queries - diagnosis.informative} of {diagnosis.queries} queries carry no information "
            "(one candidate, or equal utilities) and are counted apart."
        )
    if diagnosis.left_out:
        said.append(
            f"The curve leaves out {diagnosis.left_out} queries with fewer than {diagnosis.curve[-1].n} candidates."
        )
    if diagnosis.quantities is not None and diagnosis.informative:
        said += _limits_of_law(diagnosis, diagnosis.quantities, table)
    return said


def _kept(table: Table) -> str:
    """What part of the rows is diagnosed."""
    share = table.share
    users = f"1 in {round(1 / share.users)} users" if share.users < 1 else "the users"
    queries = f", 1 in {round(1 / share.queries)} of their queries" if share.queries < 1 else ""
    return (
        f"{table.read:,} rows were read; {len(table.line):,} of them are diagnosed, those of {users}{queries}, chosen "
        "at random and whole: intervals say how far that reaches (--at-most)."
    )


def _limits_of_law(diagnosis: Diagnosis, quantities: Quantities, table: Table) -> list[str]:
    said = []
    if not table.has_users:
        said.append("No row has `user_id`: c, the share of collapsed users, cannot be estimated.")
    elif len(table.users) == 1:
        said.append("There is one user: c, the share of collapsed users, cannot be estimated.")
    if quantities.over == "queries":
        few = f"with fewer than {ENOUGH_USERS} users " if len(table.users) > 1 else ""
        said.append(f"Intervals {few}tell how these users' queries vary, not how other users would.".replace("  ", " "))
    if not quantities.h.known:
        if diagnosis.largest_pool < SMALLEST_POOL:
            said.append(
                f"No pool has {SMALLEST_POOL} candidates: h, rho_plus and rho_minus are unknown. The mean "
                f"correlation ({quantities.net.value:.2f}) and the share are known."
            )
        else:
            said.append(
                f"Fewer than {ENOUGH_POOLS} informative queries with {SMALLEST_POOL} or more candidates and scores "
                "that differ, of users who did not collapse: h, rho_plus and rho_minus are unknown."
            )
    elif not quantities.rho_minus.known:
        said.append("Too few hacked queries to say how wrong the score is there: rho_minus is unknown.")
    unknown = sum(one.status == "unknown" for one in diagnosis.users)
    if unknown:
        said.append(
            f"{unknown} of {len(diagnosis.users)} users have fewer than {ENOUGH_QUERIES} informative queries: a "
            "verdict on them alone is unknown."
        )
    if quantities.flat:
        said.append(f"{quantities.flat} queries have equal scores throughout; they count as correlation 0.")
    return said


def _named(names: list[str], most: int = 5) -> str:
    shown = ", ".join(printable(name, 40) for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")
