"""`make house`: counts that say how the house is built; with BEFORE=COMMIT the same of that commit beside them.

Counted from the source: rooms and modules, names that occur twice, lines. Measured: the way of a prompt in a real
`edge-ttp generate` (needs the default policy: `make models`), and starting times, the trees in turn.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import tarfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from .plan import MIRRORS
from .source import classes, cycles, graph, modules, stems, twice

ROOT = Path(__file__).parents[2]
POLICY = "smollm2-135m-instruct"
ROUNDS = 5
"""Starts of each kind for each tree."""

STARTS = {
    "import edge_ttp, s": ("-c", "import edge_ttp"),
    "import Runtime, s": ("-c", "from edge_ttp import Runtime"),
    "edge-ttp --help, s": ("-m", "edge_ttp", "--help"),
}

Counts = dict[str, str]


def counted(tree: Path) -> Counts:
    """What the source in `tree` says."""
    package = modules(tree / "edge_ttp")
    both = {**package, **modules(tree / "export" / "edge_ttp_export")}
    root = sorted({name.split(".")[1] for name in package if "." in name} - {"__main__"})
    folders = [name for name in root if package.get(f"edge_ttp.{name}") and package[f"edge_ttp.{name}"].is_package]
    arrows = graph(package)
    between = {(_room(one), _room(other)) for one, targets in arrows.items() for other in targets}
    files = [name for name, module in both.items() if not module.is_package]
    doubles = twice(classes(both))
    embedded = _reached("edge_ttp.runtime", arrows)
    lines = sum(module.lines for module in package.values())
    return {
        "at the package's root": f"{len(root)} ({len(folders)} folders, {len(root) - len(folders)} modules)",
        "modules of edge_ttp": str(len(package)),
        "lines of edge_ttp": str(lines),
        "arrows between rooms": str(sum(one != other for one, other in between)),
        "rooms in a cycle": str(sum(map(len, cycles(_rooms(between))))),
        "modules in a cycle": str(sum(map(len, cycles(arrows)))),
        "module stems that occur twice": _names(twice(stems(files, but=[f"edge_ttp.{room}" for room in MIRRORS]))),
        "class names that occur twice": _names(doubles),
        "modules over 400 lines": _names({name: [] for name, one in both.items() if one.lines > 400}),
        "lines of what Runtime imports": f"{sum(package[name].lines for name in embedded)} in {len(embedded)} modules",
    }


def _room(name: str) -> str:
    return name.split(".")[1] if "." in name else name


def _rooms(pairs: set[tuple[str, str]]) -> Mapping[str, set[str]]:
    found: dict[str, set[str]] = {}
    for one, other in pairs:
        if one != other and "edge_ttp" not in (one, other):
            found.setdefault(one, set()).add(other)
    return found


def _reached(start: str, arrows: Mapping[str, set[str]]) -> set[str]:
    """What is imported from `start`, in functions too, around however many corners, with the packages it lies in."""
    found: set[str] = set()
    waiting = [start]
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            parents = [one.rsplit(".", at)[0] for at in range(1, one.count(".") + 1)]
            waiting += [*arrows[one], *(parent for parent in parents if parent != "edge_ttp")]
    return found


def _names(found: Mapping[str, Sequence[str]], shown: int = 4) -> str:
    names = sorted(found)
    more = ", ..." if len(names) > shown else ""
    return f"{len(names)}" + (f" ({', '.join(names[:shown])}{more})" if names else "")


def the_way_of_a_prompt(tree: Path) -> tuple[Counts, list[str]]:
    """How many modules are on the call path to llama_decode and how many are handed the prompt; then their names."""
    home = Path(os.environ.get("EDGE_TTP_TEST_MODELS", ROOT / ".edge-ttp"))
    found = sorted(home.rglob(f"{POLICY}/*.gguf"))
    if not found:
        return {"call path to llama_decode, modules": "not measured: no default policy here, run `make models`"}, []
    with TemporaryDirectory() as folder:
        store = Path(folder) / found[0].parent.relative_to(home)
        store.mkdir(parents=True)
        for file in found[0].parent.iterdir():
            (store / file.name).symlink_to(file.resolve())
        done = _python(tree, str(ROOT / "tests" / "house" / "prompt_path.py"), str(found[0]), EDGE_TTP_HOME=folder)
    way = json.loads(done)
    return {
        "call path to llama_decode, modules": str(len(way["stack"])),
        "modules that are handed the prompt": str(len(way["handed"])),
    }, [" > ".join(one.removeprefix("edge_ttp.") for one in way[kind]) for kind in ("stack", "handed")]


def starting(trees: Mapping[str, Path]) -> dict[str, Counts]:
    """Medians of how long starting takes, the trees in turn."""
    taken: dict[tuple[str, str], list[float]] = {}
    for _ in range(ROUNDS):
        for what, arguments in STARTS.items():
            for name, tree in trees.items():
                began = time.perf_counter()
                _python(tree, *arguments)
                taken.setdefault((name, what), []).append(time.perf_counter() - began)
    return {name: {what: f"{statistics.median(taken[name, what]):.2f}" for what in STARTS} for name in trees}


def _python(tree: Path, *arguments: str, **variables: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(tree), **variables}
    done = subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, cwd=tree)
    if done.returncode != 0:
        sys.exit(f"{' '.join(arguments)} failed in {tree}:\n{done.stderr}")
    return done.stdout


def unpacked(commit: str, folder: Path) -> Path:
    """The tree of a commit, in `folder`."""
    packed = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True)
    if packed.returncode != 0:
        sys.exit(packed.stderr.decode())
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m tests.house", description=__doc__)
    options.add_argument("--before", metavar="COMMIT", help="also of this commit")
    before = options.parse_args().before
    with TemporaryDirectory() as folder:
        trees = {before: unpacked(before, Path(folder))} if before else {}
        trees["now"] = ROOT
        counts = {name: counted(tree) for name, tree in trees.items()}
        ways = {name: the_way_of_a_prompt(tree) for name, tree in trees.items()}
        times = starting(trees)
    rows = {name: {**counts[name], **ways[name][0], **times[name]} for name in trees}
    print("| | " + " | ".join(trees) + " |")
    print("| --- " * (len(trees) + 1) + "|")
    for what in rows["now"]:
        print(f"| {what} | " + " | ".join(rows[name][what] for name in trees) + " |")
    for name, (_, lines) in ways.items():
        for what, line in zip(("Call path", "Handed the prompt"), lines, strict=False):
            print(f"\n{what}, {name}: {line}")


if __name__ == "__main__":
    main()
