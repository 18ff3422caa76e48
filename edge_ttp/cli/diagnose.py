"""`edge-ttp diagnose`: how far selection by a score is from the ceiling, why, and for whom."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_ttp.cli import options
from edge_ttp.cli.output import console, emit_json, note, progress
from edge_ttp.errors import InvalidInput
from edge_ttp.system.output_file import checked_output, output_file

if TYPE_CHECKING:
    from edge_ttp.lab.diagnosis.evidence_worth import Worth
    from edge_ttp.lab.diagnosis.judge import Diagnosis, Picked
    from edge_ttp.lab.diagnosis.own_evidence import Judgments
    from edge_ttp.lab.diagnosis.score_table import Source, Table
    from edge_ttp.reward.model import RewardModel

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)

_NAMED_BAD = 5
_SHOWN_USERS = 10
_SHOWN_QUERIES = 5
_WIDE = 200
"""Columns of a table that does not go to a terminal."""


@app.command()
def diagnose(
    pools: Annotated[
        str | None,
        typer.Argument(help="JSON lines (or .zst), or .parquet: user_id, query_id, utility, score. - reads stdin."),
    ] = None,
    score: Annotated[str, typer.Option("--score", metavar="COLUMN", help="Column to select by.")] = "score",
    utility: Annotated[
        str, typer.Option("--utility", metavar="COLUMN", help="Column of the true utility.")
    ] = "utility",
    variance: Annotated[
        str, typer.Option("--variance", metavar="COLUMN", help="Column of the score's variance, if there is one.")
    ] = "variance",
    model: Annotated[
        str | None,
        typer.Option("--model", metavar="REWARD", help="Score texts with this reward model: a name, or a folder."),
    ] = None,
    history: Annotated[
        Path | None,
        typer.Option("--history", help="What the users wrote (JSON lines), for --model. Default: all are new users."),
    ] = None,
    user: Annotated[
        str | None,
        typer.Option("--user", "-u", help="Instead of POOLS: this user's own evidence in the history on this device."),
    ] = None,
    as_json: options.AsJson = False,
    html: Annotated[Path | None, typer.Option("--html", help="Write a report to read: one file, no network.")] = None,
    plot: Annotated[Path | None, typer.Option("--plot", help="Write the curves as PNG (extra: plot).")] = None,
    force: options.Force = False,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse the file if a line cannot be used.")] = False,
    at_most: Annotated[
        int | None,
        typer.Option("--at-most", min=10_000, help="Rows kept, of whole users by chance. Default: 4,000,000."),
    ] = None,
    bootstrap: Annotated[int, typer.Option("--bootstrap", min=20, max=10_000, help="Resamples for intervals.")] = 400,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the resamples.")] = 0,
) -> None:
    """Diagnose any reward model from scored candidates with known utility.

    Prints the four quantities (collapse, hacking, the two correlations), the measured curve beside the law's, the
    ceiling, who collapsed, which queries are hacked, and a verdict. What the pools cannot tell is said. With --user the
    same from one user's own texts and edits, and how many candidates they justify.
    """
    from edge_ttp.lab.diagnosis import candidate_texts, judge
    from edge_ttp.lab.diagnosis.score_table import AT_MOST, Columns, read_table, source_of

    _check(pools, user, model, history, score == utility)
    for file in (html, plot):  # before the work, not after it
        if file is not None:
            checked_output(file, force=force)
    if plot is not None:
        from edge_ttp.lab.diagnosis.png_picture import require_matplotlib

        require_matplotlib()
    out = _Out(as_json, html, plot, force, (utility, score))
    if user is not None:
        _diagnose_user(user, model, out, bootstrap, seed)
        return
    source = source_of(str(pools))
    columns = Columns(utility, score, variance) if model is None else Columns(utility, None, None)
    with progress("reading", source.size, "bytes") as advance:
        table = read_table(source, columns, advance, at_most=at_most or AT_MOST)
    _report_bad(table, strict, source.name)
    picked = None
    if model is not None:
        table, picked = _scored(table, source, model, history)
    diagnosis = judge.judge(table, source.name, resamples=bootstrap, seed=seed, picked=picked)
    wanted = [one.line for query in diagnosis.hacked for one in (query.preferred, query.best)]
    written = candidate_texts.texts_of(source, wanted) if table.has_text else {}
    _tell(diagnosis, table, written, out, None)


def _check(pools: str | None, user: str | None, model: str | None, history: Path | None, same: bool) -> None:
    """Raises InvalidInput for arguments that cannot be meant together."""
    if (pools is None) == (user is None):
        raise InvalidInput(
            "give either POOLS or --user" + (", not both" if pools else ""), "see `edge-ttp diagnose --help`"
        )
    if user is not None and history is not None:
        raise InvalidInput("the history of --user is on this device already", "leave out --history")
    if same:
        raise InvalidInput("score and utility are the same column", "choose another --score or --utility")
    if history is not None and model is None:
        raise InvalidInput("--history is what a reward model knows of the users", "name one with --model")


@dataclass(frozen=True)
class _Out:
    """Where the answer goes, and the names of the columns of utility and score."""

    as_json: bool
    html: Path | None
    plot: Path | None
    force: bool
    columns: tuple[str, str]


def _diagnose_user(name: str, model: str | None, out: _Out, bootstrap: int, seed: int) -> None:
    """The diagnosis of one user's own evidence under a reward model."""
    from edge_ttp.history import History
    from edge_ttp.history.user import valid_user
    from edge_ttp.lab.diagnosis import judge
    from edge_ttp.lab.diagnosis.evidence_worth import worth
    from edge_ttp.lab.diagnosis.own_evidence import judgments, own, own_table
    from edge_ttp.paths import locate
    from edge_ttp.registry import DEFAULT_REWARD
    from edge_ttp.reward.posterior import MAX_EVIDENCE

    user = valid_user(name)
    with History.open(locate().database, create=False) as history:
        reward = _reward_model(model or DEFAULT_REWARD)
        evidence = own(history.sourced_evidence(user, reward.fingerprint, MAX_EVIDENCE), reward.stock)
        judged = judgments(history.iterate_generations(user), history.feedback_for(user))
    table, texts = own_table(user, evidence.pools)
    diagnosis = judge.judge(table, f"{user}'s own evidence", resamples=bootstrap, seed=seed)
    _tell(diagnosis, table, texts, out, (judged, evidence.trust, worth(evidence.record)))


