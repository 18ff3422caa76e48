"""Arguments held against their annotations."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pytest

from edge_ttp.errors import InvalidInput
from edge_ttp.system.arguments import checked_arguments

if TYPE_CHECKING:
    from decimal import Decimal

Colour = Literal["red", "blue"]
Report = Callable[[int], None]


class Thing:
    pass


@checked_arguments
class Door:
    """Takes one of each."""

    def plain(self, name: str, count: int = 1, share: float | None = None, *, sure: bool = False) -> str:
        """Says what it got."""
        return f"{name} {count} {share} {sure}"

    def several(self, names: Sequence[str], by: Mapping[str, int | None] | None = None) -> int:
        return len(names)

    def meant(self, thing: Thing | None, colour: Colour = "red", report: Report | None = None) -> str:
        return colour

    def file(self, path: Path | str) -> Path:
        return Path(path)

    def read(self, path: Path | None) -> str:
        if path is None:
            raise BrokenPipeError
        return path.read_text()

    def unknown(self, amount: Decimal) -> Any:
        return amount

    @classmethod
    def made(cls, name: str) -> Door:
        return cls()

    @staticmethod
    def apart(name: str) -> str:
        return name

    def _own(self, name: str) -> str:
        return name


def test_a_file_that_no_room_had_a_word_for_is_one_of_our_errors() -> None:
    with pytest.raises(InvalidInput, match=r"^/no/place cannot be used \(No such file or directory\); check"):
        Door().read(Path("/no/place"))
    with pytest.raises(BrokenPipeError):  # of no file: somebody's stream, which the caller knows better
        Door().read(None)


def test_what_fits_goes_through_and_the_signature_stays() -> None:
    door: Any = Door()
    assert door.plain("a", np.int64(2), 1, sure=True) == "a 2 1 True"
    assert door.several(("a", "b"), {"a": None}) == 2
    assert door.meant(None, "blue", report=print) == "blue"
    assert door.meant(Thing()) == "red"
    assert door.file("a") == door.file(Path("a"))
    assert isinstance(Door.made("a"), Door)
    assert Door.apart("a") == "a"
    assert list(inspect.signature(Door.plain).parameters) == ["self", "name", "count", "share", "sure"]
    assert Door.plain.__doc__ == "Says what it got."


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda door: door.plain(None), "name is NoneType, not str; give name as str"),
        (lambda door: door.plain("a", True), "count is bool, not int"),
        (lambda door: door.plain("a", "3"), "count='3', not int"),
        (lambda door: door.plain("a", share=1j), "share is complex, not float"),
        (lambda door: door.plain("a", sure=1), "sure is int, not bool"),
        (lambda door: door.several("ab"), r"names='ab', not Sequence\[str\]"),
        (lambda door: door.several(["a"], by=[1]), "by is list, not Mapping"),
        (lambda door: door.meant("a"), "thing='a', not Thing"),
        (lambda door: door.meant(None, "green"), "colour='green', not 'red' or 'blue'"),
        (lambda door: door.meant(None, report=5), "report is int, not Report"),
        (lambda door: door.file(5), "path is int, not Path or str"),
        (lambda door: door.file("a\0"), "is no name of a file"),
        (lambda door: door.file("\ud800"), "is no name of a file"),
        (lambda door: door.file(Path("a") / ("b" * 256)), "is no name of a file"),
        (lambda door: Door.made(b"a"), "name is bytes, not str"),
        (lambda door: Door.apart(1), "name is int, not str"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(call: Callable[[Any], Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        call(Door())


def test_what_cannot_be_told_is_the_methods_own_affair() -> None:
    door: Any = Door()
    assert door.unknown("1.5") == "1.5"
    assert door._own(5) == 5
    with pytest.raises(TypeError, match="missing 1 required"):
        door.plain()
