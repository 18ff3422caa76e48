"""The life of a runtime: opened, loaded, unloaded, idle, closed from anywhere, dropped, forked; and what hosts give."""

from __future__ import annotations

import gc
import os
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fakes import FakePolicy, Models, endless
from fakes.command import model_paths

from edge_ttp.errors import InvalidInput, NotFound
from edge_ttp.paths import locate
from edge_ttp.runtime import Runtime
from edge_ttp.schema import Budget, Event, Generation, HistoryItem, Sampling

from .requests import until

SHORT = Sampling(max_tokens=8)
LONG = Sampling(max_tokens=1900)


@pytest.fixture
def open_runtime(models: Models, tmp_path: Path) -> Iterator[Callable[..., Runtime]]:
    paths = model_paths(tmp_path)
    opened: list[Any] = []

    def open_one(**options: Any) -> Runtime:
        runtime = Runtime.open(**{**paths, **options})
        opened.append(weakref.ref(runtime))
        return runtime

    yield open_one
    for reference in opened:
        runtime = reference()
        if runtime is not None:
            runtime.close(cancel=True, timeout=60)


@pytest.fixture
def runtime(open_runtime: Callable[..., Runtime]) -> Runtime:
    return open_runtime()


def answer(runtime: Runtime, prompt: str | None = "what grows here", **options: Any) -> Generation:
    return runtime.generate(prompt, **{"user": "ann", "n": 4, "seed": 3, "sampling": SHORT, **options})


# Opening


def test_a_model_that_there_is_not_is_refused_when_it_is_named(open_runtime: Callable[..., Runtime]) -> None:
    for name in ("nope", "/no/such/file.gguf", " "):
        with pytest.raises((NotFound, InvalidInput)):
            open_runtime(model=name)


def test_a_user_given_at_open_is_meant_where_none_is_named(open_runtime: Callable[..., Runtime]) -> None:
    runtime = open_runtime(user="zoe")
    assert answer(runtime, user=None).user == "zoe"
    assert answer(runtime, user="ann").user == "ann"
    assert [one.user for one in runtime.generations()] == ["zoe"]
    with pytest.raises(InvalidInput):
        open_runtime(user="tab\tbed")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder in which nobody can make another")
def test_where_nothing_can_be_written_the_history_is_in_memory_and_said(
    open_runtime: Callable[..., Runtime],
) -> None:
    with pytest.warns(RuntimeWarning, match="kept in memory only"):
        runtime = open_runtime(home="/proc/self/edge-ttp")
    runtime.history.add(HistoryItem(user_id="ann", input="a", output="b"))
    assert answer(runtime).plan.examples == 1
    folder = runtime.history.path.parent
    assert folder.stat().st_mode & 0o77 == 0
    runtime.close()
    assert not folder.exists()


