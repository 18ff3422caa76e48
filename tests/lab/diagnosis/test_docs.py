"""docs/diagnosis.md and docs/scaling.md say what is true: keys, options, limits, and a program that runs."""

from __future__ import annotations

import re

import numpy as np
import pytest
import typer
from repository import DOCS

from edge_ttp.cli.diagnose import app
from edge_ttp.lab.diagnosis.json_report import as_object
from edge_ttp.scaling.collapse import COLLAPSED_BELOW, ENOUGH_QUERIES
from edge_ttp.scaling.deconvolution import EM_STEPS, GRID_POINTS
from edge_ttp.scaling.gauge import ENOUGH_POOLS, SMALLEST_POOL
from edge_ttp.scaling.quantities import ENOUGH_HACKED, ENOUGH_USERS
from tests.lab.diagnosis.conftest import Judged

pytestmark = pytest.mark.slow

PAGE = (DOCS / "diagnosis.md").read_text(encoding="utf-8")
LAW = (DOCS / "scaling.md").read_text(encoding="utf-8")


def test_every_key_of_the_object_is_documented(models: dict[str, Judged]) -> None:
    table, found = models["flipped"]
    keys = as_object(found, table, {}, verdict=[], limits=[])
    form = PAGE[PAGE.index("## The JSON object") :]
    missing = [key for key in keys if f"`{key}`" not in form and f'"{key}"' not in form]
    missing += [f"{key}[]" for key in ("curve", "users", "queries") for name in keys[key][0] if name not in form]
    assert missing == []


def test_every_option_is_documented() -> None:
    command = typer.main.get_command(app)
    options = {name for one in command.params for name in one.opts if name.startswith("--")}
    assert options - {"--seed"} <= set(re.findall(r"--[a-z-]+", PAGE + LAW))


def test_limits_are_those_of_the_code() -> None:
    for words in (
        f"fewer than {ENOUGH_USERS} users",
        f"pools of fewer than {SMALLEST_POOL} candidates",
        f"fewer than {ENOUGH_POOLS} informative queries",
        f"fewer than {ENOUGH_HACKED} hacked queries expected",
        f"fewer than {ENOUGH_QUERIES} informative queries",
        f"{GRID_POINTS} grid points, {EM_STEPS} steps of EM",
    ):
        assert words in PAGE + LAW, words
    assert round(1 / COLLAPSED_BELOW) == 10  # "a tenth of the typical one"


def test_the_program_runs() -> None:
    program = LAW[LAW.index("```python\n") + 10 :]
    rng = np.random.default_rng(0)
    quality = rng.standard_normal((200, 16))
    score = quality + rng.standard_normal(quality.shape)
    names = {"utility": quality, "score": score, "user": np.repeat(np.arange(20), 10)}
    exec(program[: program.index("```")], names)
    assert names["found"].law.rho_plus == pytest.approx(0.7, abs=0.05)  # type: ignore[attr-defined]
