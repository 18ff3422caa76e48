"""The search for the fastest format: it goes on where it was cut off, and keeps what it has chosen alone."""

from __future__ import annotations

from pathlib import Path
from threading import Event

import pytest
from policy.tiny_store import tiny_store

from edge_ttp.cli.main import run
from edge_ttp.errors import Cancelled
from edge_ttp.lab import fastest_format
from edge_ttp.lab.bench.passages import text_of
from edge_ttp.lab.fastest_format import find_fastest
from edge_ttp.lab.search_state import SearchState, open_question
from edge_ttp.paths import Paths, locate
from edge_ttp.policy.formats import derive as derivation
from edge_ttp.registry import Registry

TEXT = text_of([[("a", "b ab"), ("c", "a bc"), ("ab", "c a"), ("b", "b")]], "a test")


@pytest.fixture
def paths(home: Path) -> Paths:
    return locate(home)


@pytest.fixture
def registry(paths: Paths, tmp_path: Path) -> Registry:
    return tiny_store(paths, tmp_path)


def formats(registry: Registry) -> list[str]:
    return [one.format for one in registry.formats("tiny")]


@pytest.mark.slow
def test_a_search_that_was_cut_off_goes_on_and_leaves_the_choice_alone(
    registry: Registry, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = registry.own("tiny")
    assert open_question(registry, paths, own)
    cancel = Event()

    def stop_at(what: str, done: int, total: int) -> None:
        if what == "making Q4_0":
            cancel.set()

    with pytest.raises(Cancelled):
        find_fastest(registry, paths, "tiny", TEXT, threads=1, rounds=1, report=stop_at, cancel=cancel)
    assert formats(registry) == ["F32", "Q8_0"]
    assert SearchState.read(paths, "tiny", own.sha256).made == ("Q8_0", "Q4_0")
    made: list[str] = []

    def count(what: str, done: int, total: int) -> None:
        made.extend([what] if what.startswith("making") and what not in made else [])

    # What is fastest is the machine's to say; which one it is to be is said here.
    monkeypatch.setattr(derivation, "decide", lambda *_, **__: ("Q8_0", "a test"))
    found = find_fastest(registry, paths, "tiny", TEXT, threads=1, rounds=1, report=count)
    assert made == ["making Q4_0"]
    assert sorted(found.sizes) == ["F32", "Q4_0", "Q8_0"]
    assert formats(registry) == ["F32", "Q8_0"]  # the other one was made for the search alone
    assert registry.locate("tiny").format == "Q8_0"
    assert not open_question(registry, paths, own)


@pytest.mark.slow
def test_formats_that_were_there_before_stay(registry: Registry, paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    derivation.derive(registry, "tiny", "Q4_0", TEXT, threads=1, rounds=1)
    monkeypatch.setattr(derivation, "decide", lambda *_, **__: ("F32", "nothing is faster"))
    find_fastest(registry, paths, "tiny", TEXT, threads=1, rounds=1)
    assert formats(registry) == ["F32", "Q4_0"]
    assert registry.choice("tiny") is not None


@pytest.mark.slow
def test_the_command_says_what_is_used_from_now_on(
    registry: Registry, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fastest_format, "FORMATS", ("Q8_0",))
    monkeypatch.setattr("edge_ttp.lab.bench.passages.sample_text", lambda: TEXT)
    monkeypatch.setattr(derivation, "decide", lambda *_, **__: ("Q8_0", "a test"))
    assert run(["models", "fastest", "tiny", "--rounds", "1"]) == 0
    printed = capsys.readouterr()
    assert "tiny now means tiny:Q8_0 on this device: a test" in printed.err
    assert "Q8_0" in printed.out
    assert run(["models", "fastest", "nobody"]) != 0
