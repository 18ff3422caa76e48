"""`python -m tests.hostile`: the hostile-input run. Exit code 1 where it found a fault."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from .kinds import KINDS
from .table import as_page, as_text
from .watch import ROOT, Result, run

PAGE = ROOT / "docs" / "measured" / "hostile-inputs.md"


def main() -> int:
    """Runs what the arguments ask for and prints the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile", description=__doc__)
    parser.add_argument("--each", type=int, default=850, help="inputs of each kind (850)")
    parser.add_argument(
        "--kind", action="append", type=_kind, metavar="KIND[=N]", help=f"only this (N inputs): {', '.join(KINDS)}"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="only the input of this number")
    parser.add_argument("--log", type=Path, help="JSON lines to append results to, and to go on from")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.relative_to(ROOT)}")
    options = parser.parse_args()
    kinds: dict[str, int | None] = dict(options.kind or ((kind, None) for kind in KINDS))
    known = {(one.kind, one.number): one for one in _logged(options.log) if one.seed == options.seed}
    results: dict[str, list[Result]] = {}
    for kind, count in kinds.items():
        each = options.each if count is None else count
        numbers = [options.only] if options.only is not None else list(range(each))
        found = results[kind] = [known[kind, number] for number in numbers if (kind, number) in known]
        for one in run(kind, options.seed, [number for number in numbers if (kind, number) not in known]):
            found.append(one)
            _log(options.log, one)
            _tell(one, len(found), len(numbers), alone=options.only is not None)
    print(as_text(results, KINDS))
    if options.write:
        PAGE.parent.mkdir(parents=True, exist_ok=True)
        given = "".join(f" --kind {kind}" + (f"={count}" if count else "") for kind, count in options.kind or ())
        each = "" if options.kind and all(count for _, count in options.kind) else f" --each {options.each}"
        PAGE.write_text(as_page(results, KINDS, f"python -m tests.hostile{each}{given} --write"))
    return any(one.fault for of_kind in results.values() for one in of_kind)


def _kind(text: str) -> tuple[str, int | None]:
    kind, _, count = text.partition("=")
    if kind not in KINDS or not (count.isdecimal() or text == kind):
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(KINDS)}, nor one of them with =N")
    return kind, int(count) if count else None


def _logged(log: Path | None) -> Iterator[Result]:
    if log is not None and log.exists():
        for line in log.read_text().splitlines():
            yield Result(**json.loads(line))


def _log(log: Path | None, result: Result) -> None:
    if log is not None:
        with log.open("a") as file:
            file.write(json.dumps(result.as_dict()) + "\n")


def _tell(one: Result, done: int, count: int, *, alone: bool) -> None:
    if one.fault or alone:
        print(f"{one.kind} {one.number}: {one.what}: {one.outcome} ({one.seconds:.1f} s): {one.words}", file=sys.stderr)
    elif done % 50 == 0:
        print(f"{one.kind}: {done} of {count}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
