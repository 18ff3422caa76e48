"""An assistant that works in your mail folder: reads new mail, drafts answers in your voice, learns from what you send.

    python examples/assistant/drafts.py ~/Maildir --address ada@example.org

For each new mail it leaves a draft in `.Drafts`; your mail program shows it there. You change it, send it or delete it.
What you really sent (`.Sent`) is told to the runtime the next time: an unchanged draft as accepted, any other answer as
what should have been written. Nothing is ever sent by this program, and nothing leaves the machine.
"""

from __future__ import annotations

import argparse
import email.policy
import json
import mailbox
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from email.message import EmailMessage
from email.parser import BytesParser
from email.utils import formatdate, getaddresses, make_msgid, parseaddr
from pathlib import Path

from edge_ttp import Budget, EdgeTTPError, Runtime
from edge_ttp.exchange.mail import MailReading, read_mail
from edge_ttp.exchange.records import Numbered

GENERATION = "X-Edge-TTP-Generation"
"""The header of our drafts: which answer it was."""
LISTS = ("List-Id", "List-Unsubscribe", "Auto-Submitted", "X-Auto-Response-Suppress")
"""Headers of mails that nobody waits for an answer to."""
DRAFTS, SENT = "Drafts", "Sent"
LONGEST = 6000
"""Characters of a mail that are answered; the model reads no more at once."""


@dataclass
class Drafted:
    """A mail that a draft was left for."""

    generation: str
    text: str
    draft: str
    """The draft's key in its folder."""
    learned: bool = False


class Assistant:
    """One Maildir and one runtime. What was done is kept in a small file beside the history, mode 0600."""

    def __init__(self, runtime: Runtime, maildir: Path, address: str, *, user: str, budget: Budget) -> None:
        self._runtime, self._address, self._user, self._budget = runtime, address.lower(), user, budget
        self._box = mailbox.Maildir(maildir, create=False)
        self._record = runtime.paths.data / "assistant.json"
        self._done: dict[str, Drafted] = {}
        if self._record.is_file():
            told = json.loads(self._record.read_text(encoding="utf-8"))
            self._done = {mail: Drafted(**one) for mail, one in told.items()}

    def once(self) -> None:
        """Learns from what was sent, then drafts answers to what is new."""
        self.learn()
        self.draft()

    def draft(self) -> int:
        """Leaves a draft for every new mail that waits for an answer; how many."""
        left = 0
        answered = {reply for _, message in self._folder(SENT) for reply in _references(message)}
        for key in list(self._box.keys()):
            flags = self._box.get_message(key).get_flags()  # R: answered, T: trashed
            data = self._box.get_bytes(key)
            message = _parsed(data)
            identity = _line(message, "Message-ID")
            if not identity or identity in self._done or identity in answered or {"R", "T"} & set(flags):
                continue
            text, reason = self._worth(message, data)
            if not text:
                print(f"passed over: {_shown(message)} ({reason})")
                continue
            self._leave(identity, message, text)
            left += 1
        return left

    def learn(self) -> int:
        """Tells the runtime what was sent in answer to mails that it had drafted for; how many."""
        count = 0
        for _, message in self._folder(SENT):
            for identity in _references(message)[:1]:
                one = self._done.get(identity)
                if one is None or one.learned:
                    continue
                sent = next(self._written(message.as_bytes()), "")
                if not sent:
                    continue
                same = sent.split() == one.text.split()
                self._runtime.feedback(
                    one.generation, "accept" if same else "edit", user=self._user, text=None if same else sent
                )
                self._drop_draft(one)
                one.learned = True
                self._keep()
                count += 1
                print(f"learned from: {_shown(message)} ({'as drafted' if same else 'as you changed it'})")
        return count

    def _worth(self, message: EmailMessage, data: bytes) -> tuple[str, str]:
        """What the sender wrote, or why it is passed over."""
        if any(message.get(name) for name in LISTS) or _line(message, "Precedence").lower() in ("bulk", "list", "junk"):
            return "", "a list or an automatic mail"
        if parseaddr(_line(message, "From"))[1].lower() == self._address:
            return "", "your own"
        meant = [one.lower() for _, one in getaddresses([_line(message, "To"), _line(message, "Cc")])]
        if meant and self._address not in meant:
            return "", "not to you"
        text = next(self._written(data), "")
        return text[:LONGEST], "nothing to answer"

    def _leave(self, identity: str, message: EmailMessage, text: str) -> None:
        """Draws an answer and puts it into the drafts."""
        earlier = [self._text_of(reference) for reference in reversed(_references(message))]
        answer = self._runtime.generate(
            text,
            user=self._user,
            kind="email",
            context=[f"Subject: {_line(message, 'Subject')}", *filter(None, earlier[:2])],
            budget=self._budget,
        )
        draft = EmailMessage(policy=email.policy.SMTP)
        draft["From"], draft["To"] = self._address, _line(message, "Reply-To") or _line(message, "From")
        subject = _line(message, "Subject")
        draft["Subject"] = subject if subject.lower().startswith("re:") else f"Re: {subject}".strip()
        draft["Date"], draft["Message-ID"] = formatdate(localtime=True), make_msgid(domain="localhost")
        draft["In-Reply-To"] = identity
        draft["References"] = " ".join([*_references(message)[-8:], identity])
        draft[GENERATION] = answer.generation_id
        draft.set_content(answer.text)
        kept = mailbox.MaildirMessage(draft)
        kept.set_subdir("cur")
        kept.add_flag("D")
        key = self._named(DRAFTS).add(kept)
        self._done[identity] = Drafted(answer.generation_id, answer.text, key)
        self._keep()
        print(f"drafted: {_shown(message)}")

    def _drop_draft(self, one: Drafted) -> None:
        """Takes our draft away if it still stands there as we left it: another answer was sent."""
        folder = self._named(DRAFTS)
        if one.draft in folder and _line(_parsed(folder.get_bytes(one.draft)), GENERATION) == one.generation:
            folder.remove(one.draft)

    def _written(self, data: bytes) -> Iterator[str]:
        """What the sender of a mail wrote, without quotations and signature."""
        for entry in read_mail(1, data, MailReading(self._user), "maildir"):
            if isinstance(entry, Numbered):
                yield entry.record.output

    def _text_of(self, identity: str) -> str:
        """What an earlier mail of the thread says; empty where it is not here."""
        for folder in (self._box, self._named(SENT)):
            for key in folder.keys():  # noqa: SIM118  a mailbox yields its messages
                data = folder.get_bytes(key)
                if _line(_parsed(data), "Message-ID") == identity:
                    return next(self._written(data), "")[:LONGEST]
        return ""

    def _folder(self, name: str) -> Iterator[tuple[str, EmailMessage]]:
        folder = self._named(name)
        for key in list(folder.keys()):
            yield key, _parsed(folder.get_bytes(key))

    def _named(self, name: str) -> mailbox.Maildir:
        """A folder of the Maildir, made where it is missing."""
        return self._box.get_folder(name) if name in self._box.list_folders() else self._box.add_folder(name)

    def _keep(self) -> None:
        temporary = self._record.with_name(f".{self._record.name}.{os.getpid()}")
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            json.dump({mail: asdict(one) for mail, one in self._done.items()}, file)
        os.replace(temporary, self._record)


