"""The walls of the house, read from the imports: they cannot fall unseen."""

from __future__ import annotations

from functools import cache

import pytest
from house import mirror, plan
from house.source import Module, classes, cycles, graph, imported, modules, stems, twice
from repository import ROOT

RUNTIME = modules(ROOT / "edge_ttp")
EXPORT = modules(ROOT / "export" / "edge_ttp_export")
ORDER = (*plan.MAY_IMPORT, *plan.ABOVE)


def room_of(name: str) -> str:
    """The room of a module of edge_ttp: the longest entry of the plan that its name begins with."""
    inside = name.removeprefix("edge_ttp.")
    fitting = [room for room in ORDER if inside == room or inside.startswith(f"{room}.")]
    return max(fitting, key=len, default=inside)


@cache
def taken(name: str) -> tuple[tuple[str, str], ...]:
    """What a module imports: (module, name)."""
    known = {**RUNTIME, **EXPORT}
    return tuple(imported(known[name], known))


@cache
def arrows() -> dict[str, set[str]]:
    """Module of edge_ttp -> the others that it imports."""
    return graph(RUNTIME)


def arrows_between_rooms() -> set[tuple[str, str, str]]:
    """(module, imported module, the room of that), wherever a module imports one of another room."""
    return {
        (name, target, room_of(target))
        for name, targets in arrows().items()
        for target in targets
        if room_of(target) != room_of(name) and name != "edge_ttp"
    }


def test_every_module_has_its_room() -> None:
    assert {room_of(name) for name in RUNTIME} - {"edge_ttp"} <= set(ORDER)


def test_a_room_may_only_import_lower_ones() -> None:
    for at, (room, allowed) in enumerate(plan.MAY_IMPORT.items()):
        assert set(allowed) <= {*ORDER[:at], room.split(".")[0]}, room


def test_no_room_imports_what_the_plan_does_not_allow() -> None:
    broken = [
        f"{name} imports {target}"
        for name, target, there in sorted(arrows_between_rooms())
        if there not in plan.MAY_IMPORT.get(room_of(name), ORDER[: ORDER.index(room_of(name))])
    ]
    assert broken == []


def test_no_modules_import_one_another() -> None:
    assert cycles(arrows()) == []
    assert cycles(graph(EXPORT)) == []


def test_only_one_room_touches_each_library() -> None:
    for library, room in plan.ONLY_IN.items():
        users = [name for name in RUNTIME if any(target.split(".")[0] == library for target, _ in taken(name))]
        assert [name for name in users if name != room and not name.startswith(f"{room}.")] == []


def test_sessions_and_sql_stay_in_their_rooms() -> None:
    for word, room in (("InferenceSession", "edge_ttp.reward.session"), (".execute(", "edge_ttp.history")):
        users = [name for name, module in RUNTIME.items() if word in module.path.read_text(encoding="utf-8")]
        assert [name for name in users if name != room and not name.startswith(f"{room}.")] == []


def test_what_needs_torch_stays_outside() -> None:
    for name in RUNTIME:
        found = {target.split(".")[0] for target, _ in taken(name)}
        assert found & set(plan.NEVER) == set(), name


@pytest.mark.parametrize("package", [RUNTIME, EXPORT], ids=["edge_ttp", "edge_ttp_export"])
def test_private_names_stay_in_their_module(package: dict[str, Module]) -> None:
    known = {**RUNTIME, **EXPORT}
    private = [
        f"{name} takes {inner} from {target}"
        for name in package
        for target, inner in taken(name)
        if target in known and inner.startswith("_") and not inner.startswith("__")
    ]
    assert private == []


def test_no_two_modules_have_one_stem() -> None:
    mirrors = [f"edge_ttp.{room}" for room in plan.MIRRORS]
    files = [name for name, module in {**RUNTIME, **EXPORT}.items() if not module.is_package]
    found = {f"stem {stem} twice" for stem in twice(stems(files, but=mirrors))}
    assert sorted(found) == []
    for room in mirrors:
        assert twice(stems(name for name in files if name.startswith(f"{room}."))) == {}


def test_no_two_classes_have_one_name() -> None:
    found = {f"class {name} twice" for name in twice(classes({**RUNTIME, **EXPORT}))}
    assert sorted(found) == []


def test_a_module_is_one_reading() -> None:
    found = {f"long {name}" for name, module in {**RUNTIME, **EXPORT}.items() if module.lines > plan.LONGEST}
    assert sorted(found) == []


def test_every_module_has_its_tests_at_the_mirrored_place() -> None:
    """edge_ttp/policy/formats/derive.py -> tests/policy/formats/test_derive.py; packages' own files apart."""
    without = set()
    for name, module in RUNTIME.items():
        *rooms, stem = name.split(".")[1:] or [""]
        if not module.is_package and not ROOT.joinpath("tests", *rooms, f"test_{stem}.py").is_file():
            without.add(".".join((*rooms, stem)))
    whole_rooms = tuple(f"{room}." for room in mirror.ROOMS_ELSEWHERE)
    assert sorted(name for name in without - mirror.excused() if not name.startswith(whole_rooms)) == []


def test_a_test_file_is_one_reading() -> None:
    files = ROOT.joinpath("tests").rglob("test_*.py")
    lengths = {str(file.relative_to(ROOT)): len(file.read_text(encoding="utf-8").splitlines()) for file in files}
    assert [file for file, lines in sorted(lengths.items()) if lines > plan.LONGEST] == []
