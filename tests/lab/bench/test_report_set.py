"""Who is reported on: frozen users, none that were seen in development."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from edge_ttp.errors import InvalidInput
from edge_ttp.lab.bench import report_set
from edge_ttp.lab.bench.scored_pools import REPORT, TUNE, part_of
from tests.lab.bench.test_halves import write


def test_the_digest_is_of_the_sorted_names_of_report_users_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [name for name in (f"user {number}" for number in range(60)) if part_of(name) in REPORT]
    monkeypatch.setattr("tests.lab.bench.test_halves.USERS", [*names[:3][::-1], "tuned"])
    assert part_of("tuned") not in REPORT
    write(tmp_path, "notes", users=4, items=1)
    digest = hashlib.sha256("\n".join(sorted(names[:3])).encode()).hexdigest()[:16]
    assert report_set.fingerprint(tmp_path, "notes") == (3, digest)
    monkeypatch.setitem(report_set.FROZEN, "notes", (3, digest))
    assert report_set.tenths_of("report", tmp_path, ["notes"]) == REPORT


def test_report_users_that_were_seen_in_development_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "wine_review")
    write(tmp_path, "email_reply")
    write(tmp_path, "notes")
    assert report_set.tenths_of("tune", tmp_path, ["wine_review"]) == TUNE
    assert report_set.tenths_of("report", tmp_path, ["notes"]) == REPORT
    with pytest.raises(InvalidInput, match="seen in development"):
        report_set.tenths_of("report", tmp_path, ["notes", "wine_review"])
    with pytest.raises(InvalidInput, match="others than the frozen ones"):
        report_set.tenths_of("report", tmp_path, ["email_reply"])
    with pytest.raises(InvalidInput, match="no part"):
        report_set.tenths_of("train", tmp_path, ["notes"])


@pytest.mark.skipif("EDGE_TTP_DATA" not in os.environ, reason="needs the corpora")
@pytest.mark.parametrize("task", sorted(report_set.FROZEN))
def test_the_frozen_report_users_are_those_of_the_corpora(task: str) -> None:
    assert report_set.fingerprint(Path(os.environ["EDGE_TTP_DATA"]), task) == report_set.FROZEN[task]
