"""What a hostile-input run came to, as text and as a page of the documentation."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence

from .watch import Result

COLUMNS = ("inputs", "answered", "refused", "deaths", "tracebacks", "late", "memory", "wrong", "slowest", "peak")
_FAULTS = {"death": "deaths", "traceback": "tracebacks", "late": "late", "memory": "memory", "wrong": "wrong"}


def rows(results: Mapping[str, Sequence[Result]], names: Mapping[str, str]) -> list[list[str]]:
    """A line for each kind and one for all together: the kind's name, then COLUMNS."""
    found = [[names.get(kind, kind), *_counts(of_kind)] for kind, of_kind in results.items()]
    return [*found, ["all", *_counts([one for of_kind in results.values() for one in of_kind])]]


def _counts(results: Sequence[Result]) -> list[str]:
    outcomes = Counter(one.outcome for one in results)
    slowest = max((one.seconds for one in results), default=0.0)
    peak = max((one.peak_bytes for one in results), default=0)
    counted = [len(results), outcomes["answered"], outcomes["refused"], *(outcomes[fault] for fault in _FAULTS)]
    return [*(f"{count:,}" for count in counted), f"{slowest:.1f} s", f"{peak >> 20:,} MiB"]


def as_text(results: Mapping[str, Sequence[Result]], names: Mapping[str, str]) -> str:
    """The table for a terminal, the faults below it."""
    lines = [["kind", *COLUMNS], *rows(results, names)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    shown = [
        "  ".join(cell.ljust(width) if place == 0 else cell.rjust(width) for place, (cell, width) in cells)
        for cells in (list(enumerate(zip(line, widths, strict=True))) for line in lines)
    ]
    return "\n".join(shown + faults(results))


def faults(results: Mapping[str, Sequence[Result]]) -> list[str]:
    """A line for each fault: how to run it again, what it was."""
    return [
        f"{one.outcome}: --kind {one.kind} --seed {one.seed} --only {one.number}: {one.what}: {one.words}"
        for of_kind in results.values()
        for one in of_kind
        if one.fault
    ]


def _commits(results: Mapping[str, Sequence[Result]]) -> str:
    """At which commits the inputs were tried, the commonest first, of the others the kinds."""
    by_commit: dict[str, Counter[str]] = {}
    for of_kind in results.values():
        for one in of_kind:
            by_commit.setdefault(one.commit or "unknown", Counter())[one.kind] += 1
    told = sorted(by_commit, key=lambda commit: -by_commit[commit].total())
    others = (f"at {commit} ({', '.join(sorted(by_commit[commit]))})" for commit in told[1:])
    return ", ".join((f"at commit {told[0] if told else 'unknown'}", *others))


def _wrapped(command: str) -> str:
    glued = command.replace("--kind ", "--kind\0")  # an option stays with its value
    lines = textwrap.wrap(glued, 100, subsequent_indent="    ", break_on_hyphens=False)
    return " \\\n".join(lines).replace("\0", " ")


def as_page(results: Mapping[str, Sequence[Result]], names: Mapping[str, str], command: str) -> str:
    """docs/measured/hostile-inputs.md."""
    head = "| kind | " + " | ".join(COLUMNS) + " |\n|---|" + "---:|" * len(COLUMNS)
    body = "\n".join("| " + " | ".join(line) + " |" for line in rows(results, names))
    found = "\n".join(f"- {line}" for line in faults(results)) or "None."
    return f"""# Hostile inputs

Made {_commits(results)} by:

```
{_wrapped(command)}
```

Every input is made from a seed and given to the API, or to the command line, in a process that is watched from outside
(`tests/hostile`). *answered*: the call returned what it could; *refused*: one line, an
`EdgeTTPError`. The other columns are faults: *deaths* of the calling process, *tracebacks*, calls *late* by more than
2 s (twice in a row, as the machine may be busy), *memory* beyond the policy's budget and 1 GB, *wrong*: data lost or
changed. *slowest* and *peak* are of one call, the processes it started included.

{head}
{body}

## Faults

{found}
"""
