"""The decode calls of a request without the engine: the same rows at the same places, from the tokens drawn."""

from __future__ import annotations

from pathlib import Path

import pytest
from policy.calls import OPEN, PROMPT, restless, sample
from policy.table import TableDecoder
from policy.tiny import language_model

from edge_ttp.lab.bench.bare_decode import Bare, steps_of
from edge_ttp.policy.bindings import Step
from edge_ttp.policy.llama import LlamaPolicy
from edge_ttp.policy.request import Control, Request
from edge_ttp.schema import Sampling


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return language_model(tmp_path / "tiny.gguf")


@pytest.mark.parametrize("n", [1, 2, 20])
def test_the_steps_are_those_that_the_engine_asked_for(n: int) -> None:
    decoder = TableDecoder(restless, ends=[0])
    sampled = sample(decoder, Request(PROMPT, n=n, sampling=OPEN, seed=3, max_tokens=9))
    steps = steps_of(sampled)
    assert [tuple(zip(step.tokens, step.members, strict=True)) for step in steps] == decoder.steps
    assert [step.position for step in steps] == list(range(len(PROMPT), len(PROMPT) + len(steps)))
    ended = [sequence for step in steps for sequence in step.drops]
    assert len(ended) == len(set(ended)) < n + 1


@pytest.mark.slow
def test_repeated_calls_decode_as_many_rows_and_leave_the_prompt_alone(tiny: Path) -> None:
    policy = LlamaPolicy(tiny, threads=1)
    asked = Request(tuple(range(3, 203)), n=12, sampling=Sampling(), seed=1, max_tokens=12)
    sampled = policy.sample(asked, Control())
    policy.close()
    assert sum(len(step.tokens) for step in steps_of(sampled)) == sampled.rows
    bare = Bare(tiny, cells=600, most=12, threads=1, on_gpu=False)
    bare.read(asked.prompt)
    for _ in range(3):
        assert bare.seconds(sampled) > 0
        lengths = [bare._context.length(sequence) for sequence in range(13)]
        assert lengths == [len(asked.prompt), *[0] * 12]
    assert steps_of(sampled)[0] == Step(
        tokens=tuple(dict.fromkeys(ids[0] for ids in sampled.token_ids if len(ids) > 1)),
        position=len(asked.prompt),
        members=steps_of(sampled)[0].members,
        drops=tuple(one.index + 1 for one in sampled.candidates if one.tokens == 1),
    )
    bare.close()
