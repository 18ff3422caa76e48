"""Mails in an mbox file or in .eml files: headers, encodings, parts and pages that are made to break a reader."""

from __future__ import annotations

import base64
import random
from pathlib import Path

from ..importing import SOUND, Imports, noise

_HEADERS = (
    "Subject", "From", "Date", "Content-Type", "Content-Transfer-Encoding", "Content-Disposition", "MIME-Version",
    "Auto-Submitted", "Received", "To", "X-Odd", "Message-ID",
)  # fmt: skip
_TYPES = (
    "text/plain", "text/html", "multipart/mixed; boundary=b", "multipart/alternative; boundary=b", "message/rfc822",
    "text/plain; charset=punycode", "text/html; charset=utf-7", "text/plain; charset=\"", "multipart/report", "a/b/c",
    "text/plain; charset*0*=utf-8''x; charset*1=y", "multipart/mixed; boundary=\"\"", "text/calendar; method=REPLY",
)  # fmt: skip


def _mail(chance: random.Random, depth: int = 0) -> bytes:
    lines = [b"From: ann@example.org"]
    for _ in range(chance.randrange(6)):
        name = chance.choice(_HEADERS).encode()
        value = noise(chance, chance.choice((20, 400, 60_000))) if chance.random() < 0.5 else _value(chance)
        lines.append(name + b": " + value.replace(b"\nFrom ", b"\n>From "))
    body = noise(chance, chance.choice((50, 5_000, 300_000)))
    form = chance.choice(_TYPES)
    lines.append(b"Content-Type: " + form.encode())
    if "boundary=b" in form and depth < chance.choice((2, 60)):
        parts = [_mail(chance, depth + 1) for _ in range(chance.randrange(1, 3))]
        body = b"".join(b"\n--b\n" + part for part in parts) + (b"\n--b--\n" if chance.random() < 0.7 else b"")
    if chance.random() < 0.3:
        lines.append(b"Content-Transfer-Encoding: base64")
        body = base64.b64encode(body) if chance.random() < 0.6 else body
    return b"\n".join(lines) + b"\n\n" + body


def _value(chance: random.Random) -> bytes:
    return chance.choice(
        (b"=?utf-8?b?!!?=", b"=?\xff?q?x?=", b"=?no?q?x?=", b"Mon, 99 Foo 99999 99:99:99 +9999", b"", b"\xff\xfe",
         b'"' * 50, b"<<<>>>", b"\n folded\n more", b"=?utf-8?q?" + b"=FF" * 100 + b"?=", b"text/html", b"base64")
    )  # fmt: skip


def _make(chance: random.Random, folder: Path) -> tuple[str, Path, dict[str, object], bool]:
    sound = f"From: ann@example.org\nSubject: x\nDate: Mon, 06 Jan 2025 09:12:00 +0100\n\n{SOUND}\n".encode()
    mails = [_mail(chance) for _ in range(chance.randrange(1, 4))]
    options: dict[str, object] = {"authors": ("ann",)} if chance.random() < 0.5 else {}
    if chance.random() < 0.3:
        for at, mail in enumerate([*mails, sound]):
            (folder / f"{at}.eml").write_bytes(mail)
        return f"{len(mails)} .eml files", folder, {**options, "form": "eml", "authors": ("ann",)}, True
    path = folder / "Sent"
    whole = b"".join(b"From x\n" + mail.replace(b"\nFrom ", b"\n>From ") + b"\n\n" for mail in mails)
    path.write_bytes(whole + b"From x\n" + sound)
    return f"{len(mails)} mails of {len(whole)} bytes", path, {**options, "form": "mbox", "authors": ("ann",)}, True


def open(home: Path) -> Imports:
    return Imports(home, _make)
