"""What measurements on a corpus share: its folder, one file a run, and files that hold nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge_ttp.cli.bench_pools import corpus_folder, drawn_and_judged, in_words
from edge_ttp.errors import InvalidInput
from edge_ttp.lab.bench.ladders import Difference


def test_a_difference_is_told_with_its_interval_and_error() -> None:
    assert in_words(Difference(mean=0.05, low=-0.01, high=0.11, error=0.03)) == "+0.050 (-0.010 to +0.110; se 0.030)"


def test_the_corpus_is_the_folder_that_is_named_or_the_configured_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EDGE_TTP_DATA", raising=False)
    with pytest.raises(InvalidInput, match="not named"):
        corpus_folder(None)
    with pytest.raises(InvalidInput, match="not named"):
        corpus_folder(tmp_path / "nowhere")
    assert corpus_folder(tmp_path) == tmp_path
    monkeypatch.setenv("EDGE_TTP_DATA", str(tmp_path))
    assert corpus_folder(None) == tmp_path


@pytest.mark.real
@pytest.mark.usefixtures("models_home")
def test_one_run_draws_into_one_file_and_a_file_must_hold_something(tmp_path: Path) -> None:
    def found(pools: list[Path], queries: int) -> Any:
        return drawn_and_judged(
            lambda _: None,
            lambda *_, **__: 0,
            lambda *_, **__: {},
            pools,
            data=tmp_path,
            model=None,
            reward=None,
            task=["notes"],
            queries=queries,
            threads=1,
        )

    with pytest.raises(InvalidInput, match="one run draws into one file"):
        found([tmp_path / "a.jsonl", tmp_path / "b.jsonl"], 1)
    with pytest.raises(InvalidInput, match="cannot be read"):
        found([tmp_path / "none.jsonl"], 0)
    held = tmp_path / "header.jsonl"
    held.write_text('{"results": "none"}\n', encoding="utf-8")
    with pytest.raises(InvalidInput, match="hold no pools"):
        found([held], 0)
