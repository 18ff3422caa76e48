"""`edge-ttp generate` over invented models: what is printed where, exit codes, Ctrl-C."""

from __future__ import annotations

import io
import json
import re
import signal
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from fakes import WORDS, FakePolicy, Models, endless, press_ctrl_c
from fakes.command import model_files, one_object

from edge_ttp.cli.main import run
from edge_ttp.history import History
from edge_ttp.paths import locate
from edge_ttp.schema import Generation, HistoryItem

KEYS = {
    "": {
        "text",
        "generation_id",
        "user",
        "model",
        "n",
        "chosen",
        "candidates",
        "selection",
        "plan",
        "timings",
        "usage",
    },
    "candidates": {"text", "tokens", "logprob", "mean", "variance", "score", "finish_reason", "seed"},
    "selection": {"rule", "reason"},
    "plan": {"n", "bound_by"},
    "timings": {"recall_s", "prefill_s", "decode_s", "score_s", "total_s"},
    "usage": {"prompt_tokens", "completion_tokens"},
}
"""What `generate --json` promises."""


class Command:
    """`edge-ttp generate` in this process, for one user, with few short candidates."""

    def __init__(self, capsys: pytest.CaptureFixture[str], files: list[str]) -> None:
        self._capsys = capsys
        self._files = files
        self.out = self.err = ""

    def __call__(self, *arguments: str, code: int = 0, prompt: str = "what grows here") -> str:
        """Runs it; returns what is on stdout, and checks the exit code."""
        plain = ["generate", prompt, "--user", "ann", "--n", "4", "--max-tokens", "8", "--seed", "3"]
        found = run([*plain, *self._files, *arguments])
        self.out, self.err = self._capsys.readouterr()
        assert found == code, self.err
        return self.out


@pytest.fixture
def generate(models: Models, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(capsys, model_files(tmp_path))


def stored(home: Path, user: str = "ann") -> list[Generation]:
    with History.open(locate(home).database) as history:
        return history.generations(user)


def test_stdout_has_the_answer_and_nothing_else(generate: Command, home: Path) -> None:
    text = generate()
    (made,) = stored(home)
    assert text == made.text + "\n"
    assert generate.err == "note: no history yet for 'ann': nothing to imitate, answers are not personal\n"


def test_json_is_one_object_with_everything_that_led_to_the_answer(generate: Command, home: Path) -> None:
    found = one_object(generate("--json"))
    assert generate.err == ""
    assert set(found) >= KEYS[""]
    for part in ("selection", "plan", "timings", "usage"):
        assert set(found[part]) >= KEYS[part], part
    assert len(found["candidates"]) == found["n"] == found["plan"]["n"] == 4
    for candidate in found["candidates"]:
        assert set(candidate) >= KEYS["candidates"]
        assert None not in [candidate[key] for key in KEYS["candidates"]]
    assert found["candidates"][found["chosen"]]["text"] == found["text"]
    chosen = found["candidates"][found["chosen"]]
    rivals = [one for one in found["candidates"] if one["finish_reason"] == chosen["finish_reason"]]
    assert chosen["score"] == max(one["score"] for one in rivals)  # a complete one goes before one that is not
    assert found["usage"]["completion_tokens"] == sum(one["tokens"] for one in found["candidates"])
    assert (found["user"], found["model"], found["selection"]["rule"]) == ("ann", "tiny", "lcb")
    assert [one.generation_id for one in stored(home)] == [found["generation_id"]]


def test_show_candidates_prints_every_candidate_with_scores_reason_and_plan(generate: Command, home: Path) -> None:
    text = generate("--show-candidates")
    (made,) = stored(home)
    lines = text.splitlines()
    assert lines[0].split() == ["#", "candidate", "mean", "±", "sd", "score", "tokens", "logprob", "ended"]
    for index, one in enumerate(made.candidates):
        (line,) = [line for line in lines if re.match(rf"[> ] +{index + 1} ", line)]
        assert line.startswith(">") == (index == made.chosen)
        assert f"{one.mean:.3f} ± {one.variance**0.5:.3f}" in line  # type: ignore[operator]
        assert one.finish_reason in line
    assert f"chosen: {made.selection.reason}" in text
    assert "plan: n=4, bound by requested, 0 examples" in text
    assert lines[-1] == made.text
    assert f"edge-ttp feedback {made.generation_id} --accept" in generate.err


def test_candidates_of_a_rule_without_scores_are_shown_without_them(generate: Command) -> None:
    text = generate("--show-candidates", "--select", "consensus")
    assert " - " in text
    assert "±" in text.splitlines()[0]
    assert "±" not in "".join(text.splitlines()[1:])


def test_markup_in_an_answer_is_printed_as_it_is(generate: Command, models: Models, home: Path) -> None:
    models.policy = FakePolicy(words=("", *["[bold]x[/red]", "[link=y]", "a[/]b", ":smile:"] * 2))
    text = generate("--show-candidates", "--max-tokens", "2")
    for one in stored(home)[0].candidates:
        assert all(word in text for word in one.text.split())


def test_the_prompt_is_read_from_standard_input(
    generate: Command, models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("was wächst\nhier?\n".encode())))
    generate(prompt="-")
    assert models.policy.messages[-1][-1] == ("user", "was wächst\nhier?")


