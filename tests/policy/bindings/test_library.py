"""The llama.cpp library: what it says of itself, and that a forked process is told rather than left waiting."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge_ttp.errors import InvalidInput
from edge_ttp.policy.bindings import library, max_sequences, plain_completer, system_info, version
from edge_ttp.schema import MAX_CANDIDATES
from policy.tiny import language_model


def test_it_says_what_it_is() -> None:
    assert version()[0].isdigit()
    assert "CPU" in system_info()
    assert max_sequences() >= MAX_CANDIDATES


def test_the_threads_way_of_waiting_is_set_for_the_library_alone() -> None:
    """GOMP_SPINCOUNT is read while the library loads; what the app starts later does not inherit it."""
    code = "import os; import edge_ttp.policy.bindings; print(os.environ.get('GOMP_SPINCOUNT'))"
    for given in (None, "7"):
        environment = {name: value for name, value in os.environ.items() if name != "GOMP_SPINCOUNT"}
        environment |= {"GOMP_SPINCOUNT": given} if given else {}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == str(given)


def test_the_process_that_computes_first_is_the_one_that_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "_used_by", [])
    library.check_process()
    library.check_process()
    monkeypatch.setattr(library, "_used_by", [os.getpid() + 1])
    with pytest.raises(InvalidInput, match="forked from one that had used its policy"):
        library.check_process()


def test_llama_cpp_pythons_own_class_opens_the_same_file(tmp_path: Path) -> None:
    plain = plain_completer(language_model(tmp_path / "tiny.gguf"), context=64, threads=1)
    assert plain.n_vocab() > 256
    assert plain.n_ctx() >= 64
    plain.close()
