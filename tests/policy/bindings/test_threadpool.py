"""A thread pool of ggml's own computes what llama.cpp's computes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_ttp.policy.bindings import Context, Model
from edge_ttp.policy.bindings.threadpool import pool_of


@pytest.mark.parametrize("poll", [0, 50])
def test_a_pool_is_attached_and_taken_away_again(tiny_path: Path, poll: int) -> None:
    model = Model(tiny_path)
    context = Context(model, cells=64, sequences=2, chunk=16, threads=1)
    said = []
    for _ in range(2):
        with pool_of(context, threads=1, poll=poll):
            logits = context.prefill([3, 4, 5], 0, want_logits=True)
            assert logits is not None
            said.append(logits.copy())
        context.clear()
    plain = context.prefill([3, 4, 5], 0, want_logits=True)
    assert plain is not None
    assert all(np.array_equal(one, plain) for one in said)
    context.close()
    model.close()
