"""`diagnose --user`: a user's own edits as pools, and how many candidates they justify."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_ttp.calibration import POPULATION, Calibration
from edge_ttp.cli.main import run
from edge_ttp.diagnosis.judge import judge
from edge_ttp.diagnosis.own import own_pools, own_table
from edge_ttp.diagnosis.worth import DOUBLING_PAYS, SIZES, Worth, worth
from edge_ttp.errors import InvalidInput, NotFound
from edge_ttp.history import History
from edge_ttp.paths import locate
from edge_ttp.schema import Feedback, Generation
from tests.history.conftest import START, new_generation

WANTED = "the quick brown fox jumps over the lazy dog today again"


def answer(number: int, kind: str = "good", size: int = 12, reward: str = "first") -> Generation:
    """An answer whose candidates hold more and more of WANTED; scores follow (good), oppose (wrong), or are equal."""
    rng = np.random.default_rng(number)
    words = WANTED.split()
    texts = tuple(" ".join([*words[:kept], *["x"] * (11 - kept)]) for kept in rng.permutation(11)[:size])
    made = new_generation(f"g{number}", texts=texts, reward=reward, created_at=START + timedelta(hours=number))
    sign = {"good": 1.0, "wrong": -1.0, "equal": 0.0}[kind]
    truth = np.array([text.split().count("x") for text in texts])
    mean = 0.3 - sign * 0.03 * truth + abs(sign) * 0.1 * rng.standard_normal(len(texts))
    candidates = [
        one.model_copy(update={"mean": float(value)}) for one, value in zip(made.candidates, mean, strict=True)
    ]
    return made.model_copy(update={"candidates": tuple(candidates)})


def judgment(number: int, kind: str = "edit", candidate: int = 0, text: str | None = WANTED) -> Feedback:
    return Feedback.model_validate({"generation_id": f"g{number}", "user_id": "ann", "kind": kind,
                                    "candidate": candidate, "text": text if kind == "edit" else None})  # fmt: skip


def justified(kind: str, count: int) -> Worth:
    pools, _ = own_pools([answer(n, kind) for n in range(count)], [judgment(n) for n in range(count)])
    table, _ = own_table("ann", pools)
    return worth(judge(table, "ann", resamples=20, seed=0), table)


def test_an_edit_labels_every_candidate() -> None:
    one = answer(1)
    pools, judgments = own_pools([one], [judgment(1)])
    assert pools[0].texts == tuple(each.text for each in one.candidates)
    assert pools[0].score == tuple(each.mean for each in one.candidates)
    assert max(pools[0].utility) <= 1
    assert np.corrcoef(pools[0].utility, [-text.split().count("x") for text in pools[0].texts])[0, 1] > 0.99
    assert (judgments.reward, judgments.answers, judgments.judged, judgments.kinds) == ("first", 1, 1, {"edit": 1})
    table, texts = own_table("ann", pools)
    assert table.variance is not None
    assert texts[1] == one.candidates[0].text


def test_the_last_edit_counts_and_other_judgments_are_counted() -> None:
    given = [judgment(1, text="x"), judgment(1), judgment(2, "accept"), judgment(3, "reject"), judgment(9)]
    pools, judgments = own_pools([answer(n) for n in range(5)], given)
    assert len(pools) == 1
    assert max(pools[0].utility) > 0.5
    assert judgments.answers == 5
    assert judgments.judged == 3
    assert judgments.kinds == {"edit": 1, "accept": 1, "reject": 1}


def test_a_preferred_candidate_says_how_the_score_had_ranked_it() -> None:
    answers = [answer(n) for n in range(4)]
    best = [int(np.argmax([each.mean for each in one.candidates])) for one in answers]
    top = own_pools(answers, [judgment(n, "prefer", best[n]) for n in range(4)])[1]
    assert top.preferred_rank == 1
    equal = own_pools([answer(1, "equal")], [judgment(1, "prefer", 3)])[1]
    assert equal.preferred_rank == 0.5


def test_answers_of_another_reward_model_are_left_out() -> None:
    answers = [answer(1, reward="old"), answer(2), answer(3)]
    pools, judgments = own_pools(answers, [judgment(n) for n in (1, 2, 3)])
    assert [pool.query for pool in pools] == ["g2", "g3"]
    assert (judgments.reward, judgments.other) == ("first", 1)


def test_good_evidence_justifies_more_candidates_than_bad() -> None:
    good, wrong, equal, none = (
        justified("good", 20),
        justified("wrong", 20),
        justified("equal", 20),
        justified("good", 0),
    )
    assert good.record.rho > 0.6 > POPULATION.rho
    assert good.n > none.n > 1
    assert none.record == POPULATION
    assert (wrong.n, equal.n) == (1, 1)
    assert "wrong way" in wrong.reason
    assert equal.record.collapsed
    assert "hardly differ" in equal.reason
    assert list(good.gain) == list(SIZES)
    assert none.gain[none.n] - none.gain[none.n // 2] >= DOUBLING_PAYS > none.gain[2 * none.n] - none.gain[none.n]


def test_little_evidence_stays_near_the_population() -> None:
    one, many = justified("good", 1).record, justified("good", 30).record
    assert POPULATION.rho < one.rho < many.rho
    assert many.rho_sd < one.rho_sd < POPULATION.rho_sd
    assert isinstance(one, Calibration)


@pytest.fixture
def lived_in(home: Path) -> History:
    with History.open(locate(home).database) as history:
        for number in range(12):
            history.record(answer(number))
        for number in range(11):
            history.add_feedback(judgment(number))
        history.add_feedback(judgment(11, "prefer", 2))
        return history


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert run(["diagnose", "--bootstrap", "20", "--json", *arguments]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_the_command_judges_the_users_own_answers(
    lived_in: History, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = told(capsys, "--user", "ann", "--html", str(tmp_path / "own.html"))
    assert found["net"]["value"] > 0.5
    assert found["users"][0]["status"] == "works"
    assert found["own"]["n"] > 1
    assert found["own"]["kinds"] == {"edit": 11, "prefer": 1}
    assert found["own"]["record"]["queries"] == 11
    assert [one["n"] for one in found["own"]["gain"]] == list(SIZES)
    assert f"N = {found['own']['n']} is justified" in found["verdict"]
    assert "12 answers are stored" in " ".join(found["limits"])
    assert "own answers" in (tmp_path / "own.html").read_text()
    assert run(["diagnose", "--user", "ann", "--bootstrap", "20"]) == 0
    assert "is justified" in capsys.readouterr().out


def test_a_user_without_answers_gets_the_populations_record(
    lived_in: History, capsys: pytest.CaptureFixture[str]
) -> None:
    found = told(capsys, "--user", "bob")
    assert found["own"]["record"]["queries"] == 0
    assert found["own"]["n"] > 1
    assert found["c"]["value"] is None
    assert "nothing is known of this user" in " ".join(found["limits"])
    assert run(["diagnose", "--user", "bob"]) == 0


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([], InvalidInput.exit_code),
        (["pools.jsonl", "--user", "ann"], InvalidInput.exit_code),
        (["--user", "ann", "--model", "x"], InvalidInput.exit_code),
        (["--user", " "], InvalidInput.exit_code),
        (["--user", "ann"], NotFound.exit_code),
    ],
)
def test_arguments_that_cannot_be_meant_are_refused(
    arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["diagnose", *arguments]) == code
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
