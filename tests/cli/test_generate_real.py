"""`edge-ttp generate` as a process with the real policy: answers, replays, deadlines, Ctrl-C, broken files."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Timer

import pytest
from fakes.command import edge_ttp, one_object
from fakes.real import spare_measuring
from registry.makers import POLICY, gguf, reward_folder

from edge_ttp.cli.main import run
from edge_ttp.history import History
from edge_ttp.paths import locate
from edge_ttp.registry import DEFAULT_POLICY
from edge_ttp.registry.manifest import MANIFEST_NAME
from edge_ttp.schema import HistoryItem

pytestmark = pytest.mark.real

SHORT = ("--n", "3", "--max-tokens", "6", "--select", "consensus")
LONG = ("--n", "4", "--max-tokens", "2000", "--select", "consensus")


@pytest.fixture
def warm_home(models_home: Path) -> Path:
    """A home with the real policy in which the device was measured already."""
    spare_measuring(models_home)
    return models_home


@pytest.mark.usefixtures("warm_home")
def test_a_prompt_from_standard_input_gets_an_answer_as_one_json_object() -> None:
    done = edge_ttp("generate", "-", "--user", "nobody", *SHORT, "--json", stdin="Schreibe 'café'.\n".encode())
    assert done.returncode == 0
    found = one_object(done.stdout)
    assert done.stderr == ""
    assert found["text"] == found["candidates"][found["chosen"]]["text"] != ""
    assert (found["prompt"], found["user"], found["n"]) == ("Schreibe 'café'.", "nobody", 3)
    assert found["model"] == DEFAULT_POLICY
    assert found["notes"][0].startswith("no history yet for 'nobody'")
    assert all(one["logprob"] < 0 and 1 <= one["tokens"] <= 6 for one in found["candidates"])
    assert found["usage"]["prompt_tokens"] > 0
    assert found["timings"]["total_s"] >= found["timings"]["decode_s"] > 0


def test_a_recorded_n_and_seed_replay_the_candidates_in_another_process(warm_home: Path) -> None:
    with History.open(locate(warm_home).database) as history:
        history.add(HistoryItem(user_id="ann", input="Invite Tom to lunch", output="lunch at noon, tom? - ann"))
    ask = ("generate", "Invite Eve to lunch", "--user", "ann", *SHORT, "--json")
    first = one_object(edge_ttp(*ask).stdout)
    again = one_object(edge_ttp(*ask, "--n", str(first["n"]), "--seed", str(first["seed"])).stdout)
    assert again["candidates"] == first["candidates"]
    assert again["plan"]["examples"] == 1
    other = one_object(edge_ttp(*ask, "--seed", str(first["seed"] + 1000)).stdout)
    assert [one["text"] for one in other["candidates"]] != [one["text"] for one in first["candidates"]]


def test_a_deadline_ends_what_would_take_much_longer(warm_home: Path) -> None:
    done = edge_ttp("generate", "Tell a long story", *LONG, "--n", "64", "--deadline", "4s", "--json")
    assert done.returncode == 0
    found = one_object(done.stdout)
    assert found["text"]
    assert found["usage"]["completion_tokens"] < 64 * 2000  # which would take minutes
    assert found["plan"]["bound_by"] == "deadline" or "deadline" in {c["finish_reason"] for c in found["candidates"]}


@pytest.mark.usefixtures("warm_home")
def test_a_deadline_too_short_for_one_token_is_one_line_and_exit_code_6(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["generate", "hello", *SHORT, "--deadline", "1ms"]) == 6
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("edge-ttp: the deadline passed ")
    assert printed.err.count("\n") == 1


@pytest.mark.usefixtures("warm_home")
def test_a_prompt_longer_than_the_context_is_one_line_and_exit_code_5(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["generate", "word " * 9000, *SHORT]) == 5
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "exceed the model's context of 8192; shorten the prompt" in printed.err
    assert printed.err.count("\n") == 1


@pytest.mark.usefixtures("warm_home")
def test_processes_at_the_same_time_share_one_database(home: Path) -> None:
    command = [sys.executable, "-m", "edge_ttp", "generate", "hello", "--user", "ann", *SHORT]
    together = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    ended = [(*process.communicate(timeout=300), process.returncode) for process in together]
    assert [code for _, _, code in ended] == [0, 0], ended
    with History.open(locate(home).database) as history:
        stored = [one.text for one in history.generations("ann")]
    assert sorted(stored) == sorted(text.removesuffix("\n") for text, _, _ in ended)


# Ctrl-C

SYNCHRONIZED = """
import sys
from contextlib import contextmanager
from edge_ttp.cli import generate

