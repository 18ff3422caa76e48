"""Options that several commands share, and how a request is read from the command line."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_ttp.cli.express import DEFAULT_RULE as DEFAULT_RULE  # noqa: PLC0414  # handed on
from edge_ttp.cli.express import REWRITE_RULE as REWRITE_RULE  # noqa: PLC0414  # handed on
from edge_ttp.cli.given_text import MAX_STDIN_BYTES as MAX_STDIN_BYTES  # noqa: PLC0414  # handed on
from edge_ttp.cli.given_text import read_documents as read_documents  # noqa: PLC0414  # handed on
from edge_ttp.cli.given_text import read_prompt as read_prompt  # noqa: PLC0414  # handed on
from edge_ttp.cli.given_text import read_text as read_text  # noqa: PLC0414  # handed on
from edge_ttp.cli.output import parse_duration

if TYPE_CHECKING:
    from edge_ttp.runtime import Runtime
    from edge_ttp.schema import Generation

_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(k|m|g|)(i?)b?\s*", re.IGNORECASE)


def parse_count(text: str | int) -> int | None:
    """A number of candidates, None for `auto`."""
    if str(text).strip().lower() == "auto":
        return None
    try:
        number = int(str(text))
    except ValueError as wrong:
        raise typer.BadParameter(f"{text!r} is neither a number nor 'auto'") from wrong
    if number < 1:
        raise typer.BadParameter(f"at least 1 candidate is needed, not {number}; or 'auto'")
    return number


def parse_size(text: str | int) -> int:
    """Bytes meant by `500MB`, `1.5GiB` or `800000000`."""
    match = _SIZE.fullmatch(str(text))
    if match is None:
        raise typer.BadParameter(f"{text!r} is not a size such as 500MB or 2GiB")
    base = 1024 if match[3] else 1000
    return int(float(match[1]) * base ** {"": 0, "k": 1, "m": 2, "g": 3}[match[2].lower()])


User = Annotated[
    str | None, typer.Option("--user", "-u", help="Whose voice. Default: EDGE_TTP_USER, else as configured, else `me`.")
]
Model = Annotated[
    str | None,
    typer.Option("--model", "-m", help="Policy: a name in the store or a .gguf file. Default: as configured."),
]
Adapter = Annotated[
    str | None,
    typer.Option("--adapter", metavar="NAME|none", help="Voice adapter. Default: the policy's own for this, if any."),
]
PolicyUrl = Annotated[
    str | None,
    typer.Option(
        "--policy-url",
        metavar="URL",
        help="Let an engine draw that speaks OpenAI's protocol, such as http://127.0.0.1:8000/v1: prompts go there.",
    ),
]
Reward = Annotated[str | None, typer.Option("--reward", help="Reward model: a name in the store or a folder.")]
Count = Annotated[
    int | None,
    typer.Option("--n", parser=parse_count, metavar="auto|K", help="Candidates to draw; auto: what the budget allows."),
]
Deadline = Annotated[
    float | None,
    typer.Option("--deadline", parser=parse_duration, metavar="TIME", help="For the whole answer: 2, 2s, 500ms, 5m."),
]
Memory = Annotated[
    int | None,
    typer.Option("--memory", parser=parse_size, metavar="SIZE", help="Most the policy may take: 500MB, 2GiB."),
]
ModeName = Annotated[
    str | None,
    typer.Option(
        "--mode",
        metavar="fast|balanced|best",
        help="What a better answer is worth in time. Default: as configured, else balanced.",
    ),
]
Select = Annotated[
    str,
    typer.Option(
        "--select",
        metavar="RULE",
        help="mean, lcb, shrink, thompson, consensus, logprob or first.",
    ),
]
Seed = Annotated[int | None, typer.Option("--seed", help="Replays a generation with the same --n on this device.")]
Kind = Annotated[str | None, typer.Option("--kind", help="Recall only items of this kind.")]
Examples = Annotated[
    int | None,
    typer.Option("--examples", help="Past items shown to the model. A number is kept, or refused; default: up to 4."),
]
Core = Annotated[
    int,
    typer.Option("--core", min=0, help="Items that stand for all of yours before them, read once for all requests."),
]
Threads = Annotated[int | None, typer.Option("--threads", help="Default: the cores this process may use.")]
NoStore = Annotated[bool, typer.Option("--no-store", help="Keep this out of the history.")]
DATA_VARIABLE = "EDGE_TTP_DATA"
Data = Annotated[
    Path | None,
    typer.Option(
        "--data", help=f"Folder of user_id/input/output JSONL files. Default: {DATA_VARIABLE}, else the samples."
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Replace the file if it is there already.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def given(**values: Any) -> dict[str, Any]:
    """Those of the values that were given."""
    return {name: value for name, value in values.items() if value is not None}


Documents = Annotated[
    list[Path] | None,
    typer.Option("--file", "-f", metavar="FILE", help="A text that the prompt is about. May be repeated. Not stored."),
]
System = Annotated[str | None, typer.Option("--system", metavar="TEXT", help="What is to be observed besides.")]


def data_folder(given: Path | None) -> Path | None:
    """The folder of corpora that is `given`, else the one in EDGE_TTP_DATA; None where neither says one."""
    return given or (Path(os.environ[DATA_VARIABLE]) if os.environ.get(DATA_VARIABLE) else None)


@contextmanager
def interruptible() -> Iterator[Event]:
    """An event that the first Ctrl-C sets, so that what was drawn so far is kept; the second one ends the program."""
    cancelled = Event()
    before = signal.getsignal(signal.SIGINT)

    def on_interrupt(number: int, frame: FrameType | None) -> None:
        if cancelled.is_set():
            raise KeyboardInterrupt
        cancelled.set()

    signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield cancelled
    finally:
        signal.signal(signal.SIGINT, before)


def as_it_stays(generation: Generation, runtime: Runtime) -> Generation:
    """The generation after this command: not stored where the runtime's history was in memory and ends with it."""
    if not generation.stored or runtime.history.path == runtime.paths.database:
        return generation
    notes = (*generation.notes, f"not recorded: {runtime.paths.database} cannot be written")
    return generation.model_copy(update={"stored": False, "notes": notes})
