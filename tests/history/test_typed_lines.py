from __future__ import annotations

from pathlib import Path

import pytest

from edge_ttp.errors import NotFound
from edge_ttp.history import History
from edge_ttp.history.typed_lines import MAX_BYTES, prepare_typed, typed_file

from .conftest import new_item


def test_typed_lines_are_private_and_each_users_own(history: History, path: Path) -> None:
    ann, bob = history.typed_lines("ann"), history.typed_lines("bob")
    assert ann is not None
    assert ann != bob
    assert ann.stat().st_mode & 0o777 == 0o600
    assert ann.parent.stat().st_mode & 0o777 == 0o700
    assert "ann" not in ann.name


@pytest.mark.parametrize("what", ["item", "everything"])
def test_whatever_is_forgotten_typed_lines_are_forgotten_with_it(history: History, path: Path, what: str) -> None:
    item = history.add(new_item("text"))
    for user in ("ann", "bob"):
        prepare_typed(typed_file(path, user)).write_text("a secret\n")
    if what == "item":
        history.forget("ann", item_id=item.id)
    else:
        history.forget("ann", everything=True)
    assert not typed_file(path, "ann").exists()
    assert typed_file(path, "bob").exists()


def test_lines_of_a_user_without_a_history_are_forgotten_too(history: History, path: Path) -> None:
    prepare_typed(typed_file(path, "ann")).write_text("a secret\n")
    with pytest.raises(NotFound):
        history.forget("ann", everything=True)
    assert not typed_file(path, "ann").exists()


def test_a_long_file_keeps_its_last_whole_entries(tmp_path: Path) -> None:
    file = tmp_path / "typed" / "x"
    prepare_typed(file).write_text("".join(f"\n# 2026-01-01\n+line {n} {'x' * 100}\n" for n in range(10_000)))
    prepare_typed(file)
    text = file.read_text()
    assert len(text) < MAX_BYTES
    assert text.startswith("# 2026-01-01\n+line ")
    assert text.endswith(f"+line 9999 {'x' * 100}\n")