def _parsed(data: bytes) -> EmailMessage:
    return BytesParser(_class=EmailMessage, policy=email.policy.compat32.clone()).parsebytes(data)  # type: ignore[return-value]


def _line(message: EmailMessage, name: str) -> str:
    """A header as one line; what is wrong in it cannot reach our own mails."""
    from edge_ttp.exchange.mail import header

    return " ".join(header(message, name).split())[:500]


def _references(message: EmailMessage) -> list[str]:
    """Mails that this one answers, the one meant first."""
    direct = _line(message, "In-Reply-To").split()
    return list(dict.fromkeys([*direct, *reversed(_line(message, "References").split())]))


def _shown(message: EmailMessage) -> str:
    text = f"{_line(message, 'From')}: {_line(message, 'Subject')}"
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)[:100]


def main() -> int:
    """Runs once, or every so many seconds; its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("maildir", type=Path, help="with the subfolders .Drafts and .Sent")
    parser.add_argument("--address", required=True, help="your address")
    parser.add_argument("--user", default="me", help="whose voice")
    parser.add_argument("--every", type=float, metavar="SECONDS", help="go on for ever")
    parser.add_argument("--deadline", type=float, default=20.0, metavar="SECONDS", help="for one draft")
    given = parser.parse_args()
    if not (given.maildir / "cur").is_dir():
        print(f"{given.maildir} is no Maildir; give the folder that has cur, new and tmp", file=sys.stderr)
        return 2
    try:
        with Runtime.open() as runtime:
            budget = Budget(deadline_s=given.deadline)
            assistant = Assistant(runtime, given.maildir, given.address, user=given.user, budget=budget)
            assistant.once()
            while given.every is not None:
                time.sleep(given.every)
                assistant.once()
    except EdgeTTPError as error:  # one line: the fact and the cure
        print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
