"""Sessions in a pseudo-terminal: what a person at a terminal sees, types and finds again."""

from __future__ import annotations

import base64
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fakes.command import FAKED, PROGRAM, model_files
from fakes.real import spare_measuring

from edge_ttp.history import History
from edge_ttp.history.typed_lines import typed_file
from edge_ttp.paths import locate
from edge_ttp.schema import HistoryItem

pytestmark = pytest.mark.slow

pexpect = pytest.importorskip("pexpect") if sys.platform == "win32" else __import__("pexpect")

Start = Callable[..., "pexpect.spawn[str]"]

UP, CTRL_C, CTRL_D, ALT_ENTER = "\x1b[A", "\x03", "\x04", "\x1b\r"
READY = r"\x1b\[\?2004h"
"""Bracketed paste is switched on: the prompt is there and takes keys."""
PASTE_BEGIN, PASTE_END = "\x1b[200~", "\x1b[201~"


def plain(text: str) -> str:
    """What a terminal would show of `text`, near enough: without escape sequences."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07|\r", "", text)


@pytest.fixture
def start(home: Path, tmp_path: Path) -> Iterator[Start]:
    """Starts `edge-ttp ARGUMENTS` in a pseudo-terminal over the fake models; `real`: over the real ones."""
    sessions = []

    def spawn(
        *arguments: str, real: bool = False, files: bool = True, columns: int = 100, env: dict[str, str] | None = None
    ) -> pexpect.spawn[str]:
        program = PROGRAM if real else FAKED
        inherited = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
        folder = tmp_path / f"files-{len(sessions)}"
        folder.mkdir()
        models = model_files(folder) if files and not real else []
        session = pexpect.spawn(
            program[0],
            [*program[1:], *arguments, *models],
            env={**inherited, "TERM": "xterm-256color", "PROMPT_TOOLKIT_NO_CPR": "1", **(env or {})},
            encoding="utf-8",
            timeout=20,
            dimensions=(30, columns),
        )
        sessions.append(session)
        return session

    yield spawn
    for session in sessions:
        session.close(force=True)


def ended(session: pexpect.spawn[str]) -> int:
    """The exit code, once the program has ended."""
    session.expect(pexpect.EOF)
    session.wait()
    return int(session.exitstatus)


def prompts(home: Path, user: str = "ann") -> list[str]:
    with History.open(locate(home).database) as history:
        return [one.prompt for one in history.generations(user)][::-1]


CHAT = ("chat", "--user", "ann", "--n", "2", "--max-tokens", "4", "--seed", "3")


def test_a_chat_has_line_editing_and_recalls_what_was_typed(start: Start, home: Path) -> None:
    session = start(*CHAT)
    session.expect(READY)
    session.send("what grows thre\x7f\x7fere\r")  # two characters taken back
    session.expect(READY)
    session.send(f"{UP}, tell me\r")
    session.expect(READY)
    session.send(CTRL_D)
    assert ended(session) == 0
    assert prompts(home) == ["what grows there", "what grows there, tell me"]
    typed = typed_file(locate(home).database, "ann")
    assert "+what grows there\n" in typed.read_text()
    assert typed.stat().st_mode & 0o777 == 0o600


def test_what_was_typed_is_there_the_next_time_and_gone_when_forgotten(start: Start, home: Path) -> None:
    for _ in range(2):
        session = start(*CHAT)
        session.expect(READY)
        session.send("what grows here\r" if not prompts(home) else f"{UP}{UP}\r")  # before it, /quit was typed
        session.expect(READY)
        session.send("/quit\r")
        assert ended(session) == 0
    assert prompts(home) == ["what grows here"] * 2
    with History.open(locate(home).database) as history:
        history.forget("ann", everything=True)
    assert not typed_file(locate(home).database, "ann").exists()


def test_what_is_not_to_be_stored_is_not_kept_in_the_typed_lines(start: Start, home: Path) -> None:
    session = start(*CHAT, "--no-store")
    session.expect(READY)
    session.send("a secret\r")
    session.expect(READY)
    session.send(CTRL_D)
    assert ended(session) == 0
    assert not (locate(home).data / "typed").exists()


def test_a_pasted_text_of_several_lines_is_one_message(start: Start, home: Path) -> None:
    session = start(*CHAT)
    session.expect(READY)
    session.send(f"{PASTE_BEGIN}first line\rsecond line\r\nthird line{PASTE_END}\r")
    session.expect(READY)
    session.send(f"one{ALT_ENTER}two\r")
    session.expect(READY)
    session.send(CTRL_D)
    assert ended(session) == 0
    assert prompts(home) == ["first line\nsecond line\nthird line", "one\ntwo"]


def test_an_answer_is_edited_in_the_users_editor(start: Start, home: Path, tmp_path: Path) -> None:
    editor = tmp_path / "editor.sh"
    editor.write_text('#!/bin/sh\ntest "$(stat -c %a "$1")" = 600 && printf "as I would say it\\n" > "$1"\n')
    editor.chmod(0o700)
    session = start(*CHAT, env={"VISUAL": str(editor)})
    session.expect(READY)
    session.send("what grows here\r")
    session.expect(READY)
    session.send("/edit\r")
    session.expect("noted")
    session.send(CTRL_D)
    assert ended(session) == 0
    with History.open(locate(home).database) as history:
        assert [item.output for item in history.items("ann")] == ["as I would say it"]


@pytest.mark.parametrize("editor", ["/no/such/editor", "false", "true"])
def test_an_editor_that_does_nothing_notes_nothing(start: Start, home: Path, editor: str) -> None:
    session = start(*CHAT, env={"VISUAL": editor})
    session.expect(READY)
    session.send("what grows here\r")
    session.expect(READY)
    session.send("/edit\r")
    session.expect(["cannot be started", "ended with exit code", "left as it was"])
    session.send("/quit\r")
    assert ended(session) == 0
    with History.open(locate(home).database) as history:
        assert history.feedback_for("ann") == []


def test_copying_asks_the_terminal_and_is_a_sign(start: Start, home: Path) -> None:
    session = start(*CHAT)
    session.expect(READY)
    session.send("what grows here\r")
    session.expect(READY)
    session.send("/copy\r")
    session.expect(r"\x1b\]52;c;([A-Za-z0-9+/=]+)\x07")
    copied = base64.b64decode(session.match[1]).decode()
    session.send(CTRL_D)
    assert ended(session) == 0
    with History.open(locate(home).database) as history:
        (made,) = history.generations("ann")
        assert copied == made.text
        assert [one.kind for one in history.feedback_for("ann")] == ["copied"]


def test_ctrl_c_clears_the_line_and_leaves_the_second_time(start: Start, home: Path) -> None:
    session = start(*CHAT)
    session.expect(READY)
    session.send(f"never sent{CTRL_C}")
    session.expect("Ctrl-D or /quit leaves")
    session.expect(READY)
    session.send("what grows here\r")
    session.expect(READY)
    session.send(CTRL_C)
    session.expect("Ctrl-D or /quit leaves")
    session.send(CTRL_C)
    assert ended(session) == 130
    assert prompts(home) == ["what grows here"]


def test_generate_names_its_id_and_copies(start: Start, home: Path) -> None:
    session = start("generate", "what grows here", "--user", "ann", "--n", "2", "--max-tokens", "4", "--copy")
    code = ended(session)
    shown = session.before
    assert code == 0, shown
    with History.open(locate(home).database) as history:
        (made,) = history.generations("ann")
    assert f"generation {made.generation_id}: edge-ttp feedback {made.generation_id} --accept" in plain(shown)
    assert made.text in plain(shown)
    assert base64.b64encode(made.text.encode()).decode() in shown


@pytest.mark.parametrize(("answer", "code", "left"), [("n\r", 130, 1), ("\r", 130, 1), (CTRL_C, 130, 1), ("y\r", 0, 0)])
def test_forgetting_everything_asks_first(start: Start, home: Path, answer: str, code: int, left: int) -> None:
    with History.open(locate(home).database) as history:
        history.add(HistoryItem(user_id="ann", input="what is near", output="a pond"))
    session = start("history", "forget", "--all", "--user", "ann", files=False)
    session.expect(r"Forget everything of ann, 1 text and 0 answers, for good\? \[y/N\]: ")
    session.send(answer)
    assert ended(session) == code
    with History.open(locate(home).database) as history:
        assert history.count("ann") == left


def test_restoring_asks_first_unless_told_not_to(start: Start, home: Path, tmp_path: Path) -> None:
    with History.open(locate(home).database) as history:
        history.backup(tmp_path / "backup.db")
        history.add(HistoryItem(user_id="ann", input="what is near", output="a pond"))
    session = start("history", "restore", str(tmp_path / "backup.db"), files=False)
    session.expect("What is not in it is lost")
    session.send("n\r")
    assert ended(session) == 130
    with History.open(locate(home).database) as history:
        assert history.count("ann") == 1
    assert ended(start("history", "restore", str(tmp_path / "backup.db"), "--yes", files=False)) == 0
    with History.open(locate(home).database) as history:
        assert history.count("ann") == 0


def test_notes_are_broken_between_words(start: Start, home: Path) -> None:
    asked = ("generate", "what grows here", "--user", "ann-of-the-garden", "--n", "2", "--max-tokens", "4")
    session = start(*asked, columns=40)
    assert ended(session) == 0
    note = "no history yet for 'ann-of-the-garden': nothing to imitate, answers are not personal"
    lines = [line.strip() for line in plain(session.before).splitlines()]
    assert [word for word in note.split(" ") if not any(word in line for line in lines)] == []


def test_the_labels_of_statistics_are_whole_on_a_narrow_terminal(start: Start, home: Path) -> None:
    with History.open(locate(home).database) as history:
        for kind in ("email", "headline", "commit", "notice"):
            history.add(HistoryItem(user_id="ann", input="x", output=f"of {kind}", kind=kind, source="a-source"))
    session = start("history", "stats", "--user", "ann", files=False, columns=40)
    assert ended(session) == 0
    shown = plain(session.before)
    for label in ("mean length", "generations", "headline 1", "kept for", "database"):
        assert label in " ".join(shown.split())
    assert "…" not in shown


@pytest.mark.parametrize("total", [None, 4])
def test_progress_counts_without_inventing_a_total(total: int | None) -> None:
    code = (
        "import time\nfrom edge_ttp.cli.output import progress\n"
        f"with progress('learning', {total}, 'texts') as advance:\n"
        "    for done in range(1, 4):\n        advance(done)\n        time.sleep(0.2)\n"
    )
    session = pexpect.spawn(sys.executable, ["-c", code], encoding="utf-8", timeout=20, dimensions=(30, 100))
    assert ended(session) == 0
    shown = plain(session.before)
    assert "?" not in shown
    assert ("3 texts" if total is None else "3/4 texts") in shown


def mailbox(file: Path, count: int) -> Path:
    """A mailbox of so many mails, each answering another."""
    with file.open("w") as opened:
        for number in range(count):
            opened.write(
                f"From ann@example.com Thu Jan  1 00:00:00 2020\nFrom: Ann <ann@example.com>\nTo: bob@example.com\n"
                f"Subject: Matter {number}\nDate: Wed, 01 Jan 2020 {number % 24:02}:00:00 +0000\n"
                f"Message-ID: <{number}@example.com>\n\nThe matter {number} is settled, carry on.\n\n"
                f"On Monday, Bob wrote:\n> What about matter {number}?\n\n"
            )
    return file


def test_ten_thousand_mails_come_in_with_progress(start: Start, home: Path, tmp_path: Path) -> None:
    file = mailbox(tmp_path / "sent.mbox", 10_000)
    session = start("history", "import", str(file), "--user", "ann", files=False)
    session.timeout = 300
    session.expect(r"\d+(\.\d+)?/\d+(\.\d+)? [kM]?B|\d+/\d+")  # so much of so much
    assert ended(session) == 0
    shown = plain(session.before)
    assert "10000 added, 0 there already, 0 bad mails" in " ".join(shown.split())
    with History.open(locate(home).database) as history:
        assert history.count("ann") == 10_000


def test_ctrl_c_in_an_import_says_what_was_stored(start: Start, home: Path, tmp_path: Path) -> None:
    file = mailbox(tmp_path / "sent.mbox", 10_000)
    session = start("history", "import", str(file), "--user", "ann", files=False)
    session.timeout = 300
    session.expect(r"\d+(\.\d+)?/\d+(\.\d+)? [kM]?B|\d+/\d+")
    session.send(CTRL_C)
    code = ended(session)
    shown = " ".join(plain(session.before).split())
    with History.open(locate(home).database) as history:
        kept = history.count("ann")
    assert (code, f"{kept} items were stored" in shown) == (130, True) or (code, kept) == (0, 10_000)


# With the default policy and the default reward model


@pytest.fixture
def warm(models_home: Path) -> Path:
    spare_measuring(models_home)
    return models_home


@pytest.mark.real
def test_generate_shows_the_leading_text_while_it_is_drawn(start: Start, warm: Path) -> None:
    session = start("generate", "Tell me of a garden in spring.", "--user", "ann", "--max-tokens", "60", real=True)
    session.expect("leads, not the answer yet")
    code = ended(session)
    rest = plain(session.before)
    with History.open(locate(warm).database) as history:
        (made,) = history.generations("ann")
    assert code == 0
    assert " ".join(made.text.split()) in " ".join(rest.split())
    assert f"generation {made.generation_id}" in rest


@pytest.mark.real
def test_ctrl_c_while_drawing_prints_the_best_so_far(start: Start, warm: Path) -> None:
    session = start("generate", "Tell me a long story.", "--user", "ann", "--max-tokens", "400", "--n", "4", real=True)
    session.expect("leads, not the answer yet")
    session.send(CTRL_C)
    assert ended(session) == 130
    with History.open(locate(warm).database) as history:
        (made,) = history.generations("ann")
    assert {one.finish_reason for one in made.candidates} & {"cancelled"}
    assert " ".join(made.text.split()) in " ".join(plain(session.before).split())


@pytest.mark.real
def test_a_conversation_with_the_default_models(start: Start, warm: Path) -> None:
    session = start("chat", "--user", "ann", "--max-tokens", "24", real=True)
    session.expect(READY)
    session.send("What is a good name for a cat?\r")
    session.expect("leads, not the answer yet")
    session.expect(READY)
    session.send("//another one, please\r")
    session.expect("leads, not the answer yet")
    session.expect(READY)
    session.send("/accept\r")
    session.expect("noted")
    session.send(CTRL_D)
    assert ended(session) == 0
    assert prompts(warm) == ["What is a good name for a cat?", "/another one, please"]
    with History.open(locate(warm).database) as history:
        assert [one.kind for one in history.feedback_for("ann")] == ["accept"]