def test_a_closed_runtime_cannot_be_entered_again(runtime: Runtime) -> None:
    runtime.close()
    with pytest.raises(InvalidInput, match="the runtime was closed"), runtime:
        pass


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_is_refused_in_one_line_and_leaves_the_parents_models_alone(
    runtime: Runtime, models: Models
) -> None:
    answer(runtime)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            for ask in (lambda: answer(runtime), lambda: list(runtime.stream("hello")), runtime.warm):
                try:
                    ask()
                except InvalidInput as refused:
                    os.write(writing, f"{refused}\n".encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as said:
        lines = said.read().splitlines()
    assert os.waitpid(child, 0)[1] == 0
    assert len(lines) == 3
    assert all("before the process forked; open another" in line for line in lines)
    assert answer(runtime).text


# Loading


def test_a_model_in_use_is_unloaded_when_its_request_ends(runtime: Runtime, models: Models) -> None:
    models.policy = FakePolicy(table=endless)
    drawing, stop = threading.Event(), threading.Event()
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(
            answer,
            runtime,
            sampling=LONG,
            cancel=stop,
            on_event=lambda one: drawing.set() if one.type == "progress" else None,
        )
        assert drawing.wait(60)
        runtime.unload()
        assert not models.policy.closed
        assert runtime.busy
        stop.set()
        assert running.result(60).text
    until(lambda: models.policy.closed)


def test_models_leave_when_nobody_has_come_for_long(open_runtime: Callable[..., Runtime]) -> None:
    runtime = open_runtime(unload_after_s=0.05)
    answer(runtime)
    until(lambda: runtime.loaded == ())
    assert answer(runtime).text
    with pytest.raises(InvalidInput):
        open_runtime(unload_after_s=0)


def test_the_device_is_measured_after_the_first_answer_where_no_plan_needs_it_before(
    runtime: Runtime, models: Models
) -> None:
    answer(runtime, n=4)
    until(lambda: models.policy.measured > 0)
    until(lambda: answer(runtime, n=4).plan.expected_s is not None)


# The end


def test_closing_inside_a_callback_ends_with_the_request(runtime: Runtime, models: Models) -> None:
    closed: list[bool] = []
    made = answer(runtime, on_event=lambda event: closed.append(runtime.close()) if not closed else None)
    assert made.text
    assert closed == [False]
    assert models.policy.closed
    with pytest.raises(InvalidInput, match="closed"):
        answer(runtime)


def test_asking_inside_a_callback_is_answered(runtime: Runtime) -> None:
    inner: list[Generation] = []

    def ask_again(event: Event) -> None:
        if event.type == "progress" and not inner:
            inner.append(answer(runtime, user="bob"))

    assert answer(runtime, on_event=ask_again).text
    assert inner[0].user == "bob"


def test_closing_can_cancel_and_can_give_up_waiting(runtime: Runtime, models: Models) -> None:
    models.policy = FakePolicy(table=endless)
    drawing, hold = threading.Event(), threading.Event()

    def wait(event: Event) -> None:
        if event.type == "progress" and not drawing.is_set():
            drawing.set()
            assert hold.wait(60)

    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(answer, runtime, sampling=LONG, on_event=wait)
        assert drawing.wait(60)
        assert not runtime.close(timeout=0.01)
        assert not runtime.close(cancel=True, timeout=0.01)  # its callback holds it up
        hold.set()
        made = running.result(60)
    assert runtime.close(timeout=60)
    assert models.policy.closed
    assert {one.finish_reason for one in made.candidates} <= {"cancelled", "length"}


def test_a_runtime_that_was_dropped_gives_everything_back(open_runtime: Callable[..., Runtime], models: Models) -> None:
    before = set(threading.enumerate())
    runtime = open_runtime()
    answer(runtime)
    until(lambda: models.policy.measured > 0)
    until(lambda: not any(thread.name == "edge-ttp-measure" for thread in threading.enumerate()))
    del runtime
    gc.collect()
    until(lambda: models.policy.closed)
    until(lambda: set(threading.enumerate()) <= before)


def test_many_cycles_leave_no_thread_and_no_file(open_runtime: Callable[..., Runtime]) -> None:
    before = set(threading.enumerate())
    for _ in range(10):
        with open_runtime() as runtime:
            answer(runtime)
    gc.collect()
    until(lambda: set(threading.enumerate()) <= before)
    if Path("/proc/self/fd").exists():
        opened = []
        for link in Path("/proc/self/fd").iterdir():
            try:
                opened.append(os.readlink(link))
            except OSError:
                continue
        assert not [one for one in opened if str(locate(None).database) in one]


# What hosts give


def test_a_streams_options_are_checked_at_the_call(runtime: Runtime) -> None:
    for options in ({"sead": 3}, {"n": 0}, {"cancel": 3}, {"select": "best"}, {"turns": "x"}, {"user": ""}):
        with pytest.raises(InvalidInput):
            runtime.stream("hello", **options)  # type: ignore[arg-type]


def test_an_exception_at_the_end_leaves_no_answer_to_judge(runtime: Runtime) -> None:
    for kind in ("selected", "done"):

        def fail(event: Event, kind: str = kind) -> None:
            if event.type == kind:
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            answer(runtime, on_event=fail)
        assert runtime.history.generations("ann") == []
    assert answer(runtime).stored


def test_the_answers_text_comes_in_pieces_where_nothing_competes(runtime: Runtime) -> None:
    for n in (1, 4):
        pieces: list[str] = []
        made = answer(runtime, n=n, on_text=pieces.append)
        assert "".join(pieces) == made.text
        assert (len(pieces) == 1) == (n > 1)


def test_deadlines_know_of_the_others_who_are_here(runtime: Runtime, models: Models) -> None:
    runtime.warm()
    alone = runtime.generate("what grows here", user="ann", budget=Budget(deadline_s=60), sampling=SHORT).plan
    with runtime.scheduler.present("bob"), runtime.scheduler.present("eve"):
        beside = runtime.generate("what grows here", user="ann", budget=Budget(deadline_s=60), sampling=SHORT).plan
    assert alone.expected_s is not None
    assert beside.expected_s is not None
    assert beside.n < alone.n or beside.expected_s > 2 * alone.expected_s


def test_three_deadlines_at_once_are_all_answered(runtime: Runtime, models: Models) -> None:
    runtime.warm()
    together = threading.Barrier(3)

    def call(index: int) -> Generation:
        together.wait()
        return answer(runtime, n=None, user=f"user-{index}", budget=Budget(deadline_s=30))

    with ThreadPoolExecutor(3) as threads:
        made = list(threads.map(call, range(3)))
    assert all(one.text for one in made)