def say(word):
    sys.stderr.write(word + "\\n")
    sys.stderr.flush()

shown = generate.leading

@contextmanager
def watched():
    seen = set()
    with shown() as hear:
        def see(event):
            if event.type not in seen:
                seen.add(event.type)
                say(event.type)
            hear(event)
        yield see

generate.leading = watched

from edge_ttp.__main__ import main
say("begun")
main()
"""
"""The program, saying on stderr how far it is, from where it, and not yet Python, answers for what Ctrl-C does."""


def interrupt_at(word: str, *arguments: str, after_s: float = 0.0) -> tuple[str, list[str], int]:
    """stdout, the lines on stderr and the exit code of `edge-ttp ARGUMENTS`, Ctrl-C pressed when it says `word`."""
    process = subprocess.Popen(
        [sys.executable, "-c", SYNCHRONIZED, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    assert process.stdout is not None
    guard = Timer(300, process.kill)
    guard.start()
    for line in process.stderr:
        if line == f"{word}\n":
            break
    time.sleep(after_s)
    process.send_signal(signal.SIGINT)
    rest = process.stderr.read().splitlines()
    text = process.stdout.read()
    guard.cancel()
    said = [
        line
        for line in rest
        if line
        not in ("begun", "planned", "delta", "leading", "progress", "finished", "dropped", "scored", "selected", "done")
    ]
    return text, said, process.wait()


def test_ctrl_c_while_drawing_still_prints_an_answer_and_exits_130(warm_home: Path) -> None:
    text, said, code = interrupt_at("progress", "generate", "Tell a long story", "--user", "ann", *LONG, "--json")
    assert code == 130, said
    assert said == []
    found = one_object(text)
    assert "cancelled" in {one["finish_reason"] for one in found["candidates"]}
    with History.open(locate(warm_home).database) as history:
        assert history.generation(found["generation_id"], "ann").text == found["text"]


@pytest.mark.usefixtures("warm_home")
@pytest.mark.parametrize(("word", "after_s"), [("begun", 0.05), ("begun", 0.3), ("begun", 0.9), ("planned", 0.0)])
def test_ctrl_c_at_any_moment_is_an_answer_or_one_line_and_exit_code_130(word: str, after_s: float) -> None:
    text, said, code = interrupt_at(word, "generate", "Tell a long story", *LONG, after_s=after_s)
    assert code == 130, said
    assert "Traceback" not in "\n".join(said)
    if text == "":
        assert len(said) == 1
        assert said[0].startswith("edge-ttp: ")
    else:
        assert all(line.startswith("note: ") for line in said)


# Policy files that are broken


@pytest.fixture
def store(models_home: Path, policy_path: Path) -> Path:
    """The default policy's folder in the store, with the manifest and no model file."""
    folder = locate(models_home).models / DEFAULT_POLICY
    (folder / policy_path.name).unlink()
    return folder


def refused(capsys: pytest.CaptureFixture[str], *options: str, words: str, code: int = 3) -> None:
    """Checks that `generate` refuses with one line, and with one object under --json, before anything is recorded."""
    assert run(["generate", "hello", *SHORT, *options]) == code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert words in printed.err
    assert printed.err.startswith("edge-ttp: ")
    assert printed.err.count("\n") == 1
    assert run(["generate", "hello", *SHORT, *options, "--json"]) == code
    printed = capsys.readouterr()
    assert printed.err == ""
    assert one_object(printed.out)["error"]["exit_code"] == code
    with History.open(locate().database) as history:
        assert history.generations("me") == []


