"""Runtime: what it loads and when, requests from several threads, streams, feedback, and how it ends."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fakes import BYTES_PER_TOKEN, FakePolicy, Models, endless
from registry.makers import ADAPTER, gguf, sha256

from edge_ttp.errors import Cancelled, HistoryUnavailable, InvalidInput, NotFound
from edge_ttp.paths import locate, private_folder
from edge_ttp.registry import Manifest
from edge_ttp.registry.manifest import Bundled, ModelFile
from edge_ttp.runtime import Runtime, loading
from edge_ttp.schema import Budget, Event, Generation, HistoryItem, LoraAdapter, Sampling

from .requests import LONG, SHORT, answer

# Opening and loading


def test_bad_requests_are_refused_before_models_are_looked_at(open_runtime: Callable[..., Runtime]) -> None:
    runtime = open_runtime()
    for options in (
        {"select": "best"},
        {"n": 0},
        {"user": ""},
        {"user": "tab\tbed"},
        {"prompt": "  "},
        {"seed": -1},
    ):
        with pytest.raises(InvalidInput):
            answer(runtime, **options)


@pytest.mark.parametrize("threads", [0, -2, (os.cpu_count() or 1) + 1, 100_000])
def test_threads_that_cannot_be_run_are_refused(open_runtime: Callable[..., Runtime], threads: int) -> None:
    with pytest.raises(InvalidInput, match=f"^{threads} threads"):
        open_runtime(threads=threads)


def test_the_device_is_measured_once_and_remembered_for_the_next_runtime(
    open_runtime: Callable[..., Runtime], models: Models
) -> None:
    with open_runtime() as first:
        first.warm()
        assert models.policy.measured >= 1
    models.policy = FakePolicy()
    with open_runtime() as second:
        assert answer(second).plan.expected_s is not None
    assert models.policy.measured == 0


def test_a_request_that_comes_while_the_device_is_measured_waits_for_that_one_measurement(
    runtime: Runtime, models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    measuring, go_on = threading.Event(), threading.Event()
    real = FakePolicy.measure

    def measure(policy: FakePolicy, *given: Any, **options: Any) -> Any:
        measuring.set()
        assert go_on.wait(60)
        return real(policy, *given, **options)

    monkeypatch.setattr(FakePolicy, "measure", measure)
    with ThreadPoolExecutor(2) as threads:
        warming = threads.submit(runtime.warm)
        assert measuring.wait(60)
        asking = threads.submit(answer, runtime, n=None)
        cancelled = threading.Event()
        cancelled.set()
        with pytest.raises(Cancelled):
            answer(runtime, n=None, cancel=cancelled)
        go_on.set()
        warming.result(60)
        assert asking.result(60).plan.expected_s is not None
    assert models.policy.measured == len({os.cpu_count() or 1, max(1, (os.cpu_count() or 1) // 2), 1})


def test_every_request_corrects_the_measured_cost(runtime: Runtime, home: Path) -> None:
    runtime.warm()
    file = locate(home).cache / "device.json"
    before = file.read_text()
    answer(runtime)
    assert file.read_text() != before


def test_a_cost_that_cannot_be_kept_does_not_cost_the_answer(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(loading.Profiles, "save", fail)
    assert answer(runtime).stored


def test_memory_limits_of_the_runtime_and_of_the_request_both_hold(open_runtime: Callable[..., Runtime]) -> None:
    runtime = open_runtime(memory_bytes=60 * BYTES_PER_TOKEN)
    free = answer(runtime, n=None)
    assert free.plan.bound_by == "memory"
    tighter = answer(runtime, n=None, budget=Budget(memory_bytes=40 * BYTES_PER_TOKEN))
    assert tighter.n < free.n
    looser = answer(runtime, n=None, budget=Budget(memory_bytes=90 * BYTES_PER_TOKEN))
    assert looser.n == free.n


def test_the_user_of_a_request_without_one_comes_from_the_environment(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert answer(runtime, user=None).user == "me"
    monkeypatch.setenv("EDGE_TTP_USER", "zoe")
    assert answer(runtime, user=None).user == "zoe"


# Streams


def test_a_stream_gives_the_events_of_generate_and_ends_with_the_whole_result(runtime: Runtime) -> None:
    expected: list[Event] = []
    plain = answer(runtime, on_event=expected.append)
    events = list(runtime.stream("what grows here", user="ann", n=4, seed=3, sampling=SHORT))
    assert [event.type for event in events] == [event.type for event in expected]
    last = events[-1].generation
    assert last is not None
    assert last.candidates == plain.candidates
    assert runtime.history.generation(last.generation_id).text == events[-1].text


def test_a_stream_that_fails_raises_what_the_request_raised(runtime: Runtime) -> None:
    with pytest.raises(InvalidInput, match="the prompt is empty"):
        list(runtime.stream(" "))


def test_a_stream_closed_early_cancels_its_request(runtime: Runtime, models: Models) -> None:
    models.policy = FakePolicy(table=endless)
    events = runtime.stream("what grows here", user="ann", n=2, sampling=LONG)
    for event in events:
        if event.type == "progress":
            break
    events.close()
    assert models.policy.controls[0].cancel is not None
    assert models.policy.controls[0].cancel.is_set()
    for generation in runtime.history.generations("ann"):
        assert {one.finish_reason for one in generation.candidates} == {"cancelled"}
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("edge-ttp-stream")]


def test_a_stream_leaves_the_callers_own_flag_alone_unless_closed_early(runtime: Runtime) -> None:
    cancel = threading.Event()
    list(runtime.stream("what grows here", user="ann", n=2, sampling=SHORT, cancel=cancel))
    assert not cancel.is_set()


def test_a_stream_can_be_cancelled_from_outside(runtime: Runtime, models: Models) -> None:
    models.policy = FakePolicy(table=endless)
    cancel = threading.Event()
    events = []
    for event in runtime.stream("what grows here", user="ann", n=2, sampling=LONG, cancel=cancel):
        events.append(event)
        if event.type == "progress":
            cancel.set()
    result = events[-1].generation
    assert result is not None
    assert {one.finish_reason for one in result.candidates} == {"cancelled"}


def test_a_document_is_read_and_not_kept(runtime: Runtime, models: Models) -> None:
    for context in ("plums", ["plums"]):
        made = runtime.generate("what grows here", user="ann", n=2, context=context, system="Name two.")
        assert models.policy.messages[-1][-1] == ("user", "plums\n\nwhat grows here")
        assert "plums" not in made.model_dump_json()
    with pytest.raises(InvalidInput, match="a document"):
        runtime.generate("what grows here", user="ann", context=["\ud800"])


# Feedback


def test_stored_answers_are_listed_newest_first(runtime: Runtime) -> None:
    first, second = answer(runtime), answer(runtime)
    assert [one.generation_id for one in runtime.generations("ann")] == [second.generation_id, first.generation_id]
    assert [one.generation_id for one in runtime.generations("ann", limit=1)] == [second.generation_id]
    assert runtime.generations() == []


# Several threads, and the end


def test_threads_share_one_runtime_and_every_user_gets_their_own_answer(runtime: Runtime, models: Models) -> None:
    users = [f"user-{index}" for index in range(6)]
    for user in users:
        runtime.history.add(HistoryItem(user_id=user, input="what grows here", output=f"{user} says so"))
    alone = {user: answer(runtime, user=user, store=False).candidates for user in users}

    def work(user: str) -> list[Generation]:
        return [answer(runtime, user=user) for _ in range(5)]

    with ThreadPoolExecutor(len(users)) as threads:
        made = dict(zip(users, threads.map(work, users), strict=True))
    for user, generations in made.items():
        assert {one.user for one in generations} == {user}
        assert all(one.candidates == alone[user] for one in generations)
        assert {one.generation_id for one in runtime.history.generations(user)} == {
            one.generation_id for one in generations
        }
    assert len(models.policies) == len(models.rewards) == 1


def test_a_request_waiting_for_another_can_be_cancelled(runtime: Runtime, models: Models) -> None:
    models.policy = FakePolicy(table=endless)
    drawing, stop, cancel = threading.Event(), threading.Event(), threading.Event()

    def first_step(event: Event) -> None:
        if event.type == "progress":
            drawing.set()

    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(
            answer, runtime, n=1, sampling=Sampling(max_tokens=1900), cancel=stop, on_event=first_step
        )
        assert drawing.wait(60)
        cancel.set()
        with pytest.raises(Cancelled):
            answer(runtime, cancel=cancel)
        stop.set()
        assert running.result(60).text


def test_closing_waits_for_the_request_under_way(runtime: Runtime, models: Models) -> None:
    drawing, go_on = threading.Event(), threading.Event()

    def hold(event: Event) -> None:
        if event.type == "progress" and not drawing.is_set():
            drawing.set()
            assert go_on.wait(60)

    with ThreadPoolExecutor(2) as threads:
        running = threads.submit(answer, runtime, on_event=hold)
        assert drawing.wait(60)
        closing = threads.submit(runtime.close)
        assert not models.policy.closed
        assert not closing.done()
        go_on.set()
        assert running.result(60).stored
        closing.result(60)
    assert models.policy.closed


def test_closing_under_many_threads_ends_each_with_an_answer_or_one_clear_error(
    runtime: Runtime, models: Models
) -> None:
    started = threading.Barrier(5)

    def work(_: int) -> tuple[int, str]:
        started.wait()
        for made in range(100_000):
            try:
                stored = answer(runtime).stored
            except InvalidInput as closed:
                return made, str(closed)
            assert stored
        return -1, "never closed"

    with ThreadPoolExecutor(4) as threads:
        counts = [threads.submit(work, index) for index in range(4)]
        started.wait()
        runtime.close()
        assert models.policy.closed or not models.policies
        ended = [count.result(60) for count in counts]
    assert {words for _, words in ended} == {"the runtime was closed; open another with Runtime.open"}
    with Runtime.open() as again:
        assert len(again.history.generations("ann")) == sum(made for made, _ in ended)


def test_a_closed_runtime_says_so_and_may_be_closed_again(runtime: Runtime) -> None:
    made = answer(runtime)
    runtime.close()
    runtime.close()
    with pytest.raises(InvalidInput, match="the runtime was closed"):
        answer(runtime)
    with pytest.raises(InvalidInput, match="the runtime was closed"):
        runtime.warm()
    with pytest.raises(HistoryUnavailable, match="was closed"):
        runtime.feedback(made.generation_id, "accept")


def test_leaving_the_block_closes_even_after_an_error(runtime: Runtime, models: Models) -> None:
    runtime.warm()
    with pytest.raises(InvalidInput, match="the prompt is empty"), runtime:
        runtime.generate(" ")
    assert models.policy.closed


def test_two_runtimes_over_one_home_see_each_others_answers(open_runtime: Callable[..., Runtime]) -> None:
    first, second = open_runtime(), open_runtime()
    made = answer(first)
    assert second.feedback(made.generation_id, "accept").generation_id == made.generation_id
    assert answer(first).plan.examples == 1


# Voice adapters


@pytest.fixture
def voiced(open_runtime: Callable[..., Runtime]) -> Runtime:
    """A runtime whose policy is given an adapter for rewriting."""
    runtime = open_runtime()
    policy = runtime.registry.locate(runtime.models.policy)
    folder = private_folder(private_folder(runtime.paths.models) / "my-voice")
    data = gguf(ADAPTER)
    (folder / "voice.gguf").write_bytes(data)
    file = ModelFile(path="voice.gguf", size=len(data), sha256=sha256(data), sources=(Bundled(),))
    manifest = Manifest(
        name="my-voice", kind="adapter", licence="MIT", bases=(policy.sha256,), uses=("rewrite",),
        temperatures=(0.4,), files=(file,),
    )  # fmt: skip
    (folder / "manifest.toml").write_text(manifest.to_toml())
    return runtime


def test_a_policy_rewrites_with_its_adapter_unless_told_not_to(voiced: Runtime, models: Models) -> None:
    made = voiced.rewrite("we meet at noon", user="ann", n=2, seed=1).generation
    assert made.plan.adapter == "my-voice"
    assert made.selection.rule == "consensus"
    assert not models.rewards  # who agrees with the others is seen without a reward model
    assert [Path(one.path).name for one in made.sampling.adapters] == ["voice.gguf"]
    assert made.sampling.temperature == 0.4
    assert models.policy.requests[-1].sampling.adapters == made.sampling.adapters
    assert voiced.history.generation(made.generation_id, "ann").plan.adapter == "my-voice"
    plain = voiced.rewrite("we meet at noon", user="ann", n=2, seed=1, adapter="none").generation
    assert (plain.plan.adapter, plain.sampling.adapters) == (None, ())
    assert answer(voiced).plan.adapter is None
    assert answer(voiced, adapter="my-voice").plan.adapter == "my-voice"
    assert answer(voiced, speaker="policy", select="first", n=1).plan.adapter is None


def test_an_adapter_that_there_is_not_or_that_is_named_twice_is_refused(voiced: Runtime) -> None:
    with pytest.raises(NotFound, match="nobody"):
        answer(voiced, adapter="nobody")
    with pytest.raises(InvalidInput, match="named twice"):
        answer(voiced, adapter="my-voice", sampling=Sampling(adapters=(LoraAdapter(path="x.gguf"),)))
    with pytest.raises(InvalidInput, match="adapter"):
        answer(voiced, adapter=7)


@pytest.mark.real
def test_a_core_is_read_once_even_by_another_process_and_goes_with_the_user(models_home: Path) -> None:
    home = locate().data.parent
    with Runtime.open(home=home, user="ada") as runtime:
        for at in range(9):
            runtime.history.add(HistoryItem(user_id="ada", input=f"Question {at}?", output=f"Answer {at}, as ever."))
        first = runtime.generate("Question 3 again?", n=2, seed=1, core=4, examples=1, select="first")
    with Runtime.open(home=home, user="ada") as runtime:
        again = runtime.generate("Another thing, please?", n=2, seed=1, core=4, examples=0, select="first")
        assert (first.usage.cached_prompt_tokens, first.plan.examples, again.plan.examples) == (0, 5, 4)
        assert again.usage.cached_prompt_tokens > again.usage.prompt_tokens // 2
        folder = runtime.history.states_folder("ada")
        assert folder is not None
        assert list(folder.glob("*.state"))
        runtime.history.forget("ada", everything=True)
        assert not folder.exists()
        fresh = runtime.generate("Another thing, please?", n=2, seed=1, select="first")
    assert fresh.usage.cached_prompt_tokens == 0
