"""From the score file to everything that docs/measured/reproduction.md shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from edge_ttp.lab.reproduction.cells import EVERYBODY, REPORT, cells
from edge_ttp.lab.reproduction.figures import ceiling_figure, curves_figure, law_figure
from edge_ttp.lab.reproduction.findings import Bootstrap, Ceiling, Curve, VariantQuantities, ceilings, curves, measure
from edge_ttp.lab.reproduction.law_test import LawTest, law_test
from edge_ttp.lab.reproduction.score_file import ScoreFile
from edge_ttp.lab.reproduction.variance import Ranked, variance_use

R2_TARGET = 0.95
SHARE_TARGET = 0.03


@dataclass(frozen=True)
class Reproduction:
    """All findings."""

    file: ScoreFile
    ceilings: list[Ceiling]
    law_report: LawTest | None
    """On report users; None if they are too few."""
    law_everybody: LawTest | None
    measured: list[VariantQuantities]
    ranked: list[Ranked]
    curves: list[Curve]
    figures: dict[str, tuple[str, str]]
    """SVG by file name, each with what it is of: a policy, or a group of users."""

    def figure_names(self, kind: str) -> list[tuple[str, str]]:
        """(what it is of, file name) of the figures of one kind."""
        return [(about, name) for name, (about, _) in self.figures.items() if name.startswith(f"{kind}-")]

    def as_object(self) -> dict[str, Any]:
        """For JSON: the law's tests, the ceilings' fits, the quantities, the uses of the variance."""
        return {
            "law": {"report": _law(self.law_report), "everybody": _law(self.law_everybody)},
            "ceilings": [
                {"task": one.task, "policy": one.policy, **asdict(one.fits), "better": one.fits.better,
                 "exponential_better_in": one.exponential_better, "log_r2": one.log_r2,
                 "doublings": one.doublings.tolist()}
                for one in self.ceilings
            ],
            "quantities": [
                {"task": row.task, "policy": row.policy, "variant": row.variant, "queries": row.queries,
                 **_four(row.quantities), "share": asdict(row.share)}
                for row in self.measured
            ],
            "variance": [
                {"policy": row.policy, **asdict(row.way), **_four(row.quantities), "share": asdict(row.share),
                 "against": asdict(row.against)}
                for row in self.ranked
            ],
        }  # fmt: skip


def reproduce(file: ScoreFile, *, splits: int, bootstrap: Bootstrap, advance: Callable[[float], None]) -> Reproduction:
    """All findings. `advance` gets the splits done, of twice `splits`."""
    report = law_test(cells(file, REPORT), splits=splits, seed=bootstrap.seed, advance=advance)
    everybody = law_test(
        cells(file, EVERYBODY), splits=splits, seed=bootstrap.seed, advance=lambda done: advance(splits + done)
    )  # fmt: skip
    found, shapes = ceilings(file, bootstrap), curves(file)
    figures: dict[str, tuple[str, str]] = {}
    for place, policy in enumerate(dict.fromkeys(one.policy for one in file.sets)):
        figures[f"ceiling-{place + 1}.svg"] = (policy, ceiling_figure(found, policy))
        figures[f"curves-{place + 1}.svg"] = (policy, curves_figure(shapes, policy))
    for name, test in (("report", report), ("everybody", everybody)):
        if test is not None:
            figures[f"law-{name}.svg"] = ("report users" if test is report else name, law_figure(test, list(file.made)))
    return Reproduction(
        file=file,
        ceilings=found,
        law_report=report,
        law_everybody=everybody,
        measured=measure(file, bootstrap),
        ranked=variance_use(file, bootstrap),
        curves=shapes,
        figures={name: one for name, one in figures.items() if one[1]},
    )


def _law(test: LawTest | None) -> dict[str, Any] | None:
    return {**asdict(test), "worst": asdict(test.worst)} if test is not None else None


def _four(quantities: Any) -> dict[str, Any]:
    return {name: asdict(getattr(quantities, name)) for name in ("c", "h", "rho_plus", "rho_minus")}
