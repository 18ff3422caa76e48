"""bench rivals: pairs and medians on invented rivals; the command's options. Real servers are in test_behaviours."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from edge_ttp.cli import bench_rivals
from edge_ttp.cli.main import run
from edge_ttp.lab.bench import rival_servers
from edge_ttp.lab.bench.rivals import CORE, DrawnTexts, conversation, rounds_of, speeds
from edge_ttp.lab.bench.tasks import sample_tasks


class Invented:
    """Sleeps for every token; says the same every time where `dull`."""

    version = "1"
    way = "one request"

    def __init__(self, name: str, seconds_a_token: float, *, dull: bool = False) -> None:
        self.name, self._pace, self._dull = name, seconds_a_token, dull
        self.asked: list[int] = []
        self.heard: list[str] = []
        self.running = False

    def choices(self, messages: Sequence[dict[str, str]], n: int, *, tokens: int, seed: int) -> DrawnTexts:
        self.asked.append(seed)
        assert self.running, "asked while it was stopped"
        self.heard.append("".join(one["content"] for one in messages))
        time.sleep(self._pace * n * tokens)
        return DrawnTexts(tuple("same" if self._dull else f"text {at}" for at in range(n)), n * tokens)

    @contextmanager
    def awake(self) -> Iterator[None]:
        self.running = True
        yield
        self.running = False


def test_rows_are_paired_with_ours_and_count_different_choices() -> None:
    ours, slow = Invented("edge-ttp", 0.0005), Invented("slow", 0.005, dull=True)
    steps: list[float] = []
    rows = speeds(
        [ours, slow],
        sample_tasks(2),
        [1, 3],
        situations=["new"],
        tokens=4,
        rounds=2,
        advance=steps.append,
        cancel=threading.Event(),
    )
    assert [(row.name, row.n, row.choices, row.tokens) for row in rows] == [
        ("edge-ttp", 1, 1, 4),
        ("slow", 1, 1, 4),
        ("edge-ttp", 3, 3, 12),
        ("slow", 3, 1, 12),
    ]
    assert all(row.slower == 1 for row in rows if row.name == "edge-ttp")
    assert all(row.slower > 2 for row in rows if row.name == "slow")
    assert steps == list(range(1, 17))
    assert ours.asked == slow.asked  # the same requests


def test_a_cancel_keeps_whole_rows() -> None:
    cancel = threading.Event()
    rivals = [Invented("edge-ttp", 0)]
    found = speeds(
        rivals,
        sample_tasks(1),
        [1, 2],
        situations=["new"],
        tokens=1,
        rounds=1,
        advance=lambda done: cancel.set() if done == 2 else None,
        cancel=cancel,
    )
    assert [row.n for row in found] == [1]


def test_situations_differ_in_what_was_asked_before() -> None:
    tasks = sample_tasks(3)
    new = list(rounds_of("new", tasks, ours=False, mark="1"))
    assert [(len(one.before), len(one.timed)) for one in new] == [(0, 1)] * 3
    assert len({one.timed[0][0]["content"][:6] for one in new}) == 3  # no beginning is shared
    again = list(rounds_of("again", tasks, ours=False, mark="2"))
    assert all(one.before == one.timed for one in again)
    (turns,) = rounds_of("turns", tasks, ours=False, mark="3")
    assert turns.before == turns.timed
    assert len(turns.timed) == 3
    for ours in (True, False):
        (second, *_) = rounds_of("second", tasks, ours=ours, mark="4")
        before, after = second.before[0], second.timed[0]
        assert (before[: 2 * CORE] == after[: 2 * CORE]) == ours
        assert before != after
        assert before[-1] == after[-1] == {"role": "user", "content": tasks[0].prompt}


def test_what_came_before_is_asked_but_not_timed() -> None:
    rival = Invented("edge-ttp", 0)
    rows = speeds(
        [rival],
        sample_tasks(2),
        [2],
        situations=["again", "turns"],
        tokens=3,
        rounds=1,
        advance=lambda done: None,
        cancel=threading.Event(),
    )
    assert [(row.situation, row.tokens) for row in rows] == [("again", 6), ("turns", 6)]
    one, two, three, four = rival.heard[1:3] + rival.heard[5:7]
    assert one == two  # again
    assert three != four  # two users in turn, then both once more
    assert rival.heard[5:7] == rival.heard[7:9]


def test_a_task_is_a_conversation_that_ends_with_its_prompt() -> None:
    (task,) = sample_tasks(1)
    turns = conversation(task)
    assert [one["role"] for one in turns] == ["user", "assistant"] * 4 + ["user"]
    assert turns[-1]["content"] == task.prompt


def test_what_is_no_rival_is_refused_and_a_missing_package_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], models_home: object
) -> None:
    assert run(["bench", "rivals", "--only", "nobody"]) == 2
    assert "llama.cpp-server" in capsys.readouterr().err
    assert run(["bench", "rivals", "--n", "0"]) == 2
    assert run(["bench", "rivals", "--situation", "asleep"]) == 2
    capsys.readouterr()
    monkeypatch.setattr(rival_servers, "find_spec", lambda name: None)
    assert run(["bench", "rivals"]) == 9
    assert "edge-ttp[rivals]" in capsys.readouterr().err


def test_the_table_of_behaviours_says_what_was_seen(capsys: pytest.CaptureFixture[str]) -> None:
    from edge_ttp.lab.bench.behaviours import Seen

    bench_rivals._print_behaviours({"a": [Seen(1, "models", True, "2")], "b": [Seen(1, "models", False, "none")]})
    told = capsys.readouterr()
    assert "1 models" in told.out
    assert "b: 1 models: none" in told.err
    assert "a:" not in told.err


def test_what_was_measured_is_said_as_it_goes(capsys: pytest.CaptureFixture[str]) -> None:
    moved: list[float] = []
    advance = bench_rivals._noting(moved.append, ["new, n=1", "new, n=8"], 4)
    for done in range(1, 5):
        advance(done)
    first, last = capsys.readouterr().err.splitlines()
    assert first.startswith("new, n=1: measured; about ")
    assert last == "new, n=8: measured; about 0 s left"
    assert moved == [1, 2, 3, 4]
