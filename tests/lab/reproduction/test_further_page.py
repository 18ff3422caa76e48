"""Networks of one user alone and trained encoders on the page: what fails there, and what the variance gains."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_ttp.cli.main import run
from edge_ttp.lab.reproduction.further_page import encoder_part, own_part
from edge_ttp.lab.reproduction.ladder import CROSSED, ONLINE, OWN, STOCK, TUNED, ladder, variant
from edge_ttp.lab.reproduction.score_file import Scored, ScoreFile, ScoreSet, write_scores
from edge_ttp.scaling import best_of_n
from tests.lab.reproduction.test_ladder import made

SIZES = (2, 4, 8)


def file_of(quality: dict[tuple[str, str], float], *, users: int = 10) -> ScoreFile:
    """Each rung's and arm's score goes with the utility by its quality; likelihood arms have a variance."""
    rng = np.random.default_rng(4)
    latent = rng.standard_normal((users * 6, SIZES[-1]))
    utility = np.clip(0.3 + 0.08 * latent, 0, 1)
    variants, facts = {}, {}
    for (rung, arm), rho in quality.items():
        score = 0.05 * (rho * latent + np.sqrt(1 - rho**2) * rng.standard_normal(latent.shape))
        spread = np.full_like(score, 0.02) if arm == "gaussian" else None
        name = variant(rung, arm, 0)
        variants[name] = Scored(score, best_of_n(utility, score, SIZES), spread, spread)
        facts[name] = {"rung": rung, "loss": arm, "seed": 0}
    user, query = np.repeat(np.arange(users), 6), np.arange(users * 6)
    one = ScoreSet("titles", "small", SIZES, user, query, np.full(len(query), 1), utility, variants)
    return ScoreFile((one,), facts)


OWN_QUALITY = {(rung, arm): 0.1 + 0.1 * place + 0.3 * (arm == "gaussian")
               for place, rung in enumerate(OWN) for arm in ("mse", "gaussian")}  # fmt: skip
JUDGED = {(ONLINE, STOCK): 0.6, (ONLINE, "edit"): 0.2}


def test_networks_of_one_user_are_compared_and_drawn() -> None:
    file = file_of(OWN_QUALITY | JUDGED)
    rows = ladder(file, resamples=20)
    lines, pictures = own_part(file, rows)
    text = "\n".join(lines)
    assert "10 tune users (10 of titles)" in text
    assert "6 to 6 later ones (60 in all)" in text
    assert "So few users" not in text
    assert f"{OWN[0]}, gaussian by mean" in text, "what gains is named"
    assert f"| {ONLINE} | edit |" in text
    assert "<svg" in pictures["ladder-own.svg"]
    edit = next(row for row in rows if (row.rung, row.arm) == (ONLINE, "edit"))
    assert edit.over_mse.high < 0, "compared with no judgment"


def test_few_users_are_said_to_be_few() -> None:
    file = file_of(OWN_QUALITY | JUDGED, users=5)
    assert "So few users tell little" in "\n".join(own_part(file, ladder(file, resamples=20))[0])


def test_trained_encoders_have_rows_and_only_the_variances_that_they_have() -> None:
    file = file_of({(TUNED, "mse"): 0.2, (TUNED, "gaussian"): 0.3, (CROSSED, "mse"): 0.1})
    one = file.sets[0]
    variants = {name: replace(scored, epistemic=None) for name, scored in one.variants.items()}
    rows = ladder(ScoreFile((replace(one, variants=variants),), file.made), resamples=20)
    assert {row.selection for row in rows} == {"mean", "lcb, learned", "shrink, learned"}
    text = "\n".join(encoder_part(rows))
    assert f"| {CROSSED} | mse |" in text
    assert f"- {TUNED}, squared error: collapse is **not reproduced on these data**" in text


def test_the_command_reads_every_file_and_the_page_has_all_parts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_scores(tmp_path / "ladder.npz", made(flipped=0.2))
    write_scores(tmp_path / "own.npz", file_of(OWN_QUALITY | JUDGED))
    write_scores(tmp_path / "encoder.npz", file_of({(TUNED, "mse"): 0.2, (CROSSED, "mse"): 0.1}))
    asked = ["reproduce", "--ladder", "--bootstrap", "20", "--out", str(tmp_path / "out")]
    files = [part for name in ("ladder", "own", "encoder") for part in ("--scores", str(tmp_path / f"{name}.npz"))]
    assert run([*asked, *files]) == 0
    text = (tmp_path / "out" / "failure-modes.md").read_text(encoding="utf-8")
    parts = (
        "## Ranked by mean",
        "## One user alone",
        "## With a trained encoder",
        "## Simulated users",
        "## Every seed",
    )
    places = [text.index(part) for part in parts]
    assert places == sorted(places)
    assert (tmp_path / "out" / "reproduction" / "simulated-2.svg").exists()
    assert run([*asked, "--force", "--scores", str(tmp_path / "own.npz")]) == 2
    assert "holds no ladder" in capsys.readouterr().err
