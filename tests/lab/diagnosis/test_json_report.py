"""A diagnosis as one object: the numbers are the diagnosis', texts come by line, what is unknown is nan."""

from __future__ import annotations

import json
from dataclasses import replace
from math import isnan

from edge_ttp.lab.diagnosis.evidence_worth import worth
from edge_ttp.lab.diagnosis.json_report import as_object, own_object
from edge_ttp.lab.diagnosis.own_evidence import Judgments
from edge_ttp.learning.calibration import Calibration
from tests.lab.diagnosis.conftest import Judge, Judged
from tests.lab.diagnosis.makers import good_model


def test_numbers_and_counts_are_those_of_the_diagnosis(models: dict[str, Judged]) -> None:
    table, found = models["flipped"]
    assert found.quantities is not None
    worst = found.hacked[0]
    told = as_object(found, table, {worst.preferred.line: "the text"}, verdict=["One.", "Two."], limits=["None."])
    assert told["verdict"] == "One. Two."
    assert told["limits"] == ["None."]
    assert told["h"]["value"] == found.quantities.h.value
    assert told["sigma"] == found.quantities.sigma.value
    assert [point["n"] for point in told["curve"]] == list(range(1, 17))
    shown = told["queries"][0]
    assert (shown["user"], shown["loss"]) == (worst.user, worst.loss)
    assert (shown["preferred"]["text"], shown["best"]["text"]) == ("the text", None)
    assert told["intervals"] == {"level": 0.9, "over": "users"}
    assert told["counts"] | {
        "candidates": 45 * 12 * 16, "queries": 540, "informative": 540, "users": 45, "left_out_of_curve": 0,
    } == told["counts"]  # fmt: skip
    assert told["bad_lines"] == {"count": 0, "reasons": {}, "named": []}
    json.dumps(told)


def test_what_is_unknown_is_nan_or_none(judged: Judge) -> None:
    rows = [{key: value for key, value in row.items() if key != "score"} for row in good_model(users=3, queries=3)]
    table, found = judged(rows)
    told = as_object(found, table, {}, verdict=[], limits=[])
    assert all(isnan(told[name]["value"]) for name in ("c", "h", "rho_plus", "rho_minus", "net", "share"))
    for name in ("sigma", "heads", "rivals", "c_at", "inflation", "intervals", "length", "variance"):
        assert told[name] is None, name
    assert told["counts"]["used_for_h"] == 0
    assert as_object(replace(found, ceilings=None), table, {}, verdict=[], limits=[])["ceiling"] is None


def test_a_users_own_part_has_its_record_and_gains() -> None:
    value = worth(Calibration(rho=0.5, rho_sd=0.1, spread=0.08, queries=20))
    told = own_object(Judgments(4, 3, {"edit": 2, "prefer": 1}, 0.75), 0.9, value)
    assert (told["answers"], told["judged"], told["kinds"]) == (4, 3, {"edit": 2, "prefer": 1})
    assert (told["preferred_rank"], told["trust"], told["n"]) == (0.75, 0.9, value.n)
    assert told["record"]["rho"] == 0.5
    assert told["gain"][1] == {"n": 2, "gain": value.gain[2]}
