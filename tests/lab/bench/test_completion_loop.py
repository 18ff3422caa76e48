"""The loop of create_chat_completion that `bench rivals` compares with: real, on the random model."""

from __future__ import annotations

from pathlib import Path

from policy.tiny import language_model

from edge_ttp.lab.bench.completion_loop import CompletionLoop
from edge_ttp.lab.bench.rivals import Ground


def test_every_choice_is_drawn_with_a_seed_of_its_own(tmp_path: Path) -> None:
    ground = Ground(
        model="tiny", path=language_model(tmp_path / "tiny.gguf"), threads=1, context=256, most=4, end_token=None
    )
    with CompletionLoop(ground) as loop, loop.awake():
        made = loop.choices([{"role": "user", "content": "hello"}], 3, tokens=6, seed=1)
        again = loop.choices([{"role": "user", "content": "hello"}], 1, tokens=6, seed=2)
    assert len(made.texts) == 3
    assert 3 <= made.tokens <= 3 * 7
    assert again.texts[0] == made.texts[1]
