"""examples/assistant: a real Maildir of invented mails, the real policy, and what is learned from what was sent."""

from __future__ import annotations

import json
import mailbox
import runpy
import stat
import subprocess
import sys
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path

import pytest
from fakes.real import spare_measuring
from repository import ROOT

from edge_ttp.history import History
from edge_ttp.paths import locate
from edge_ttp.schema import HistoryItem

pytestmark = pytest.mark.real
ADA = "ada@example.org"


def mail(number: int, sender: str, text: str, **headers: str) -> EmailMessage:
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = sender, headers.pop("To", ADA), headers.pop("Subject", f"lift {number}")
    made["Message-ID"] = f"<{number}@example.net>"
    for name, value in headers.items():
        made[name.replace("_", "-")] = value
    made.set_content(text)
    return made


@pytest.fixture
def box(tmp_path: Path) -> mailbox.Maildir:
    """A Maildir with two mails that want an answer and four that do not."""
    made = mailbox.Maildir(tmp_path / "Maildir", create=True)
    made.add(mail(1, "Ben <ben@example.net>", "Lift 1 was repaired.\n"))
    hostile = mail(2, "Eve <eve@example.net>", "Lift 2 was repaired.\n", Subject="SUBJECT").as_bytes()
    made.add(hostile.replace(b"SUBJECT", b"=?utf-8?q?a=0ABcc=3A_carl=40example=2Eorg=0A=0Ax?="))
    made.add(mail(3, "News <news@example.net>", "Buy lifts.\n", List_Id="<news.example.net>"))
    made.add(mail(4, "Robot <r@example.net>", "I am away.\n", Auto_Submitted="auto-replied"))
    made.add(mail(5, ADA, "A note to myself.\n"))
    made.add(mail(6, "Ben <ben@example.net>", "Not for you.\n", To="carl@example.org"))
    return made


@pytest.fixture
def assistant_home(models_home: Path) -> Path:
    """A home with the policy and a few texts of Ada's."""
    spare_measuring(models_home)
    with History.open(locate(models_home).database) as history:
        for n in range(4):
            history.add(HistoryItem(user_id="me", input=f"Lift {n} was repaired.", output=f"lift {n} is alive!!"))
    return models_home


Run = Callable[[], str]


@pytest.fixture
def run(
    box: mailbox.Maildir, assistant_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """The example as it is started, in this process: what it prints."""
    program = ROOT / "examples/assistant/drafts.py"
    monkeypatch.setattr(sys, "argv", [str(program), str(box._path), "--address", ADA])  # type: ignore[attr-defined]

    def once() -> str:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(program), run_name="__main__")
        said = capsys.readouterr()
        assert ended.value.code == 0, said.err
        return said.out

    return once


def drafts(box: mailbox.Maildir) -> dict[str, mailbox.MaildirMessage]:
    return {str(one["In-Reply-To"]): one for one in box.get_folder("Drafts")}


def test_new_mails_get_drafts_and_what_was_sent_teaches(box: mailbox.Maildir, assistant_home: Path, run: Run) -> None:
    told = run()
    assert told.count("drafted: ") == 2
    assert told.count("passed over: ") == 4
    left = drafts(box)
    assert left.keys() == {"<1@example.net>", "<2@example.net>"}
    first = left["<1@example.net>"]
    assert (first["To"], first["Subject"], first.get_flags()) == ("Ben <ben@example.net>", "Re: lift 1", "D")
    assert first.get_payload().strip()
    assert left["<2@example.net>"]["Bcc"] is None
    assert "drafted" not in run()  # once for each mail

    sent = box.add_folder("Sent")
    answer = mail(11, ADA, "lift 1 lives!! take it\n\n> Lift 1 was repaired.\n", To="ben@example.net")
    answer["In-Reply-To"] = "<1@example.net>"
    sent.add(answer)
    unchanged = mail(12, ADA, left["<2@example.net>"].get_payload(), To="eve@example.net")
    unchanged["In-Reply-To"] = "<2@example.net>"
    sent.add(unchanged)
    told = run()
    assert "(as you changed it)" in told
    assert "(as drafted)" in told
    assert drafts(box) == {}  # another answer went out in their place
    with History.open(locate(assistant_home).database) as history:
        kinds = sorted(one.kind for one in history.feedback_for("me"))
        assert kinds == ["accept", "edit"]
        assert "lift 1 lives!! take it" in [item.output for item in history.items("me")]
    assert "learned" not in run()
    record = locate(assistant_home).data / "assistant.json"
    assert stat.S_IMODE(record.stat().st_mode) == 0o600
    assert all(one["learned"] for one in json.loads(record.read_text()).values())


def test_what_is_no_maildir_is_said_in_one_line(tmp_path: Path, assistant_home: Path) -> None:
    command = [sys.executable, str(ROOT / "examples/assistant/drafts.py"), str(tmp_path), "--address", ADA]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
