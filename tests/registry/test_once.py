"""Something loaded once, whichever thread needs it first."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from edge_ttp.registry.once import Once


def test_many_threads_load_it_once() -> None:
    made: list[object] = []

    def load() -> object:
        made.append(object())
        return made[-1]

    once = Once(load)
    assert once.loaded() is None
    with ThreadPoolExecutor(8) as threads:
        found = set(threads.map(lambda _: once.get(), range(40)))
    assert found == {once.loaded()} == set(made)


def test_a_failure_is_raised_and_tried_again() -> None:
    answers = iter([ValueError("not yet"), "there"])

    def load() -> str:
        answer = next(answers)
        if isinstance(answer, ValueError):
            raise answer
        return answer

    once = Once(load)
    with pytest.raises(ValueError, match="not yet"):
        once.get()
    assert once.loaded() is None
    assert once.get() == once.get() == "there"


def test_who_waits_for_another_thread_may_give_up() -> None:
    loading, go_on = threading.Event(), threading.Event()

    def load() -> str:
        loading.set()
        assert go_on.wait(60)
        return "there"

    def give_up() -> None:
        raise TimeoutError("too long")

    once = Once(load)
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(once.get)
        assert loading.wait(60)
        with pytest.raises(TimeoutError, match="too long"):
            once.get(give_up)
        go_on.set()
        assert first.result(60) == "there"
    assert once.get(give_up) == "there"  # nobody has to wait any more
