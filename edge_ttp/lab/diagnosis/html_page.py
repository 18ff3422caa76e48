"""The report as one HTML page: no script, no network, light and dark. Everything from the data is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from math import isfinite

from edge_ttp.lab.diagnosis.charts import Dot, Line, bars_chart, lines_chart, map_chart, swatch
from edge_ttp.lab.diagnosis.judge import CurvePoint, Diagnosis, HackedQuery, Shown, UserLine, marked
from edge_ttp.lab.diagnosis.score_table import Table
from edge_ttp.lab.diagnosis.verdict import printable
from edge_ttp.scaling import Estimate, exponential_ceiling, gaussian_ceiling
from edge_ttp.scaling.collapse import COLLAPSED_BELOW

MOST_DOTS = 2000
"""Users on the map; of more, every so-and-so-many-th of those in good health is left out."""

_MAP = (0.003, 10.0)
_LONGEST_TEXT = 600
_STATUS = {
    "works": "score points the right way",
    "undecided": "cannot be told from 0",
    "misled": "score points the wrong way",
    "collapsed": "collapsed",
    "unknown": "too few queries to judge",
}


def page(diagnosis: Diagnosis, table: Table, texts: dict[int, str], *, verdict: list[str], limits: list[str]) -> str:
    """The page. `texts` are by line; `verdict` and `limits` are sentences."""
    name = escape(printable(diagnosis.name.replace("\\", "/").rsplit("/", 1)[-1]))
    sections = [
        _quantities(diagnosis),
        _curves(diagnosis),
        _correlations(diagnosis),
        _map(diagnosis),
        _queries(diagnosis, texts),
        _suspects(diagnosis),
        _limits(limits, table),
    ]
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Diagnosis of {name}</title>
<style>{_style()}</style>
</head>
<body>
<header>
<p class="kicker">Best-of-N diagnosis</p>
<h1>{name}</h1>
<p class="counts">{diagnosis.candidates:,} candidates · {diagnosis.queries:,} queries, {diagnosis.informative:,} of them
informative · {len(table.users):,} users</p>
</header>
<main>
<section class="verdict"><h2>Verdict</h2>{_list(verdict)}</section>
{"".join(section for section in sections if section)}
</main>
<footer>Made by <code>edge-ttp diagnose</code>. Intervals are 90% intervals. Formulas and estimators are this project's
own reading of arXiv 2605.10991.</footer>
</body>
</html>
"""


def _style() -> str:
    folder = files("edge_ttp.lab.diagnosis")
    return "".join(folder.joinpath(name).read_text(encoding="utf-8") for name in ("chart.css", "page.css"))