def _reward_model(name: str) -> RewardModel:
    """The reward model of this name, or in this folder."""
    from edge_ttp.paths import locate
    from edge_ttp.registry.model_store import Registry
    from edge_ttp.reward.model import RewardModel

    folder = Registry(locate()).reward_folder(name)
    return RewardModel.load(folder)


def _tell(
    diagnosis: Diagnosis, table: Table, texts: dict[int, str], out: _Out, own: tuple[Judgments, float, Worth] | None
) -> None:
    """Writes and prints the answer in the forms asked for."""
    from edge_ttp.lab.diagnosis import json_report
    from edge_ttp.lab.diagnosis.verdict import limits, own_limits, own_verdict, verdict

    if own is None:
        said, unsaid = verdict(diagnosis), limits(diagnosis, table, out.columns)
    else:
        judged, _, value = own
        said, unsaid = own_verdict(diagnosis, judged, value), own_limits(diagnosis, table, judged)
    if out.html is not None:
        from edge_ttp.lab.diagnosis.html_page import page

        _write(
            out.html, page(diagnosis, table, texts, verdict=said, limits=unsaid).encode("utf-8", "replace"), out.force
        )
    if out.plot is not None:
        from edge_ttp.lab.diagnosis.png_picture import picture

        _write(out.plot, picture(diagnosis), out.force)
    if out.as_json:
        shown = json_report.as_object(diagnosis, table, texts, verdict=said, limits=unsaid)
        emit_json({**shown, "own": json_report.own_object(*own) if own is not None else None})
        return
    _print(diagnosis, texts, said, unsaid)


def _scored(table: Table, source: Source, model: str, history: Path | None) -> tuple[Table, Picked]:
    """The table with the scores of the reward model of this name or in this folder."""
    from edge_ttp.lab.diagnosis.scoring import score_table

    reward = _reward_model(model)
    if history is None:
        note("without --history all users are new to the reward model")
    with progress("scoring", len(table.queries), "queries") as advance:
        return score_table(table, source, reward, history, advance)


def _report_bad(table: Table, strict: bool, name: str) -> None:
    """Names unusable lines on stderr; refuses the file under --strict."""
    if not table.bad_count:
        return
    if strict:
        first = table.bad[0]
        raise InvalidInput(
            f"{table.bad_count} lines of {name} cannot be used, the first is line {first.line}: {first.reason}",
            "mend them, or leave out --strict",
        )
    for bad in table.bad[:_NAMED_BAD]:
        note(f"line {bad.line} left out: {bad.reason}")
    if table.bad_count > _NAMED_BAD:
        reasons = ", ".join(f"{reason} ({count})" for reason, count in table.bad_reasons.items())
        note(f"{table.bad_count} lines left out in all: {reasons}")


def _write(path: Path, data: bytes, force: bool) -> None:
    with output_file(path, force=force) as file:
        file.write(data)
    note(f"wrote {path}")


