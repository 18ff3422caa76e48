"""The network of small words, trained on a few invented users."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from edge_ttp.answer import restoring
from edge_ttp.errors import InvalidInput
from edge_ttp.lab.bench.scored_pools import part_of
from edge_ttp_export.cli import app
from edge_ttp_export.restoring_run import run_restoring

SAID = ("The boat is in the harbour.", "We saw the boat on Monday.", "Is the harbour open?", "I walked to the hill.")


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    names = [f"user{number}" for number in range(60)]
    chosen = [name for name in names if part_of(name) < 8]
    rows = [
        {
            "user_id": name,
            "order": at,
            "input": f"{name} asks",
            "output": f"{SAID[at % 4][:-1]} {'near the lake' * (at // 4)}.",
        }
        for name in chosen
        for at in range(8)
    ]
    (tmp_path / "chat.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return tmp_path


def test_it_learns_what_stands_where_and_the_package_reads_its_file(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "made" / "en.npz"
    args = ["small-words", "--data", str(corpus), "--out", str(out), "--epochs", "30", "--json"]
    done = CliRunner().invoke(app, args)
    assert done.exit_code == 0, done.output
    told = json.loads(done.output[done.output.index("{") :])
    assert told["loss_tune"] < 0.9 * told["loss_tune_of_rates_alone"]
    monkeypatch.setattr(restoring, "weights_file", lambda language: out)
    restoring.restorer.cache_clear()
    network = restoring.restorer("en")
    restoring.restorer.cache_clear()
    assert network is not None
    row = network.likely([("", "", "^", "boat", "harbour", "$")])[0]
    assert network.pieces[int(np.argmax(row))] == "the"


def test_a_corpus_without_such_texts_is_refused(corpus: Path) -> None:
    with pytest.raises(InvalidInput, match="no texts in 'fr'"):
        run_restoring(corpus, ["chat"], "fr", epochs=1, seed=1, report=lambda line: None)