def test_every_option_reaches_its_room(generate: Command, models: Models, home: Path) -> None:
    with History.open(locate(home).database) as history:
        for kind in ("email", "commit", "email"):
            history.add(HistoryItem(user_id="ann", input="what", output=f"{kind} {history.count('ann')}", kind=kind))
    found = one_object(
        generate(
            *("--n", "5", "--max-tokens", "7", "--seed", "11", "--temperature", "0.5", "--top-k", "9"),
            *("--top-p", "0.8", "--min-p", "0.01", "--stop", "fern", "--stop", "elder", "--kind", "email"),
            *("--examples", "1", "--select", "lcb", "--threads", "1", "--memory", "500MB", "--mode", "best", "--json"),
        )
    )
    request = models.policy.requests[-1]
    sampling = request.sampling
    assert (request.n, request.max_tokens, request.seed) == (5, 7, 11)
    assert (sampling.temperature, sampling.top_k, sampling.top_p, sampling.min_p) == (0.5, 9, 0.8, 0.01)
    assert request.stop[:2] == ("fern", "elder")
    assert models.policies[-1]["threads"] == 1
    assert models.policies[-1]["memory_bytes"] == 500_000_000
    assert sampling.share_prefixes
    assert (found["selection"]["rule"], found["kind"], found["plan"]["examples"]) == ("lcb", "email", 1)
    assert {item.kind for item in models.reward.profiles[-1]} == {"email"}


def test_auto_takes_what_mode_and_deadline_allow(generate: Command, models: Models, home: Path) -> None:
    fast = one_object(generate("--n", "auto", "--mode", "fast", "--json"))
    best = one_object(generate("--n", "auto", "--mode", "best", "--json"))
    assert 1 < fast["n"] < best["n"]
    assert fast["plan"]["bound_by"] == "value"
    models.policy = FakePolicy(slowness=3000)  # by its plan; in truth it has all the time
    (locate(home).cache / "device.json").unlink()
    hurried = one_object(generate("--n", "auto", "--mode", "best", "--deadline", "30s", "--json"))
    assert hurried["plan"]["bound_by"] == "deadline"
    assert hurried["n"] < best["n"]


