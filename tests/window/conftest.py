"""The app in a real window: a screen of its own, real keys and clicks, the real policy. Run by `make test-app`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.real import spare_measuring

from .desk import screen


@pytest.fixture(scope="session")
def display() -> Iterator[str]:
    """A screen with a window manager."""
    with screen() as name:
        yield name


@pytest.fixture
def app_home(models_home: Path) -> Path:
    """A home with the default policy and nothing else."""
    spare_measuring(models_home)
    return models_home


@pytest.fixture
def sent_mails(tmp_path: Path) -> Path:
    """A folder of mails that an invented person sent."""
    path = tmp_path / "Sent.mbox"
    lines = []
    for number in range(12):
        day = f"{number + 1:02d}"
        lines += [
            f"From ada@example.org Mon Jan {day} 09:12:00 2025",
            "From: Ada Vogel <ada@example.org>",
            "To: Ben <ben@example.org>",
            f"Subject: Re: lift {number}",
            f"Date: {day} Jan 2025 09:12:00 +0000",
            f"Message-ID: <{number}@example.org>",
            "Content-Type: text/plain; charset=utf-8",
            "",
            "hi ben",
            "",
            f"lift {number} is alive again!! take it to floor {number}.",
            "",
            "cheers, ada",
            "",
            f"> On 2025-01-{day} Ben wrote:",
            f"> Lift {number} was repaired today.",
            "",
        ]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path
