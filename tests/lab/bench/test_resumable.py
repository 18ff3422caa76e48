from __future__ import annotations

from pathlib import Path

import pytest

from edge_ttp.errors import InvalidInput
from edge_ttp.lab.bench.resumable import Resumable

KEY = ("titles", "u1", 7)


def test_a_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    path = tmp_path / "work" / "results.jsonl"
    with Resumable.append(path, {"n": 4, "cycle": (0.3, 0.6)}) as state:
        state.write(KEY, {"value": 1.5})
    with Resumable.append(path, {"n": 4, "cycle": (0.3, 0.6)}) as state:
        assert state.done[KEY]["value"] == 1.5
        state.write(("titles", "u2", 3), {"value": 2.5})
    header, done = Resumable.read(path)
    assert header == {"n": 4, "cycle": [0.3, 0.6]}
    assert {key: line["value"] for key, line in done.items()} == {KEY: 1.5, ("titles", "u2", 3): 2.5}
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_torn_last_line_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    with Resumable.append(path, {"n": 4}) as state:
        state.write(KEY, {"value": 1.5})
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"task": "titles", "user": "u2", "pl')
    with Resumable.append(path, {"n": 4}) as state:
        assert set(state.done) == {KEY}
    assert path.read_bytes() == whole


def test_results_made_in_another_way_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    with Resumable.append(path, {"n": 4}):
        pass
    with pytest.raises(InvalidInput, match="another n"), Resumable.append(path, {"n": 8}):
        pass


@pytest.mark.parametrize("content", [b"not json\n", b"[1]\n", b'{"n": 4}\n{"task": "x"}\n'])
def test_a_file_of_something_else_is_refused_and_kept(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "results.jsonl"
    path.write_bytes(content)
    with pytest.raises(InvalidInput), Resumable.append(path, {"n": 4}):
        pass
    assert path.read_bytes() == content
