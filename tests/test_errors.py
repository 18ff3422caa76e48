"""The errors, and docs/errors.md, which is compared with them."""

from __future__ import annotations

import re

import pytest
from repository import DOCS

from edge_ttp import errors
from edge_ttp.errors import EdgeTTPError

DOCUMENT = DOCS / "errors.md"
KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, EdgeTTPError)]
ROW = re.compile(r"^\| (\d+) \| `(\w+)` \| `(\w+)` \| (.+) \|$", re.MULTILINE)


def test_the_document_lists_every_error_with_its_code_and_meaning_and_no_other() -> None:
    documented = {
        (int(number), code, name, meaning) for number, code, name, meaning in ROW.findall(DOCUMENT.read_text())
    }
    declared = {(kind.exit_code, kind.code, kind.__name__, kind.__doc__) for kind in KINDS if kind is not EdgeTTPError}
    assert documented == declared


def test_the_document_says_of_every_error_what_to_do_on_the_command_line_and_in_a_program() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", DOCUMENT.read_text(), re.MULTILINE)
    assert {name for name, *_ in rows} == {kind.__name__ for kind in KINDS if kind is not EdgeTTPError}
    assert all(cell.strip() for row in rows for cell in row)


def test_no_two_errors_share_an_exit_code_or_a_word() -> None:
    assert len({kind.exit_code for kind in KINDS}) == len({kind.code for kind in KINDS}) == len(KINDS)
    assert 0 not in {kind.exit_code for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_is_one_line_of_fact_and_cure(kind: type[EdgeTTPError]) -> None:
    error = kind("the file\n is   broken", "mend\tit")
    assert str(error) == "the file is broken; mend it"
    assert error.as_dict() == {
        "code": kind.code,
        "message": "the file is broken",
        "cure": "mend it",
        "exit_code": kind.exit_code,
    }
    assert str(kind("the file is broken")) == "the file is broken"
