"""A runtime whose candidates an engine elsewhere draws: only where the user named one, and said in every record."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.command import edge_ttp, one_object
from fakes.engine import FakeEngine, running

from edge_ttp.aio import AsyncRuntime
from edge_ttp.errors import InvalidInput, NotFound
from edge_ttp.runtime import Runtime
from edge_ttp.schema import Budget, Event, HistoryItem, Rewrite, Sampling


@pytest.fixture
def engine() -> Iterator[FakeEngine]:
    with running(FakeEngine()) as one:
        yield one


def told(engine: FakeEngine) -> str:
    return json.dumps(engine.posts, ensure_ascii=False)


def test_an_answer_is_drawn_there_judged_here_and_says_so(engine: FakeEngine, home: Path) -> None:
    with Runtime.open(policy_url=engine.url, user="ann") as runtime:
        runtime.history.add(HistoryItem(user_id="ann", input="how is the sea", output="a quiet sea with rain"))
        made = runtime.generate("how is the sea now", n=4, seed=3)
        assert made.timings.policy_url == engine.url == runtime.policy_url
        assert made.model == "fake"
        assert made.timings.device == f"the engine at {engine.url}"
        assert any("was sent there" in note for note in made.notes)
        assert len(made.candidates) == 4
        assert made.selection.rule == "lcb"
        assert all(one.mean is not None for one in made.candidates)
        (kept,) = runtime.generations("ann")
        assert kept.timings.policy_url == engine.url
        assert runtime.loaded == (engine.url, "reward-minilm-1")
    assert "a quiet sea with rain" in told(engine)


def test_without_it_the_record_says_that_nothing_was_sent(models_home: Path) -> None:
    with Runtime.open() as runtime:
        assert runtime.policy_url is None
        made = runtime.generate("hi", n=1, sampling=Sampling(max_tokens=2), select="first", store=False)
    assert made.timings.policy_url is None
    assert not any("sent" in note for note in made.notes)


def test_a_rule_by_log_probabilities_needs_an_engine_that_says_them(engine: FakeEngine) -> None:
    engine.logprobs = False
    with Runtime.open(policy_url=engine.url) as runtime:
        with pytest.raises(InvalidInput, match=r"says no log-probabilities.*--select lcb"):
            runtime.generate("hi", n=4, select="logprob")
        made = runtime.generate("hi", n=4)
        assert any("no log-probabilities" in note for note in made.notes)


def test_everything_else_of_the_runtime_works_behind_it(engine: FakeEngine) -> None:
    with Runtime.open(policy_url=engine.url, model="fake") as runtime:
        runtime.warm()
        events: list[Event] = list(runtime.stream("hi", n=3))
        assert events[-1].type == "done"
        assert runtime.generate("hi", budget=Budget(mode="fast")).n >= 1
        assert runtime.generate("go on", n=1, speaker="text", select="first", store=False).n == 1
        assert list(runtime.stream("the tea is cold", rewrite=Rewrite(), n=2))[-1].generation is not None
        assert runtime.memory().policies == {"fake": 0}
        with pytest.raises(InvalidInput, match="not this device's"):
            runtime.profile()
        with pytest.raises(NotFound, match="serves no model 'other'"):
            runtime.generate("hi", model="other")


def test_it_learns_from_past_items_through_it(engine: FakeEngine) -> None:
    with Runtime.open(policy_url=engine.url) as runtime:
        for number in range(6):
            runtime.history.add(
                HistoryItem(user_id="me", input=f"how is day {number}", output="quiet, with rain and tea")
            )
        assert runtime.adapt(for_s=20).calibrated > 0


def test_cancels_and_closing_end_a_request_with_what_it_has(engine: FakeEngine) -> None:
    engine.every_s, engine.words = 0.05, 400
    cancel = threading.Event()

    def hear(event: Event) -> None:
        if event.type == "delta":
            cancel.set()

    with Runtime.open(policy_url=engine.url) as runtime:
        asked = {"n": 2, "sampling": Sampling(max_tokens=400), "select": "first"}
        made = runtime.generate("hi", cancel=cancel, on_event=hear, **asked)  # type: ignore[arg-type]
        assert made.finish_reason == "cancelled"
        begun = threading.Event()
        answers = []

        def ask() -> None:
            answers.append(runtime.generate("hi", on_event=lambda event: begun.set() if event.text else None, **asked))  # type: ignore[arg-type]

        thread = threading.Thread(target=ask)
        thread.start()
        assert begun.wait(20)
        assert runtime.close(cancel=True, timeout=20)
        thread.join(20)
    assert answers[0].finish_reason == "cancelled"


def test_an_event_loop_waits_for_it_too(engine: FakeEngine) -> None:
    async def ask() -> list[str]:
        async with AsyncRuntime.open(policy_url=engine.url) as runtime:
            made = await asyncio.gather(*(runtime.generate(f"hi {number}", n=2) for number in range(3)))
            return [one.timings.policy_url or "" for one in made]

    assert asyncio.run(ask()) == [engine.url] * 3


@pytest.mark.slow
def test_the_command_line_takes_it_and_doctor_tells_of_it(engine: FakeEngine, home: Path) -> None:
    done = edge_ttp("generate", "hi", "--policy-url", engine.url, "--n", "2", "--json")
    assert done.returncode == 0, done.stderr
    assert one_object(done.stdout)["timings"]["policy_url"] == engine.url
    checks = {one["name"]: one for one in one_object(edge_ttp("doctor", "--json").stdout)["checks"]}
    assert "nothing is sent anywhere" in checks["policy engine"]["detail"]
    found = edge_ttp("doctor", "--json", "--policy-url", engine.url).stdout
    checks = {one["name"]: one for one in one_object(found)["checks"]}
    assert "prompts are sent there: fake, context 2048, chat, n choices" in checks["policy engine"]["detail"]


@pytest.mark.slow
def test_bad_addresses_end_with_one_line(home: Path) -> None:
    done = edge_ttp("generate", "hi", "--policy-url", "ftp://x")
    assert done.returncode == 2
    assert "write it as http://127.0.0.1:8000/v1" in done.stderr
    done = edge_ttp("generate", "hi", "--policy-url", "http://127.0.0.1:1")
    assert done.returncode == 3
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_runtime_imports_nothing_of_http_ray_or_arrow_without_it(models_home: Path) -> None:
    code = (
        "import json, sys\n"
        "from edge_ttp.runtime import Runtime\n"
        "from edge_ttp.schema import Sampling\n"
        "with Runtime.open() as runtime:\n"
        "    runtime.generate('hi', n=2, sampling=Sampling(max_tokens=2))\n"
        "print(json.dumps([name for name in ('httpx', 'tenacity', 'ray', 'pyarrow') if name in sys.modules]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []
