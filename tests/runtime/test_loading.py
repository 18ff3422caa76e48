"""The models that a runtime holds: loaded once, when first needed, and again after a failure."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fakes import FakePolicy, Models
from registry.makers import gguf

from edge_ttp.errors import Cancelled, ModelUnavailable, NotFound
from edge_ttp.runtime import Runtime
from edge_ttp.runtime.loading import LoadStep

from .requests import answer, until


def test_opening_loads_no_model(runtime: Runtime, models: Models) -> None:
    assert models.policies == models.rewards == []
    assert runtime.history.users() == []


def test_models_are_loaded_once_when_first_needed(runtime: Runtime, models: Models) -> None:
    for _ in range(3):
        answer(runtime)
    assert len(models.policies) == len(models.rewards) == 1
    assert models.policies[0]["threads"] >= 1
    assert models.policies[0]["memory_bytes"] > 0


def test_the_reward_model_is_not_loaded_for_a_rule_that_needs_none(runtime: Runtime, models: Models) -> None:
    result = answer(runtime, select="consensus")
    assert (result.reward, models.rewards) == (None, [])
    runtime.warm(rule="first")
    assert models.rewards == []
    runtime.warm()
    assert len(models.rewards) == 1


def test_a_model_that_failed_to_load_is_tried_again(runtime: Runtime, models: Models) -> None:
    models.failures.append(ModelUnavailable("broken"))
    with pytest.raises(ModelUnavailable, match="broken"):
        answer(runtime)
    assert answer(runtime).text
    assert len(models.policies) == 2


def test_threads_that_are_first_at_once_load_the_models_once(runtime: Runtime, models: Models) -> None:
    together = threading.Barrier(4)

    def first(_: int) -> str:
        together.wait()
        return answer(runtime).text

    with ThreadPoolExecutor(4) as threads:
        assert len(set(threads.map(first, range(4)))) == 1
    assert len(models.policies) == len(models.rewards) == 1
    assert 1 <= models.policy.measured <= 3  # once for each number of threads


def test_warming_tells_how_far_it_is_and_can_be_cancelled(runtime: Runtime, models: Models) -> None:
    told: list[LoadStep] = []
    runtime.warm(on_progress=told.append)
    doing = [one.doing for one in told]
    assert doing[-1] == "ready"
    assert list(dict.fromkeys(doing))[-3:] == ["reward", "measuring", "ready"]
    assert all(0 <= one.done <= 1 for one in told)
    runtime.unload()
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        runtime.warm(cancel=cancel)
    assert answer(runtime).text


def test_models_come_and_go_on_demand(runtime: Runtime, models: Models) -> None:
    assert (runtime.loaded, runtime.busy) == ((), False)
    answer(runtime)
    assert len(runtime.loaded) == 2
    memory = runtime.memory()
    assert list(memory.policies) == [runtime.models.policy]
    assert memory.process > 0
    runtime.unload()
    until(lambda: models.policy.closed)
    assert runtime.loaded == ()
    assert answer(runtime).text
    assert len(models.policies) == 2
    with pytest.raises(NotFound, match="not in memory"):
        runtime.unload("other")


def test_several_policies_and_another_one_from_now_on(runtime: Runtime, models: Models, tmp_path: Path) -> None:
    other = tmp_path / "other.gguf"
    other.write_bytes(gguf())
    first = answer(runtime)
    models.policy = FakePolicy()
    second = answer(runtime, model=str(other))
    assert (first.model, second.model) == ("tiny", "other")
    assert len(runtime.memory().policies) == 2
    runtime.use_model(str(other))
    assert answer(runtime).model == "other"
    assert list(runtime.memory().policies) == [str(other)]
    with pytest.raises(NotFound):
        runtime.use_model("nope")
