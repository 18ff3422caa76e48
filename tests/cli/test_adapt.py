"""`edge-ttp adapt` with the real models: what it prints, that it goes on, and that answers know of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edge_ttp.cli.adapt import in_words
from edge_ttp.cli.main import run
from edge_ttp.history import History
from edge_ttp.learning import self_calibration as calibrating
from edge_ttp.learning.improvement import Improvement
from edge_ttp.paths import locate
from edge_ttp.schema import HistoryItem
from tests.fakes.real import spare_measuring

TEXTS = [
    ("The printer on the first floor was repaired.", "ok printer works again!!"),
    ("The meeting moves to Friday.", "ok meeting is friday now!!"),
    ("Lunch will be at one today.", "ok lunch at one!!"),
]


@pytest.fixture
def filled(models_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(calibrating, "CANDIDATES", 4)
    spare_measuring(models_home)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    with History.open(locate(models_home).database) as history:
        for day, (given, output) in enumerate(TEXTS):
            history.add(HistoryItem(user_id="me", input=given, output=output, created_at=start + timedelta(days=day)))
    return models_home


@pytest.mark.real
def test_past_texts_are_used_once_and_the_posterior_is_kept(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["adapt", "--json"]) == 0
    first = json.loads(capsys.readouterr().out)
    assert (first["calibrated"], first["left"], first["stopped"], first["evidence"]) == (3, 0, "everything", 3)
    assert first["record"]["queries"] <= 3
    assert 0 <= first["trust"] <= 1
    assert run(["adapt"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("0 texts of me used")
    assert "\nWhether answers got better is unknown yet: " in out  # words before numbers
    assert "\nin numbers: evidence 3, trust 0." in out
    assert first["improvement"]["known"] is False
    with History.open(locate(filled).database) as history:
        counts = history.health().counts
    assert (counts["calibrations"], counts["evidence"], counts["posteriors"]) == (3, 3, 1)


@pytest.mark.slow
def test_nothing_is_learned_of_a_user_without_texts_in_no_time(
    filled: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["adapt", "--user", "ann", "--for", "5m", "--while-idle", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["calibrated"], found["stopped"], found["trust"]) == (0, "everything", 0.0)


@pytest.mark.parametrize("options", [["--for", "0"], ["--for", "soon"], ["--user", ""]])
def test_what_cannot_be_meant_is_one_line(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["adapt", *options]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("texts", "after", "sure", "words"),
    [
        (0, 0.5, 0.5, "unknown yet: 0 of your texts could be compared, 8 are needed"),
        (1, 0.5, 0.5, "unknown yet: 1 of your texts could"),
        (7, 0.9, 0.99, "unknown yet"),
        (20, 0.35, 0.97, "Answers got better, by 5.0% (97% sure): on 20 of your own texts"),
        (20, 0.31, 0.7, "No difference can be told yet (70% sure that answers got better)"),
        (20, 0.25, 0.04, "Answers got worse, by 5.0% (96% sure), so little is made of it"),
    ],
)
def test_it_says_whether_it_got_better_by_how_much_and_how_sure(
    texts: int, after: float, sure: float, words: str
) -> None:
    assert words in in_words(Improvement(texts, 0.2, 0.3, after, sure))