def _list(sentences: Iterable[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences) + "</ul>"


def _section(title: str, lead: str, body: str) -> str:
    return f"<section><h2>{escape(title)}</h2><p>{escape(lead)}</p>{body}</section>" if body else ""


def _figure(chart: str, caption: str) -> str:
    return f"<figure>{chart}<figcaption>{caption}</figcaption></figure>" if chart else ""


def _quantities(diagnosis: Diagnosis) -> str:
    quantities = diagnosis.quantities
    if quantities is None:
        return ""
    tiles = [
        ("Users collapsed", "c", quantities.c, "share of the utility's spread at users whose scores hardly differ"),
        ("Queries hacked", "h", quantities.h, "share of the rest where the score prefers worse candidates"),
        ("Right way", "ρ₊", quantities.rho_plus, "mean correlation of the aligned queries"),
        ("Wrong way", "ρ₋", quantities.rho_minus, "mean size of the correlation of the hacked ones"),
        ("Share of the ceiling", "", quantities.share, "what the law says is reached: (1-c)[(1-h)ρ₊ - hρ₋]"),
    ]
    body = "".join(_tile(*tile) for tile in tiles)
    return _section(
        "The four quantities",
        "What stands between this score and the best candidate. Queries count by the spread of their utilities.",
        f'<div class="tiles">{body}</div>',
    )


def _tile(title: str, symbol: str, value: Estimate, meaning: str) -> str:
    shown = f"{value.value:.2f}" if value.known else "unknown"
    between = f"{value.low:.2f} to {value.high:.2f}" if value.known else "cannot be told from these pools"
    return (
        f'<div class="tile{"" if value.known else " unknown"}"><h3>{escape(title)} <span>{escape(symbol)}</span></h3>'
        f'<p class="value">{shown}</p><p class="between">{between}</p><p>{escape(meaning)}</p></div>'
    )


def _curves(diagnosis: Diagnosis) -> str:
    curve = diagnosis.curve
    if not curve:
        return ""
    ns = [float(point.n) for point in curve]
    lines = [
        Line("best candidate", "oracle", ns, [point.oracle for point in curve]),
        Line(
            "selected",
            "measured",
            ns,
            [point.measured for point in curve],
            [point.low for point in curve],
            [point.high for point in curve],
        ),
        Line("law", "law", ns, [point.predicted for point in curve]),
        Line("plain form", "rival", ns, [point.plain for point in curve]),
    ]
    gain = lines_chart(
        lines, title="Gain over a random pick by n", x_label="candidates n", y_label="gain over a random pick"
    )
    share = lines_chart(
        [
            Line("measured", "measured", ns, [point.share for point in curve]),
            Line("law", "law", ns, [_of_oracle(point) for point in curve]),
            Line("plain form", "rival", ns, [_share(diagnosis) if point.n > 1 else float("nan") for point in curve]),
        ],
        title="Share of the best candidate's gain by n",
        x_label="candidates n",
        y_label="share of the ceiling",
        percent=True,
    )
    figures = [
        _figure(gain, "Utility gained over a random pick, with its 90% interval, beside the best candidate's."),
        _figure(share, "The same as a share of the ceiling. Where it falls, more candidates buy less than they could."),
        _figure(_ceiling(diagnosis, ns), "The best candidate's gain and the two forms it might have."),
    ]
    return _section(
        "What more candidates buy",
        "From random subsets of each pool, each scored anew, since these scores depend on the other candidates."
        if diagnosis.rescored
        else "Every n up to the size of the pools, without bias, from all subsets of each pool.",
        f'<div class="figures">{"".join(figures)}{_curve_table(diagnosis)}</div>',
    )


def _of_oracle(point: CurvePoint) -> float:
    return point.predicted / point.oracle if point.n > 1 and point.oracle > 0 else float("nan")


def _share(diagnosis: Diagnosis) -> float:
    return diagnosis.quantities.share.value if diagnosis.quantities is not None else float("nan")


def _ceiling(diagnosis: Diagnosis, ns: Sequence[float]) -> str:
    if diagnosis.ceilings is None:
        return ""
    return lines_chart(
        [
            Line("best candidate", "oracle", ns, [point.oracle for point in diagnosis.curve]),
            Line("exponential", "other", ns, list(exponential_ceiling(ns, diagnosis.ceilings.exponential.scale))),
            Line("Gaussian", "rival", ns, list(gaussian_ceiling(ns, diagnosis.ceilings.gaussian.scale))),
        ],
        title="The ceiling and its fits",
        x_label="candidates n",
        y_label="gain over a random pick",
    )


def _curve_table(diagnosis: Diagnosis) -> str:
    rows = "".join(
        f"<tr><th>{point.n}</th>"
        + "".join(
            f"<td>{_number(value, digits)}</td>"
            for value, digits in (
                (point.measured, 4),
                (point.low, 4),
                (point.high, 4),
                (point.predicted, 4),
                (point.plain, 4),
                (point.oracle, 4),
                (point.share, 2),
            )
        )
        + "</tr>"
        for point in marked(diagnosis.curve)
    )
    return (
        "<figure><table><thead><tr><th>n</th><th>selected</th><th>low</th><th>high</th>"
        "<th>law</th><th>plain form</th><th>best</th><th>share</th></tr></thead>"
        f"<tbody>{rows}</tbody></table><figcaption>The same in numbers.</figcaption></figure>"
    )


def _correlations(diagnosis: Diagnosis) -> str:
    bars = diagnosis.histogram
    if bars is None:
        return ""
    chart = bars_chart(
        list(bars.edges),
        list(bars.measured),
        list(bars.true),
        title="Correlations of score and utility within queries",
        x_label="correlation of score and utility within a query",
        y_label="share of queries",
    )
    true = " The outline is what is left after the noise of small pools is taken out." if len(bars.true) else ""
    return _section(
        "Does the score point the right way?",
        "One correlation per query, weighted by spread. Left of 0 the score prefers worse candidates.",
        f'<div class="figures one">{_figure(chart, "Bars: as measured." + true)}</div>',
    )


def _map(diagnosis: Diagnosis) -> str:
    drawn = [line for line in diagnosis.users if isfinite(line.spread) and isfinite(line.rho)]
    if len(drawn) < 2:
        return ""
    sick = [line for line in drawn if line.status in ("collapsed", "misled")]
    well = [line for line in drawn if line.status not in ("collapsed", "misled")]
    step = max(1, -(-len(well) // max(MOST_DOTS - len(sick), 1)))
    dots = [_dot(line) for line in (*well[::step], *sick[:MOST_DOTS])]
    chart = map_chart(
        dots,
        title="Users by spread and correlation",
        x_label="spread of the scores, typical = 1",
        y_label="correlation of score and utility",
        x_range=_MAP,
        limit=COLLAPSED_BELOW,
    )
    legend = "".join(
        f"<li>{swatch(status)} {escape(text)} ({sum(line.status == status for line in drawn):,})</li>"
        for status, text in _STATUS.items()
        if any(line.status == status for line in drawn)
    )
    left = f" Every {step}th of the others is drawn." if step > 1 else ""
    return _section(
        "For whom?",
        "Each mark is a user. Far left: scores hardly differ, any candidate is picked. Below 0: worse than random."
        + left,
        f'<div class="figures{"" if sick else " one"}">'
        f"{_figure(chart, f'<ul class=legend>{legend}</ul>')}{_sick(sick)}</div>",
    )


def _dot(line: UserLine) -> Dot:
    return Dot(
        x=line.spread,
        y=line.rho,
        style=line.status,
        title=f"{printable(line.user, 60)}: {line.status}, rho {line.rho:.2f} ({line.low:.2f} to {line.high:.2f}), "
        f"{line.informative} informative queries",
    )


def _sick(users: list[UserLine], most: int = 25) -> str:
    if not users:
        return ""
    rows = "".join(
        f"<tr><th>{escape(printable(line.user, 40))}</th><td>{line.status}</td><td>{line.informative}</td>"
        f"<td>{_number(line.spread, 3)}</td><td>{line.rho:+.2f}</td></tr>"
        for line in users[:most]
    )
    more = f"<p>and {len(users) - most} more</p>" if len(users) > most else ""
    return (
        '<div class="sick"><table><thead><tr><th>user</th><th></th><th>queries</th><th>spread</th><th>ρ</th></tr>'
        "</thead>"
        f"<tbody>{rows}</tbody></table>{more}</div>"
    )


def _queries(diagnosis: Diagnosis, texts: dict[int, str]) -> str:
    if not diagnosis.hacked:
        return ""
    cards = "".join(_card(query, texts) for query in diagnosis.hacked)
    return _section(
        "Hacked queries that cost most",
        f"{diagnosis.hacked_count:,} queries are more likely hacked than not. In each of these the score preferred the "
        "first candidate; the second was the best there was.",
        f'<div class="cards">{cards}</div>',
    )


def _card(query: HackedQuery, texts: dict[int, str]) -> str:
    return (
        f"<article><h3>{escape(printable(query.query, 80))} <span>{escape(printable(query.user, 60))}</span></h3>"
        f"<p>ρ {query.rho:+.2f} over {query.candidates} candidates, hacked with probability {query.p_hacked:.2f}, "
        f"{query.loss:.3f} lost</p>{_candidate('preferred', query.preferred, texts)}"
        f"{_candidate('best', query.best, texts)}</article>"
    )


def _candidate(what: str, shown: Shown, texts: dict[int, str]) -> str:
    text = texts.get(shown.line)
    words = f"<blockquote>{escape(printable(text, _LONGEST_TEXT))}</blockquote>" if text is not None else ""
    return (
        f'<div class="candidate {what}"><p><b>{what}</b> score {shown.score:.3f}, utility {shown.utility:.3f}, '
        f"line {shown.line}</p>{words}</div>"
    )


def _suspects(diagnosis: Diagnosis) -> str:
    rows = []
    if diagnosis.length is not None:
        length = diagnosis.length
        rows.append(
            f"Length in {length.unit}: correlation with the score {length.score:+.2f}, with the utility "
            f"{length.utility:+.2f}. Score and utility {length.rho:+.2f}, with length taken out "
            f"{length.rho_without:+.2f}."
        )
    if diagnosis.variance is not None:
        variance = diagnosis.variance
        shares = ", ".join(f"{-kappa:+g} sd: {share:.0%}" for kappa, share in variance.shares.items())
        rows.append(
            f"Variance: squared errors are {variance.ratio:.2g} times what it says, rank correlation with them "
            f"{variance.rank:+.2f}. Share of the ceiling when ranking by score plus so many standard deviations: "
            f"{shares}."
        )
    return f"<section><h2>Usual suspects</h2>{_list(rows)}</section>" if rows else ""


def _limits(limits: list[str], table: Table) -> str:
    if not limits and not table.bad:
        return ""
    bad = [f"line {bad.line}: {bad.reason}" for bad in table.bad]
    named = f"<details><summary>Lines left out</summary>{_list(bad)}</details>" if bad else ""
    return f"<section><h2>What these pools cannot tell</h2>{_list(limits)}{named}</section>"


def _number(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if isfinite(value) else "–"
