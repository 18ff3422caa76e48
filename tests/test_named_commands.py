"""Commands and options that errors, notes, help and pages name are there: a cure that names none helps nobody."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer
from repository import DOCS, ROOT

from edge_ttp.cli.main import app

PACKAGES = (ROOT / "edge_ttp", ROOT / "export" / "edge_ttp_export")
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]

OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9]*(?:-[a-z0-9]+)*(?![\w-])")
COMMAND = re.compile(r"`edge-ttp ([^`\n]+)`")
FOREIGN = {
    *("--disable-background-networking", "--disable-component-update", "--no-pings", "--disable-logging"),  # Chromium
    *("--numstat", "--global", "--add", "--word-diff"),  # git
    *("--upgrade", "--force-reinstall", "--no-deps"),  # pip
    *("--now", "--head"),  # systemctl, ray
}
"""Options of other programs that our texts name."""


class Command(NamedTuple):
    """A command with its context, as typer makes them."""

    command: Any
    context: Any

    @property
    def below(self) -> dict[str, Command]:
        """The commands of a group."""
        if not hasattr(self.command, "list_commands"):
            return {}
        names = self.command.list_commands(self.context)
        return {name: made(self.command.get_command(self.context, name), self.context) for name in names}

    @property
    def options(self) -> set[str]:
        """What the command takes."""
        return {name for one in self.command.get_params(self.context) for name in (*one.opts, *one.secondary_opts)}


def made(command: Any, parent: Any) -> Command:
    return Command(command, command.make_context(command.name, [], parent=parent, resilient_parsing=True))


@cache
def tree() -> Command:
    return made(typer.main.get_command(app), None)


@cache
def below(path: tuple[str, ...]) -> dict[str, Command]:
    return at(path).below


def at(path: tuple[str, ...]) -> Command:
    return below(path[:-1])[path[-1]] if path else tree()


@cache
def every_option() -> frozenset[str]:
    found, waiting = set(tree().options), [(name,) for name in below(())]
    while waiting:
        path = waiting.pop()
        found |= at(path).options
        waiting += [(*path, name) for name in below(path)]
    return frozenset(found)


def said(path: Path) -> Iterator[tuple[int, str]]:
    """The texts of a module that a user may read: strings, and the docstrings of what is a command."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value
        elif isinstance(node, ast.JoinedStr):
            parts = [str(one.value) if isinstance(one, ast.Constant) else "X" for one in node.values]
            yield node.lineno, "".join(parts)


def wrong(line: str) -> str | None:
    """What is wrong with `edge-ttp LINE`, None where nothing is."""
    try:
        words = shlex.split(line.replace("...", " "))
    except ValueError:
        words = line.split()
    path: tuple[str, ...] = ()
    while words and below(path) and re.fullmatch(r"[a-z][a-z-]*", words[0]):
        if words[0] not in below(path):
            return f"no command {words[0]!r}"
        path, words = (*path, words[0]), words[1:]
    named = [word for word in (word.split("=")[0] for word in words) if OPTION.fullmatch(word)]
    missing = [word for word in named if word not in at(path).options]
    return f"no option {', '.join(missing)}" if missing else None


def modules() -> list[Path]:
    return [path for package in PACKAGES for path in sorted(package.rglob("*.py"))]


def test_every_option_that_a_text_names_is_one_of_some_command() -> None:
    unknown = {
        f"{path.relative_to(ROOT)}:{line} {name}"
        for path in modules()
        for line, text in said(path)
        if " " in text
        for name in OPTION.findall(text)
        if name not in every_option() and name not in FOREIGN
    }
    assert sorted(unknown) == []


@pytest.mark.parametrize("path", modules() + PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_that_a_text_names_takes_its_options(path: Path) -> None:
    texts = said(path) if path.suffix == ".py" else [(0, path.read_text(encoding="utf-8"))]
    found = {
        f"{line}: edge-ttp {named}: {fault}"
        for line, text in texts
        for named in COMMAND.findall(text)
        if (fault := wrong(named)) is not None
    }
    assert sorted(found) == []