def test_the_user_comes_from_the_environment_where_none_is_named(
    models: Models, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    files = model_files(tmp_path)
    monkeypatch.setenv("EDGE_TTP_USER", "zoe")
    assert run(["generate", "hi", "--n", "2", "--json", *files]) == 0
    assert one_object(capsys.readouterr().out)["user"] == "zoe"


def test_no_store_keeps_a_request_out_of_the_history(generate: Command, home: Path) -> None:
    found = one_object(generate("--no-store", "--json", prompt="something private"))
    assert found["stored"] is False
    assert found["text"]
    assert stored(home) == []
    for file in locate(home).data.rglob("history.db*"):
        assert b"something private" not in file.read_bytes()


def test_notes_of_a_narrow_plan_go_to_stderr(generate: Command, models: Models) -> None:
    models.policy = FakePolicy(slowness=300)
    generate("--n", "64", "--deadline", "5s")
    assert "64 candidates were asked for, " in generate.err
    assert "(deadline)" in generate.err


# The history fails


@pytest.fixture
def locked(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The history while another connection holds it, and a short patience."""
    monkeypatch.setattr("edge_ttp.runtime.life._HISTORY_TIMEOUT_S", 0.05)
    History.open(locate(home).database).close()
    holder = sqlite3.connect(locate(home).database, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    yield
    holder.close()


@pytest.mark.usefixtures("locked")
def test_an_answer_that_could_not_be_recorded_is_printed_and_the_exit_code_tells(generate: Command) -> None:
    text = generate(code=4)
    assert text.strip()
    assert "note: not recorded: the history " in generate.err
    assert "locked by another process" in generate.err
    found = one_object(generate("--json", code=4))
    assert found["stored"] is False
    assert "not recorded" in found["notes"][-1]


@pytest.mark.usefixtures("locked")
def test_a_history_that_is_not_to_be_written_may_be_locked(generate: Command) -> None:
    assert generate("--no-store").strip()


# Ctrl-C


def interrupting(*steps: int) -> FakePolicy:
    """A policy during whose n-th computations Ctrl-C is pressed."""
    calls = 0

    def table(prefix: tuple[int, ...]) -> npt.NDArray[np.float64]:
        nonlocal calls
        calls += 1
        if calls in steps:
            press_ctrl_c(heard if calls == min(steps) else None)
        return endless(prefix)

    def heard() -> bool:
        return policy.jobs[-1].is_set()  # what the engine asks; whoever waits for the answer passes the cancel on to it

    policy = FakePolicy(table=table)
    return policy


def test_ctrl_c_while_drawing_prints_the_best_so_far(generate: Command, models: Models, home: Path) -> None:
    models.policy = interrupting(6)
    text = generate(code=130)
    (made,) = stored(home)
    assert text == made.text + "\n"
    assert {one.finish_reason for one in made.candidates} == {"cancelled"}
    assert "note: the cancel ended 4 of 4 candidates before they were complete" in generate.err
    models.policy = interrupting(6)
    assert one_object(generate("--json", code=130))["text"] == made.text


def test_ctrl_c_before_the_first_token_is_one_line(generate: Command, models: Models, home: Path) -> None:
    models.policy = interrupting(1)
    assert generate(code=130) == ""
    assert generate.err == "edge-ttp: cancelled before the first token\n"
    models.policy = interrupting(1)
    assert json.loads(generate("--json", code=130))["error"]["code"] == "cancelled"
    assert stored(home) == []


def test_a_second_ctrl_c_ends_at_once(generate: Command, models: Models, home: Path) -> None:
    models.policy = interrupting(6, 7)
    assert generate(code=130) == ""
    assert generate.err == "edge-ttp: interrupted\n"
    assert stored(home) == []


def test_ctrl_c_means_what_it_meant_before_once_the_command_is_over(generate: Command) -> None:
    before = signal.getsignal(signal.SIGINT)
    generate()
    assert signal.getsignal(signal.SIGINT) is before


# What cannot be meant

BAD = {
    "n=0": (["--n", "0"], 2, "at least 1 candidate is needed, not 0"),
    "n=100000": (["--n", "100000"], 2, "n=100000 candidates cannot be drawn"),
    "n=several": (["--n", "several"], 2, "neither a number nor 'auto'"),
    "deadline -1": (["--deadline", "-1"], 2, "a duration must be longer than 0, not '-1'"),
    "deadline 0": (["--deadline", "0s"], 2, "a duration must be longer than 0"),
    "deadline soon": (["--deadline", "soon"], 2, "is not a duration"),
    "deadline too short": (["--deadline", "1us"], 2, "is not a duration"),
    "memory": (["--memory", "much"], 2, "is not a size"),
    "memory 0": (["--memory", "0"], 2, "memory_bytes=0"),
    "mode": (["--mode", "wild"], 2, "mode='wild'"),
    "rule": (["--select", "best"], 2, "there is no selection rule 'best'"),
    "temperature": (["--temperature", "-1"], 2, "temperature=-1.0"),
    "temperature nan": (["--temperature", "nan"], 2, "temperature=nan"),
    "top-p": (["--top-p", "0"], 2, "top_p=0.0"),
    "max tokens 0": (["--max-tokens", "0"], 2, "max_tokens=0"),
    "max tokens": (["--max-tokens", "100000"], 2, "max_tokens=100000"),
    "seed": (["--seed", "-1"], 2, "the seed -1 is out of range"),
    "seed too large": (["--seed", str(2**63)], 2, "is out of range"),
    "examples": (["--examples", "-1"], 2, "-1 examples cannot be recalled"),
    "threads": (["--threads", "100000"], 2, "100000 threads cannot be run here"),
    "stop": (["--stop", "\udcff"], 2, "a stop string is not valid Unicode"),
    "kind": (["--kind", ""], 2, "is no label"),
    "user": (["--user", " "], 2, "the user id is empty"),
    "user with a tab": (["--user", "a\tb"], 2, "holds control characters"),
    "model": (["--model", "no-such-model"], 8, "no model is named 'no-such-model'"),
    "model file": (["--model", "/nowhere/model.gguf"], 8, "there is no model at /nowhere/model.gguf"),
    "reward": (["--reward", "no-such-reward"], 8, "no model is named 'no-such-reward'"),
}


@pytest.mark.parametrize(("options", "code", "words"), BAD.values(), ids=BAD)
def test_what_cannot_be_meant_is_one_line_with_the_documented_code(
    generate: Command, models: Models, options: list[str], code: int, words: str
) -> None:
    assert generate(*options, code=code) == ""
    assert words in generate.err
    assert generate.err.startswith("edge-ttp: ")
    assert generate.err.count("\n") == 1
    error = one_object(generate(*options, "--json", code=code))["error"]
    assert generate.err == ""
    assert words in error["message"]
    assert error["exit_code"] == code
    assert models.policy.requests == []


@pytest.mark.parametrize("prompt", ["", "   ", "\n", "bad \udcff", "x" * 200_001])
def test_a_prompt_that_cannot_be_answered_is_one_line(generate: Command, models: Models, prompt: str) -> None:
    assert generate(prompt=prompt, code=2) == ""
    assert "the prompt " in generate.err
    assert generate.err.count("\n") == 1
    assert models.policies == []


# What is piped in, documents, a system text


def test_without_a_prompt_on_a_terminal_it_says_what_to_do(
    generate: Command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Terminal())
    assert run(["generate"]) == 2
    assert capsys.readouterr().err == (
        "edge-ttp: there is no prompt; write one in quotes, or pipe it in: edge-ttp generate < FILE\n"
    )


def test_documents_and_a_system_text_are_read_and_never_taken_for_the_users(
    generate: Command, models: Models, tmp_path: Path, home: Path
) -> None:
    with History.open(locate(home).database) as history:
        history.add(HistoryItem(user_id="ann", input="what is near", output="a pond"))
    first, second = tmp_path / "one.txt", tmp_path / "two.txt"
    first.write_bytes(b"\xef\xbb\xbfpear trees\r\n")
    second.write_text("plum trees\n")
    made = json.loads(
        generate("--file", str(first), "-f", str(second), "--system", "Name two.", "--json", prompt="what grows here")
    )
    said = models.policy.messages[-1]
    assert said[0][0] == "system"
    assert said[0][1].endswith("\n\nName two.")
    assert said[-1] == ("user", "pear trees\n\nplum trees\n\nwhat grows here")
    assert ("assistant", "a pond") in said  # a document does not cost the examples
    assert made["prompt"] == "what grows here"
    assert "pear" not in json.dumps(made)
    assert run(["feedback", "last", "--user", "ann", "--edit", "mine"]) == 0
    with History.open(locate(home).database) as history:
        assert {item.input for item in history.items("ann")} == {"what is near", "what grows here"}
        assert "pear" not in json.dumps([one.model_dump(mode="json") for one in history.generations("ann")])


def test_an_empty_answer_is_a_note(generate: Command, models: Models) -> None:
    models.policy = FakePolicy(table=lambda prefix: np.array([0.0, *[-np.inf] * (len(WORDS) - 1)]))
    assert generate() == "\n"
    assert "note: the answer is empty" in generate.err
