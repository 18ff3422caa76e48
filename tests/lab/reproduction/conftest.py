"""A reproduction of a small score file, made once."""

from __future__ import annotations

import pytest

from edge_ttp.lab.reproduction.findings import Bootstrap
from edge_ttp.lab.reproduction.reproduce import Reproduction, reproduce
from tests.lab.reproduction.makers import score_file


@pytest.fixture(scope="session")
def found() -> Reproduction:
    """Of two policies, two tasks, three variants."""
    return reproduce(score_file(), splits=3, bootstrap=Bootstrap(40), advance=lambda done: None)
