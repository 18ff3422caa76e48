from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edge_ttp.answer.language import NAMES, detect
from edge_ttp.cli.main import app
from edge_ttp.errors import InvalidInput
from edge_ttp.lab.bench import languages
from edge_ttp.lab.bench.languages import REQUESTS, LanguageRow, measure, written


def test_every_request_is_recognized_as_what_it_is() -> None:
    for language, requests in REQUESTS.items():
        assert language in NAMES
        assert detect(" ".join(requests)) == language


def test_a_language_is_written_where_answers_stay_in_it_and_its_texts_cost_little() -> None:
    rows = [LanguageRow("en", 1.0, 1.0), LanguageRow("de", 0.9, 4.0), LanguageRow("fr", 0.2, 1.1)]
    assert written(rows) == ["en"]


@pytest.mark.real
@pytest.mark.usefixtures("models_home")
def test_bench_languages_tells_what_the_default_policy_can_write(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(languages, "CANDIDATES", 2)
    monkeypatch.setattr(languages, "LONGEST", 24)
    run = CliRunner().invoke(app, ["bench", "languages", "--language", "ja", "--language", "en", "--json"])
    assert run.exit_code == 0, run.output
    told = json.loads(run.stdout)
    assert [row["language"] for row in told["rows"]] == ["en", "ja"]
    assert told["rows"][0]["cost"] == 1
    assert told["languages"] == ["en"]


def test_a_language_without_requests_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no requests in 'tlh'"):
        measure(tmp_path / "none.gguf", "chat", languages=["en", "tlh"], threads=1, advance=lambda _: None)
