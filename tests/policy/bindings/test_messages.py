"""llama.cpp's messages go to logging, silently by default; the host's own callback keeps hearing them; forks refuse."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from policy.tiny import language_model

LOADING = """
import sys
from pathlib import Path
from edge_ttp.policy.llama import LlamaPolicy
LlamaPolicy(Path(sys.argv[1]), threads=1).close()
"""

HEARD = """
import logging
logging.basicConfig(level=logging.INFO, format="%(name)s|%(levelname)s|%(message)s")
"""

HOST = """
import ctypes, llama_cpp
said = []
@llama_cpp.llama_log_callback
def mine(level, text, data):
    said.append(text)
llama_cpp.llama_log_set(mine, ctypes.c_void_p(0))
"""

LATER = """
said.clear()
other = []
@llama_cpp.llama_log_callback
def later(level, text, data):
    other.append(text)
llama_cpp.llama_log_set(later, ctypes.c_void_p(0))
"""

FORKING = """
import os, sys
from pathlib import Path
from edge_ttp.errors import EdgeTTPError
from edge_ttp.policy.llama import LlamaPolicy
from edge_ttp.policy.request import Control, Request
from edge_ttp.schema import Sampling

def draw(policy):
    return policy.sample(Request((5, 6, 7), n=2, sampling=Sampling(), seed=1, max_tokens=3), Control())

policy = LlamaPolicy(Path(sys.argv[1]), threads=1)
draw(policy)
for attempt in (lambda: draw(policy), lambda: draw(LlamaPolicy(Path(sys.argv[1]), threads=1))):
    child = os.fork()
    if child == 0:
        try:
            attempt()
        except EdgeTTPError as refused:
            print("refused:", refused, flush=True)
        os._exit(0)
    os.waitpid(child, 0)
print(len(draw(policy).candidates))
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return language_model(tmp_path_factory.mktemp("tiny") / "tiny.gguf")


def run(program: str, model: Path) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([sys.executable, "-c", program, str(model)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done


def test_nothing_is_printed_by_default(model: Path) -> None:
    done = run(LOADING, model)
    assert (done.stdout, done.stderr) == ("", "")


def test_a_program_that_wants_to_hear_gets_whole_lines_by_level(model: Path) -> None:
    lines = run(HEARD + LOADING, model).stderr.splitlines()
    own = [line for line in lines if line.startswith("edge_ttp.llama|INFO|")]
    assert any("llama_model_loader" in line for line in own)
    assert own == lines


def test_a_load_that_fails_is_logged_and_explained(tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + b"\0" * 2000)
    program = HEARD + LOADING.replace("\nLlamaPolicy", "\ntry:\n    LlamaPolicy").replace(
        ".close()", ".close()\nexcept Exception as error:\n    print(error)"
    )
    done = run(program, broken)
    assert done.stdout.count("\n") == 1


def test_the_hosts_callback_stays_whenever_it_was_set(model: Path) -> None:
    done = run(HOST + LOADING + "print(len(said) > 10)" + LATER + LOADING + "print(len(said), len(other) > 10)", model)
    assert done.stdout.split() == ["True", "0", "True"]
    assert done.stderr == ""


@pytest.mark.skipif(sys.platform == "win32", reason="no fork here")
def test_a_forked_child_is_refused_in_one_line_and_does_not_hang(model: Path) -> None:
    done = run(FORKING, model)
    lines = done.stdout.splitlines()
    assert [line.startswith("refused:") for line in lines] == [True, True, False]
    assert "forked" in lines[0]
    assert "spawn" in lines[1]
    assert lines[2] == "2"