def test_a_policy_that_was_never_pulled_says_how_to_get_it(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refused(capsys, words=f"is not on this device; run `edge-ttp models pull {DEFAULT_POLICY}`")


def test_a_truncated_policy_in_the_store_is_named(
    store: Path, policy_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with policy_path.open("rb") as whole:
        (store / policy_path.name).write_bytes(whole.read(2**20))
    refused(capsys, words="is truncated: 1048576 bytes, not 98362432")


def test_a_policy_with_another_checksum_is_not_loaded(
    store: Path, policy_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (store / policy_path.name).open("wb") as other:
        other.truncate(policy_path.stat().st_size)
    refused(capsys, words="is altered: its SHA-256 is not that of the manifest")


def beginning(policy: Path) -> bytes:
    """The header and a few tensors of a real file."""
    with policy.open("rb") as whole:
        return whole.read(8 * 2**20)


BROKEN: dict[str, tuple[Callable[[Path], bytes], str]] = {
    "empty": (lambda _: b"", ""),
    "noise": (lambda _: os.urandom(4096), ""),
    "text": (lambda _: b"This is not a model.\n" * 100, ""),
    "cut inside its header": (lambda policy: beginning(policy)[:1000], ""),
    "cut inside its tensors": (beginning, ""),
    "no tensors of a language model": (lambda _: gguf(), "llama.cpp cannot load"),
    "an embedding model": (
        lambda _: gguf({**POLICY, "general.architecture": "bert", "bert.context_length": 512}),
        "embedding model",
    ),
}


@pytest.mark.parametrize(("content", "words"), BROKEN.values(), ids=BROKEN)
def test_a_file_that_is_no_usable_policy_is_one_line(
    policy_path: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    content: Callable[[Path], bytes],
    words: str,
) -> None:
    file = tmp_path / "broken.gguf"
    file.write_bytes(content(policy_path))
    refused(capsys, "--model", str(file), words=words)


def test_a_folder_without_a_manifest_is_no_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refused(capsys, "--model", f"{tmp_path}/", words="manifest", code=2)


def test_a_model_larger_than_the_memory_allowed_is_one_line(
    warm_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refused(capsys, "--memory", "50MB", words="allow more memory or choose a smaller model", code=5)


@pytest.mark.skipif(sys.platform == "win32", reason="address spaces are limited with setrlimit")
@pytest.mark.usefixtures("warm_home")
@pytest.mark.parametrize("mib", [150, 220, 260, 330])
def test_a_limit_on_the_address_space_that_holds_no_model_is_one_line(mib: int) -> None:
    done = edge_ttp(
        "generate", "hello", *SHORT, "--threads", "1", before=("sh", "-c", f'ulimit -v {mib * 1024}; "$@"', "-")
    )
    assert done.returncode == 5, done.stderr[-2000:]
    assert done.stdout == ""
    assert re.match(r"edge-ttp: (the address space is limited to|the model \S+ needs over)", done.stderr)
    assert done.stderr.count("\n") == 1


# Reward models that are broken


@pytest.fixture
def reward(tmp_path: Path) -> Path:
    """A reward model's folder whose manifest is right, though its files are no ONNX."""
    return reward_folder(tmp_path / "judge")


@pytest.mark.usefixtures("warm_home")
def test_reward_files_that_are_missing_truncated_altered_or_no_model_are_one_line(
    reward: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--select", "mean", "--reward", str(reward))
    refused(capsys, *options, words="reward.json is not a reward model's config")
    heads = reward / "heads.onnx"
    whole = heads.read_bytes()
    heads.write_bytes(whole[:-1])
    refused(capsys, *options, words="the file 'heads.onnx' of the model 'judge' is truncated")
    heads.write_bytes(whole[:-1] + b"x")
    refused(capsys, *options, words="the file 'heads.onnx' of the model 'judge' is altered")
    heads.unlink()
    refused(capsys, *options, words="the file 'heads.onnx' of the model 'judge' is missing")
    (reward / MANIFEST_NAME).write_text("name = 3")
    refused(capsys, *options, words="is malformed", code=2)
    shutil.rmtree(reward)
    refused(capsys, *options, words="there is no model file")
