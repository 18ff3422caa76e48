"""What the source says of itself: modules, their imports, their classes. Reads files, runs nothing."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path


@dataclass(frozen=True)
class Module:
    """One file of a package."""

    name: str
    """Dotted, without `__init__`."""
    path: Path

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.path.read_text(encoding="utf-8"))

    @property
    def lines(self) -> int:
        return len(self.path.read_text(encoding="utf-8").splitlines())

    @property
    def is_package(self) -> bool:
        return self.path.name == "__init__.py"


def modules(folder: Path) -> dict[str, Module]:
    """The modules of the package in `folder`, by name."""
    found = {}
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = Module(name, path)
    return found


def imported(module: Module, known: Mapping[str, Module], *, inner: bool = True) -> Iterator[tuple[str, str]]:
    """What `module` imports: (module, name), with name "" where it takes the module itself.

    A name that is a module of `known` counts as that module. `inner`: also imports inside functions.
    """
    for node in ast.walk(module.tree) if inner else _at_import(module.tree.body):
        if isinstance(node, ast.Import):
            yield from ((one.name, "") for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(module, node)
            for one in node.names:
                whole = f"{base}.{one.name}"
                yield (whole, "") if whole in known else (base, one.name)


def _at_import(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that run when a module is imported, those for type checkers apart."""
    for node in body:
        yield node
        if isinstance(node, ast.If) and "TYPE_CHECKING" not in ast.unparse(node.test):
            yield from _at_import([*node.body, *node.orelse])
        elif isinstance(node, ast.Try):
            yield from _at_import([*node.body, *node.orelse, *node.finalbody])


def _absolute(module: Module, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    parts = module.name.split(".")
    package = parts[: len(parts) - node.level + module.is_package]
    return ".".join([*package, *([node.module] if node.module else [])])


def graph(known: Mapping[str, Module]) -> dict[str, set[str]]:
    """Module -> the other modules of `known` that it imports, anywhere in it.

    The root's version is nobody's import: it is a constant that stands above the lazy names.
    """
    root = min(known, key=len)
    return {
        name: {
            target
            for target, taken in imported(module, known)
            if target in known and target != name and (target, taken) != (root, "__version__")
        }
        for name, module in known.items()
    }


def cycles(arrows: Mapping[str, set[str]]) -> list[list[str]]:
    """Groups of two and more that import one another, around however many corners."""
    reach: dict[str, set[str]] = {}
    for start in arrows:
        seen: set[str] = set()
        waiting = list(arrows[start])
        while waiting:
            one = waiting.pop()
            if one not in seen:
                seen.add(one)
                waiting += arrows.get(one, ())
        reach[start] = seen
    groups = {
        tuple(sorted({start, *(one for one in reach[start] if start in reach.get(one, ()))}))
        for start in arrows
        if start in reach[start]
    }
    return [list(group) for group in sorted(groups)]


def classes(known: Mapping[str, Module]) -> dict[str, list[str]]:
    """Class name -> the modules that define one of this name."""
    found: dict[str, list[str]] = {}
    for name, module in known.items():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ClassDef):
                found.setdefault(node.name, []).append(name)
    return found


def stems(names: Iterable[str], *, but: Iterable[str] = ()) -> dict[str, list[str]]:
    """File stem -> the modules of this stem, those below the packages `but` apart."""
    found: dict[str, list[str]] = {}
    for name in names:
        if not any(name.startswith(f"{one}.") for one in but):
            found.setdefault(name.rsplit(".", 1)[-1], []).append(name)
    return found


def twice(found: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """The entries with several modules."""
    return {name: places for name, places in found.items() if len(places) > 1}
