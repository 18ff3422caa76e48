"""The pages of the docs that are written from the code: `make docs` writes them, test_pages.py compares.

docs/api.md comes from the docstrings of the public names, docs/cli.md from the help of every command.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[2] / "docs"
WIDTH = 100
"""Columns of a help text, whatever the terminal."""

MODULES = {
    "edge_ttp": "What an app imports: `from edge_ttp import Runtime, Budget`.",
    "edge_ttp.schema": "The parts of what an app gives and gets.",
    "edge_ttp.errors": "What can go wrong. All of these are `EdgeTTPError`, with a `fact`, a `cure` and an exit code.",
    "edge_ttp.scaling": "The law of choosing one of N, on numpy arrays alone: `from edge_ttp.scaling import diagnose`.",
}
"""Modules whose public names the page shows, and what each is for."""


def api() -> str:
    """docs/api.md."""
    parts = [
        "# The Python API",
        "Written from the docstrings by `make docs`. What is on this page keeps its meaning within a minor version"
        " ([CONTRIBUTING.md](../CONTRIBUTING.md#what-stays-as-it-is)); everything else may move.",
    ]
    shown: set[str] = set()
    for name, line in MODULES.items():
        parts += [f"## {name}", line]
        for public in _public(name):
            if public not in shown:
                parts += _entry(name, public)
            shown.add(public)
    return "\n\n".join(parts) + "\n"


def _public(name: str) -> list[str]:
    module = import_module(name)
    listed = getattr(module, "__all__", None)
    if listed is not None:
        return [one for one in listed if not one.startswith("__")]
    names = []
    for node in _tree(name).body:
        if isinstance(node, ast.ClassDef):
            names.append(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            names += [ast.unparse(one) for one in (node.targets if isinstance(node, ast.Assign) else [node.target])]
    return [one for one in names if not one.startswith("_")]


def _tree(module: str) -> ast.Module:
    return ast.parse(Path(inspect.getsourcefile(import_module(module)) or "").read_text(encoding="utf-8"))


def _entry(module: str, name: str) -> Iterator[str]:
    found = getattr(import_module(module), name)
    home = getattr(found, "__module__", None)
    if home is not None and home.startswith("edge_ttp"):
        module = home
    tree = _tree(module)
    node = next((one for one in tree.body if getattr(one, "name", None) == name), None)
    if isinstance(node, ast.ClassDef):
        yield from _class(node)
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        yield f"### `{name}`"
        yield _code(_signature(node, drop_first=False))
        yield _docstring(node)
    else:
        value, words = _assigned(tree, name)
        yield f"### `{name}`"
        yield _code(f"{name} = {value}")
        if words:
            yield words


def _class(node: ast.ClassDef) -> Iterator[str]:
    bases = [ast.unparse(base) for base in node.bases]
    yield f"### class `{node.name}`" + (f" ({', '.join(bases)})" if bases and bases[0] != "Border" else "")
    if words := _docstring(node):
        yield words
    fields = list(_fields(node))
    if fields:
        yield "\n".join(fields)
    for one in node.body:
        if not isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        kinds = {ast.unparse(decorator).split("(")[0] for decorator in one.decorator_list}
        shown = not one.name.startswith("_") or one.name == "__init__"
        if not shown or kinds & {"field_validator", "model_validator", "field_serializer"}:
            continue
        if "property" in kinds:
            yield f"#### `{node.name}.{one.name}`: `{ast.unparse(one.returns) if one.returns else 'Any'}`"
        else:
            name = node.name if one.name == "__init__" else f"{node.name}.{one.name}"
            yield f"#### `{name}()`"
            yield _code(_signature(one, drop_first="staticmethod" not in kinds, name=name))
        if words := _docstring(one):
            yield words


def _fields(node: ast.ClassDef) -> Iterator[str]:
    """A line for each annotated attribute, with the words below it."""
    for at, one in enumerate(node.body):
        if not isinstance(one, ast.AnnAssign) or ast.unparse(one.target).startswith("_"):
            continue
        default = f" = `{ast.unparse(one.value)}`" if one.value is not None else ""
        after = node.body[at + 1] if at + 1 < len(node.body) else None
        kind, described = _annotated(one.annotation)
        text = " ".join(f"{described} {_words(after)}".split())
        words = f": {text}" if text else ""
        yield f"- `{ast.unparse(one.target)}`: `{kind}`{default}{words}"


_BOUNDS = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}


def _annotated(node: ast.expr) -> tuple[str, str]:
    """A field's type with its bounds, as in `int, >= 0`, and what pydantic's Field says of it."""
    if not (isinstance(node, ast.Subscript) and ast.unparse(node.value) == "Annotated"):
        if isinstance(node, ast.BinOp):
            kinds = [_annotated(one) for one in (node.left, node.right)]
            return " | ".join(kind for kind, _ in kinds), " ".join(text for _, text in kinds)
        return ast.unparse(node), ""
    assert isinstance(node.slice, ast.Tuple)
    inner, *marks = node.slice.elts
    kind, text = _annotated(inner)
    for mark in marks:
        for given in mark.keywords if isinstance(mark, ast.Call) else ():
            if given.arg == "description":
                text = f"{text} {ast.literal_eval(given.value)}"
            elif given.arg in _BOUNDS:
                kind += f", {_BOUNDS[given.arg]} {ast.unparse(given.value)}"
    return kind, text


def _words(node: ast.stmt | None) -> str:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        return inspect.cleandoc(node.value.value)
    return ""


def _assigned(tree: ast.Module, name: str) -> tuple[str, str]:
    for at, node in enumerate(tree.body):
        if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
            continue
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if any(ast.unparse(one) == name for one in targets):
            return ast.unparse(node.value), _words(tree.body[at + 1] if at + 1 < len(tree.body) else None)
    return "...", ""


def _signature(node: ast.FunctionDef | ast.AsyncFunctionDef, *, drop_first: bool, name: str = "") -> str:
    """The def line, one parameter a line where it would be long."""
    arguments = node.args
    taken = [*arguments.posonlyargs, *arguments.args]
    defaults: list[ast.expr | None] = [None] * (len(taken) - len(arguments.defaults)) + list(arguments.defaults)
    shown = [_parameter(one, default) for one, default in zip(taken, defaults, strict=True)][drop_first:]
    if arguments.vararg is not None:
        shown.append(f"*{_parameter(arguments.vararg, None)}")
    elif arguments.kwonlyargs:
        shown.append("*")
    named = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    shown += [_parameter(one, default) for one, default in named]
    if arguments.kwarg is not None:
        shown.append(f"**{_parameter(arguments.kwarg, None)}")
    start = ("async " if isinstance(node, ast.AsyncFunctionDef) else "") + (name or node.name)
    end = f" -> {ast.unparse(node.returns)}" if node.returns is not None and node.name != "__init__" else ""
    line = f"{start}({', '.join(shown)}){end}"
    return line if len(line) <= WIDTH else f"{start}(\n" + "".join(f"    {one},\n" for one in shown) + f"){end}"


def _parameter(node: ast.arg, default: ast.expr | None) -> str:
    typed = f": {ast.unparse(node.annotation)}" if node.annotation is not None else ""
    if default is None:
        return f"{node.arg}{typed}"
    return f"{node.arg}{typed} = {ast.unparse(default)}" if typed else f"{node.arg}={ast.unparse(default)}"


def _docstring(node: Any) -> str:
    return ast.get_docstring(node) or ""


def _code(text: str) -> str:
    return f"```python\n{text}\n```"


def cli() -> str:
    """docs/cli.md."""
    import typer

    from edge_ttp.cli.main import app

    parts = [
        "# The command line",
        "Written from `--help` by `make docs`. Exit codes: [errors.md](errors.md).",
    ]
    for path, words in _helps(typer.main.get_command(app), "edge-ttp", None):
        parts += [f"{'#' * min(4, 1 + len(path.split()))} {path}", f"```\n{words}\n```"]
    return "\n\n".join(parts) + "\n"


def _helps(command: Any, path: str, parent: Any) -> Iterator[tuple[str, str]]:
    """(path, help text) of a command and of all commands below it."""
    width = {"terminal_width": WIDTH, "max_content_width": WIDTH}
    context = command.make_context(path.rsplit(" ", 1)[-1], [], parent=parent, resilient_parsing=True, **width)
    yield path, "\n".join(line.rstrip() for line in command.get_help(context).splitlines())
    if hasattr(command, "list_commands"):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if not below.hidden:
                yield from _helps(below, f"{path} {name}", context)


PAGES: dict[str, Callable[[], str]] = {"api.md": api, "cli.md": cli}


def main() -> None:
    for name, page in PAGES.items():
        text = page()
        place = DOCS / name
        changed = not place.exists() or place.read_text(encoding="utf-8") != text
        if changed:
            place.write_text(text, encoding="utf-8")
        print(f"docs/{name}: {'written' if changed else 'as it was'}", file=sys.stderr)


if __name__ == "__main__":
    main()
