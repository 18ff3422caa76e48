"""`edge-ttp chat` over invented models: a conversation, feedback in between, and what goes wrong in it."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from fakes import FakePolicy, Models, endless, press_ctrl_c
from fakes.command import model_files

from edge_ttp.cli.main import run
from edge_ttp.history import History
from edge_ttp.paths import locate
from edge_ttp.schema import HistoryItem

Chat = Callable[..., list[str]]


@pytest.fixture
def chat(models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Chat:
    """Says these lines to `edge-ttp chat`; the exit code is checked."""
    files = model_files(tmp_path)

    def say(*lines: str | bytes, options: tuple[str, ...] = (), code: int = 0) -> None:
        data = b"".join((line if isinstance(line, bytes) else line.encode()) + b"\n" for line in lines)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))
        assert run(["chat", "--user", "ann", "--n", "3", "--max-tokens", "6", *files, *options]) == code

    return say


def test_every_line_is_answered_in_the_light_of_those_before(
    chat: Chat, models: Models, capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    chat("what grows here", "", "and there")
    answers = capsys.readouterr().out.splitlines()
    assert len(answers) == 2
    assert [text for _, text in models.policy.messages[-1]][1:] == ["what grows here", answers[0], "and there"]
    with History.open(locate(home).database) as history:
        assert [one.text for one in history.generations("ann")] == answers[::-1]


def test_a_conversation_keeps_the_examples_of_its_first_line(chat: Chat, models: Models, home: Path) -> None:
    with History.open(locate(home).database) as history:
        for index, given in enumerate(["what grows here", "is there rain", "tell me more"] * 3):
            history.add(HistoryItem(user_id="ann", input=given, output=f"answer {index}"))
    chat("what grows here", "tell me more", "/new", "tell me more")
    first, second, third = models.policy.messages
    assert second[:9] == first[:9]
    assert third[:9] != first[:9]


def test_every_option_of_drawing_reaches_the_engine(chat: Chat, models: Models) -> None:
    chat("hello", options=("--seed", "7", "--temperatures", "0.5,1", "--repetition-penalty", "1.2", "--stop", "fern"))
    request = models.policy.requests[-1]
    assert (request.seed, request.max_tokens, request.stop) == (7, 6, ("fern",))
    assert (request.sampling.temperatures, request.sampling.repetition_penalty) == ((0.5, 1.0), 1.2)


def test_a_new_conversation_forgets_the_turns(chat: Chat, models: Models) -> None:
    chat("what grows here", "/new", "and there")
    assert [text for _, text in models.policy.messages[-1]][1:] == ["and there"]


def test_feedback_is_noted_for_the_last_answer(chat: Chat, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chat("what grows here", "/accept", "/prefer 3", "/edit roses, of course", "/reject", "/quit", "not answered")
    with History.open(locate(home).database) as history:
        found = [(one.kind, one.candidate, one.text) for one in history.feedback_for("ann")]
        (made,) = history.generations("ann")
    assert found == [("reject", made.chosen, None)]  # the last word counts
    assert capsys.readouterr().err.count("noted\n") == 4


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("/accept", "nothing was answered yet"),
        ("/dance", "/dance is not known; /help lists what is, and //dance sends it as a message"),
        ("/help", "/edit [TEXT]"),
    ],
)
def test_a_slash_line_without_an_answer_says_what_is_possible(
    chat: Chat, capsys: pytest.CaptureFixture[str], line: str, words: str
) -> None:
    chat(line)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert words in printed.err


@pytest.mark.parametrize("which", ["0", "4", "-1", "", "best", "1.5"])
def test_a_preference_is_for_a_candidate_of_the_table(
    chat: Chat, home: Path, capsys: pytest.CaptureFixture[str], which: str
) -> None:
    chat("what grows here", f"/prefer {which}")
    assert "/prefer needs the number of a candidate, 1 to 3" in capsys.readouterr().err
    with History.open(locate(home).database) as history:
        assert history.feedback_for("ann") == []


def test_the_candidates_of_the_last_answer_can_be_shown(chat: Chat, capsys: pytest.CaptureFixture[str]) -> None:
    chat("what grows here", "/candidates")
    assert "chosen: candidate " in capsys.readouterr().out


def test_a_request_that_fails_does_not_end_the_conversation(
    chat: Chat, models: Models, capsys: pytest.CaptureFixture[str]
) -> None:
    chat("word " * 3000, "what grows here")
    printed = capsys.readouterr()
    assert "edge-ttp: 3" in printed.err
    assert len(printed.out.splitlines()) == 1


def test_what_is_not_stored_cannot_be_judged(chat: Chat, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chat("what grows here", "/accept", options=("--no-store",))
    assert "was not stored, so nothing can be noted" in capsys.readouterr().err
    with History.open(locate(home).database) as history:
        assert history.generations("ann") == []


def test_no_reward_model_is_loaded_for_a_rule_that_needs_none(chat: Chat, models: Models) -> None:
    chat("what grows here", options=("--select", "consensus"))
    assert models.rewards == []


def test_ctrl_c_while_drawing_answers_with_what_there_is_and_goes_on(
    chat: Chat, models: Models, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = 0

    def table(prefix: tuple[int, ...]) -> npt.NDArray[np.float64]:
        nonlocal calls
        calls += 1
        if calls == 5:
            press_ctrl_c()
        return endless(prefix)

    models.policy = FakePolicy(table=table)
    chat("what grows here", "and there")
    printed = capsys.readouterr()
    assert len(printed.out.splitlines()) == 2
    assert "note: the cancel ended 3 of 3 candidates before they were complete" in printed.err


def test_input_that_is_no_text_is_one_line(chat: Chat, capsys: pytest.CaptureFixture[str]) -> None:
    chat(b"\xff\xfe", code=2)
    assert capsys.readouterr().err == ("edge-ttp: standard input is not UTF-8 text; convert it: iconv -t UTF-8\n")


def test_a_missing_model_ends_before_the_first_line(chat: Chat, capsys: pytest.CaptureFixture[str]) -> None:
    chat("what grows here", options=("--model", "no-such-model"), code=8)
    assert "no model is named 'no-such-model'" in capsys.readouterr().err


def test_a_message_may_begin_with_a_slash(chat: Chat, models: Models, home: Path) -> None:
    chat("//etc/fstab, what is it")
    assert models.policy.messages[-1][-1] == ("user", "/etc/fstab, what is it")


def test_a_byte_order_mark_and_carriage_returns_are_no_part_of_a_message(chat: Chat, models: Models) -> None:
    chat(b"\xef\xbb\xbfwhat grows here\r", "and there\r")
    said = [text for role, text in models.policy.messages[-1] if role == "user"]
    assert said == ["what grows here", "and there"]


def test_what_was_said_can_be_taken_back(chat: Chat, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chat("what grows here", "/edit roses", "/retract", "/retract")
    with History.open(locate(home).database) as history:
        assert history.feedback_for("ann") == history.items("ann") == []
    said = capsys.readouterr().err
    assert "taken back: edit" in said
    assert "edge-ttp: nothing was said of the generation" in said


def test_an_edit_without_a_text_needs_one_where_nobody_sits(
    chat: Chat, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chat("what grows here", "/edit", "/copy")
    said = capsys.readouterr().err
    assert "an edit needs the edited text" in said
    assert "not copied: no terminal is there" in said


def test_the_conversation_goes_on_with_what_an_answer_was_edited_to(chat: Chat, models: Models) -> None:
    chat("what grows here", "/edit roses", "and there", "/new", "/edit too late", "and now")
    assert [text for _, text in models.policy.messages[1]][-3:] == ["what grows here", "roses", "and there"]
    assert models.policy.messages[2][-1] == ("user", "and now")


def test_documents_and_a_system_text_hold_for_every_message(chat: Chat, models: Models, tmp_path: Path) -> None:
    (tmp_path / "doc.txt").write_text("pear trees\n")
    chat("what grows here", "and there", options=("--file", str(tmp_path / "doc.txt"), "--system", "Name two."))
    said = models.policy.messages[-1]
    assert said[0][1].endswith("Name two.")
    assert said[-1] == ("user", "pear trees\n\nand there")
    assert ("user", "what grows here") in said


def test_nothing_is_kept_of_what_is_typed_where_nobody_sits(chat: Chat, home: Path) -> None:
    chat("what grows here", options=("--no-store",))
    assert not (locate(home).data / "typed").exists()