def _print(diagnosis: Diagnosis, texts: dict[int, str], said: list[str], unsaid: list[str]) -> None:
    from edge_ttp.lab.diagnosis.verdict import printable

    out = console()
    queries = "1 query" if diagnosis.queries == 1 else f"{diagnosis.queries:,} queries"
    out.print(
        f"{diagnosis.candidates:,} candidates, {queries} ({diagnosis.informative:,} informative) "
        f"of {printable(diagnosis.name)}",
        markup=False,
    )
    for sentence in said:
        out.print(f"- {sentence}", markup=False)
    _print_quantities(diagnosis)
    _print_curve(diagnosis)
    _print_users(diagnosis)
    _print_queries(diagnosis, texts)
    if unsaid:
        out.print("\nWhat these pools cannot tell:", markup=False)
        for sentence in unsaid:
            out.print(f"- {sentence}", markup=False)


def _print_quantities(diagnosis: Diagnosis) -> None:
    quantities = diagnosis.quantities
    if quantities is None:
        return
    plain, naive, normal = quantities.heads, quantities.naive, quantities.normal
    rows = [
        ("collapse c", quantities.c, quantities.c_heads, float("nan"), float("nan")),
        ("hacking h", quantities.h, plain.h, naive.h, normal.h),
        ("rho+", quantities.rho_plus, plain.rho_plus, naive.rho_plus, normal.rho_plus),
        ("rho-", quantities.rho_minus, plain.rho_minus, naive.rho_minus, normal.rho_minus),
        ("share of the oracle", quantities.share, float("nan"), float("nan"), float("nan")),
        ("sigma", quantities.sigma, float("nan"), float("nan"), float("nan")),
    ]
    _table(
        ("", "value", "90% interval", "unweighted", "if counted", "if normal"),
        [
            (
                name,
                _number(one.value),
                f"{_number(one.low)} to {_number(one.high)}" if one.known else "unknown",
                _number(heads),
                _number(counted),
                _number(prior),
            )
            for name, one, heads, counted, prior in rows
        ],
    )


def _print_curve(diagnosis: Diagnosis) -> None:
    from edge_ttp.lab.diagnosis.judge import marked

    if not diagnosis.curve:
        return
    _table(
        ("n", "measured", "90% interval", "law", "plain form", "oracle", "share"),
        [
            (
                str(point.n),
                _number(point.measured, 4),
                f"{_number(point.low, 4)} to {_number(point.high, 4)}",
                _number(point.predicted, 4),
                _number(point.plain, 4),
                _number(point.oracle, 4),
                _number(point.share, 2),
            )
            for point in marked(diagnosis.curve)
        ],
    )


def _print_users(diagnosis: Diagnosis) -> None:
    from edge_ttp.lab.diagnosis.verdict import printable

    shown = [line for line in diagnosis.users if line.status in ("collapsed", "misled")]
    if not shown:
        return
    _table(
        ("user", "", "queries", "spread, typical = 1", "rho", "90% interval"),
        [
            (
                printable(line.user, 40),
                line.status,
                str(line.informative),
                _number(line.spread, 3),
                _number(line.rho, 2),
                f"{_number(line.low, 2)} to {_number(line.high, 2)}",
            )
            for line in shown[:_SHOWN_USERS]
        ],
    )
    if len(shown) > _SHOWN_USERS:
        console().print(f"and {len(shown) - _SHOWN_USERS} more users (--json has all)", markup=False)


def _print_queries(diagnosis: Diagnosis, texts: dict[int, str]) -> None:
    from edge_ttp.lab.diagnosis.verdict import printable

    out = console()
    if diagnosis.hacked:
        out.print(f"\nHacked queries that cost most ({diagnosis.hacked_count} in all):", markup=False)
    for query in diagnosis.hacked[:_SHOWN_QUERIES]:
        out.print(
            f"{printable(query.query, 40)} of {printable(query.user, 40)}: rho {query.rho:+.2f}, "
            f"hacked with probability {query.p_hacked:.2f}",
            markup=False,
        )
        for what, one in (("preferred", query.preferred), ("best", query.best)):
            text = f"  {printable(texts[one.line], 90)}" if one.line in texts else ""
            out.print(f"  {what:9} score {one.score:.3f}, utility {one.utility:.3f}{text}", markup=False)


def _number(value: float, digits: int = 3) -> str:
    return f"{value:.{digits}f}" if isfinite(value) else "-"


def _table(header: tuple[str, ...], lines: list[tuple[str, ...]]) -> None:
    """A plain table on stdout, numbers to the right."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for place, name in enumerate(header):
        table.add_column(name, justify="left" if place == 0 else "right", no_wrap=True)
    for line in lines:
        table.add_row(*(Text(cell) for cell in line))
    out = console()
    out.print()
    out.print(table, width=None if out.is_terminal else _WIDE)
