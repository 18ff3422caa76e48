"""A diagnosis as one JSON object (docs/diagnosis.md)."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from edge_ttp.lab.diagnosis.evidence_worth import Worth
from edge_ttp.lab.diagnosis.judge import Diagnosis, HackedQuery, Shown
from edge_ttp.lab.diagnosis.own_evidence import Judgments
from edge_ttp.lab.diagnosis.score_table import Table
from edge_ttp.scaling import UNKNOWN, Estimate, Quantities

_FOUR = ("c", "h", "rho_plus", "rho_minus")


def as_object(
    diagnosis: Diagnosis, table: Table, texts: dict[int, str], *, verdict: list[str], limits: list[str]
) -> dict[str, Any]:
    """The object; what is unknown is nan here and null in JSON. `texts` are by line."""
    quantities = diagnosis.quantities
    four = {name: _estimate(getattr(quantities, name) if quantities else UNKNOWN) for name in _FOUR}
    return {
        **four,
        "sigma": _estimate(quantities.sigma)["value"] if quantities else None,
        "net": _estimate(quantities.net if quantities else UNKNOWN),
        "share": _estimate(quantities.share if quantities else UNKNOWN),
        "curve": [asdict(point) for point in diagnosis.curve],
        "skewness": asdict(diagnosis.skewness) if diagnosis.skewness else None,
        "ceiling": _ceiling(diagnosis),
        "users": [asdict(line) for line in diagnosis.users],
        "queries": [_query(query, texts) for query in diagnosis.hacked],
        "verdict": " ".join(verdict),
        "limits": limits,
        "heads": _heads(quantities) if quantities else None,
        "rivals": {"naive": asdict(quantities.naive), "normal": asdict(quantities.normal)} if quantities else None,
        "c_at": {f"{part:g}": value for part, value in quantities.c_at.items()} if quantities else None,
        "inflation": quantities.inflation if quantities else None,
        "intervals": {"level": 0.9, "over": quantities.over} if quantities else None,
        "length": {**asdict(diagnosis.length), "followed": diagnosis.length.followed} if diagnosis.length else None,
        "variance": asdict(diagnosis.variance) if diagnosis.variance else None,
        "constant_scores": diagnosis.constant_scores,
        "counts": {
            "rows_read": table.read,
            "share_of_users": table.share.users,
            "share_of_queries": table.share.queries,
            "candidates": diagnosis.candidates,
            "queries": diagnosis.queries,
            "informative": diagnosis.informative,
            "used_for_h": quantities.used if quantities else 0,
            "flat_scores": quantities.flat if quantities else 0,
            "users": len(table.users),
            "hacked_queries": diagnosis.hacked_count,
            "left_out_of_curve": diagnosis.left_out,
        },
        "bad_lines": {
            "count": table.bad_count,
            "reasons": table.bad_reasons,
            "named": [asdict(bad) for bad in table.bad],
        },
    }


def own_object(judgments: Judgments, trust: float, worth: Worth) -> dict[str, Any]:
    """The part about one user's own evidence."""
    return {
        **asdict(judgments),
        "trust": trust,
        "record": asdict(worth.record),
        "n": worth.n,
        "reason": worth.reason,
        "gain": [{"n": n, "gain": gain} for n, gain in worth.gain.items()],
    }


def _estimate(value: Estimate) -> dict[str, float]:
    return asdict(value)


def _heads(quantities: Quantities) -> dict[str, float]:
    """The quantities with every user or query counting the same."""
    return {"c": quantities.c_heads, **asdict(quantities.heads)}


def _ceiling(diagnosis: Diagnosis) -> dict[str, Any] | None:
    if diagnosis.ceilings is None:
        return None
    return {
        **asdict(diagnosis.ceilings),
        "better": diagnosis.ceilings.better,
        "exponential_better_in": diagnosis.exponential_better,
    }


def _query(query: HackedQuery, texts: dict[int, str]) -> dict[str, Any]:
    return {
        "user": query.user,
        "query": query.query,
        "rho": query.rho,
        "p_hacked": query.p_hacked,
        "candidates": query.candidates,
        "loss": query.loss,
        "preferred": _shown(query.preferred, texts),
        "best": _shown(query.best, texts),
    }


def _shown(candidate: Shown, texts: dict[int, str]) -> dict[str, Any]:
    return {**asdict(candidate), "text": texts.get(candidate.line)}
