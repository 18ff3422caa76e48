"""One round of a setting: every width is timed, and the cache is as it was."""

from __future__ import annotations

from pathlib import Path

from policy.tiny import language_model

from edge_ttp.lab.bench.engine_rounds import Trying, seconds
from edge_ttp.policy.bindings import Context, Model


def test_a_round_times_reading_and_every_width_and_leaves_the_prompt_alone(tmp_path: Path) -> None:
    path = language_model(tmp_path / "tiny.gguf")
    asked = Trying(str(path), threads=1, prompt=40, rows=(1, 3), steps=2, chunk=16)
    model = Model(path)
    context = Context(model, cells=128, sequences=4, chunk=asked.chunk, threads=1, flash_attention=True)
    filler = [3 + at % 20 for at in range(60)]
    for _ in range(2):
        found = seconds(context, filler, asked)
        assert sorted(found) == ["1", "3", "read"]
        assert min(found.values()) > 0
        assert [context.length(sequence) for sequence in range(4)] == [40, 0, 0, 0]
    context.close()
    model.close()
