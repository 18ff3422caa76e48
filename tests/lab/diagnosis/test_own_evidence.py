"""`diagnose --user`: a user's own texts and edits as pools, and how many candidates they justify."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from repository import SHIPPED_REWARD

from edge_ttp.cli.main import run
from edge_ttp.errors import InvalidInput, NotFound
from edge_ttp.history import History
from edge_ttp.history.learned_rows import Layer
from edge_ttp.history.learning import Sourced
from edge_ttp.lab.diagnosis.evidence_worth import DOUBLING_PAYS, LEAST_QUERIES, SIZES, worth
from edge_ttp.lab.diagnosis.judge import judge
from edge_ttp.lab.diagnosis.own_evidence import Judgments, Own, judgments, own, own_table
from edge_ttp.lab.diagnosis.verdict import own_verdict
from edge_ttp.learning.calibration import POPULATION, Calibration
from edge_ttp.learning.evidence import judged as evidence_of
from edge_ttp.learning.evidence import written
from edge_ttp.paths import locate
from edge_ttp.reward.model import RewardModel
from edge_ttp.reward.posterior import Weights
from edge_ttp.schema import Candidate, Feedback, Generation, HistoryItem
from tests.history.conftest import START, new_generation

pytestmark = pytest.mark.slow

WANTED = "the quick brown fox jumps over the lazy dog today again"
STOCK = Weights(np.array([0.05, 0.0, 0.0]), 1e-4 * np.eye(3))
SIZE = 11


def texts_of(number: int) -> tuple[str, ...]:
    """Candidates that hold more and more of WANTED, in an order of their own."""
    words = WANTED.split()
    return tuple(
        " ".join([*words[:kept], *["x"] * (SIZE - kept)]) for kept in np.random.default_rng(number).permutation(SIZE)
    )


def layer_of(number: int, kind: str = "good", weights: Weights = STOCK, reward: str = "r") -> Layer:
    """Features whose stock scores follow the utility (good), have nothing to do with it (noise), or are equal."""
    rng = np.random.default_rng(number)
    truth = -np.array([text.split().count("x") for text in texts_of(number)], dtype=np.float64)
    signal, noise = {"good": (1.0, 0.8), "noise": (0.0, 1.0), "equal": (0.0, 0.0)}[kind]
    wanted = signal * (truth - truth.mean()) / truth.std() + noise * rng.standard_normal(SIZE)
    direction = weights.mean / float(weights.mean @ weights.mean)
    features = 0.05 * np.outer(wanted, direction)
    return Layer(reward, features - features.mean(axis=0), np.full(SIZE, 0.05**2))


def edit(number: int, kind: str = "edit", candidate: int = 0) -> Feedback:
    return Feedback.model_validate({"generation_id": f"g{number}", "user_id": "ann", "kind": kind, "id": number,
                                    "candidate": candidate, "text": WANTED if kind == "edit" else None})  # fmt: skip


def found(kind: str, count: int) -> Own:
    return own(
        [
            Sourced(evidence_of(edit(n), layer_of(n, kind), texts_of(n)), f"g{n}", texts_of(n))
            for n in range(count)
        ],
        STOCK,
    )  # fmt: skip


def answer(number: int, **fields: Any) -> Generation:
    """A scored answer; `new_generation` gives rising means."""
    return new_generation(
        f"g{number}", texts=texts_of(number), created_at=START + timedelta(hours=number), **fields
    )  # fmt: skip


def test_an_edit_labels_every_candidate() -> None:
    one = found("good", 1)
    (pool,) = one.pools
    assert (pool.query, pool.texts) == ("g0", texts_of(0))
    assert np.corrcoef(pool.utility, [-text.split().count("x") for text in pool.texts])[0, 1] > 0.99
    np.testing.assert_allclose(pool.score, layer_of(0).features @ STOCK.mean)
    assert (pool.variance >= 0.05**2).all()
    table, texts = own_table("ann", one.pools)
    assert table.variance is not None
    assert texts[1] == texts_of(0)[0]


def test_judgments_without_a_text_are_no_pools() -> None:
    rows = [Sourced(evidence_of(edit(1, kind, 2), layer_of(1), texts_of(1)), "g1", texts_of(1))
            for kind in ("accept", "reject", "prefer")]  # fmt: skip
    assert own(rows, STOCK).pools == []


def test_evidence_of_another_shape_is_left_out() -> None:
    other = Layer("r", np.zeros((SIZE, 7)), np.ones(SIZE))
    assert own([Sourced(evidence_of(edit(1), other, texts_of(1)), "g1", texts_of(1))], STOCK) == Own([], POPULATION, 0)


def test_judgments_are_counted_and_a_preferred_candidate_has_its_rank() -> None:
    given = [edit(1), edit(1), edit(2, "accept"), edit(3, "prefer", SIZE - 1), edit(4, "prefer", 0), edit(99)]
    counted = judgments([answer(n) for n in range(6)], given)
    assert (counted.answers, counted.judged) == (6, 4)
    assert counted.kinds == {"prefer": 2, "edit": 1, "accept": 1}
    assert counted.preferred_rank == 0.5
    assert judgments([answer(1)], [edit(1, "prefer", SIZE - 1)]).preferred_rank == 1
    assert np.isnan(judgments([answer(1)], [edit(1)]).preferred_rank)


def test_good_evidence_justifies_more_candidates_than_bad() -> None:
    good, equal = worth(found("good", 20).record), worth(found("equal", 20).record)
    noise, none = worth(found("noise", 60).record), worth(found("good", 0).record)
    doubtful = worth(Calibration(rho=0.02, rho_sd=0.05, spread=0.1, queries=90))
    assert good.record.rho > 0.6 > POPULATION.rho
    assert good.n > none.n > 1
    assert none.record == POPULATION
    assert "population" in none.reason
    assert noise.record.rho < 0.2
    assert (doubtful.n, equal.n) == (1, 1)
    assert "wrong way" in doubtful.reason
    assert "hardly differ" in equal.reason
    assert list(good.gain) == list(SIZES)
    assert none.gain[none.n] - none.gain[none.n // 2] >= DOUBLING_PAYS > none.gain[2 * none.n] - none.gain[none.n]


def test_little_evidence_stays_near_the_population() -> None:
    one, many = found("good", 1).record, found("good", 30).record
    assert POPULATION.rho < one.rho < many.rho
    assert many.rho_sd < one.rho_sd < POPULATION.rho_sd
    assert isinstance(one, Calibration)


def test_the_pools_are_judged_like_any_others() -> None:
    table, _ = own_table("ann", found("good", 40).pools)
    told = judge(table, "ann", resamples=20, seed=0)
    assert told.users[0].status == "works"
    assert told.quantities is not None
    assert told.quantities.net.value > 0.6
    assert told.informative == 40


@pytest.fixture
def lived_in(home: Path) -> None:
    """Ten edited answers, two past items answered anew, one preference."""
    model = RewardModel.load(SHIPPED_REWARD, threads=1)
    layers = [layer_of(number, "good", model.stock, model.fingerprint) for number in range(13)]
    with History.open(locate(home).database) as history:
        for number in range(11):
            history.record(answer(number), layer=layers[number])
            given = edit(number) if number < 10 else edit(number, "prefer", 2)
            history.add_feedback(given, evidence_of(given, layers[number], texts_of(number)))
        for number in (11, 12):
            item = history.add(HistoryItem(user_id="ann", input=f"i{number}", output=WANTED))
            drawn = [Candidate(text=text, tokens=3, logprob=-3.0) for text in texts_of(number)]
            assert history.calibrate(item, "tiny", drawn, written(item, layers[number], texts_of(number)))


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert run(["diagnose", "--bootstrap", "20", "--json", "--model", str(SHIPPED_REWARD), *arguments]) == 0
    said: dict[str, Any] = json.loads(capsys.readouterr().out)
    return said


@pytest.mark.usefixtures("lived_in")
def test_the_command_judges_the_users_own_evidence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = told(capsys, "--user", "ann", "--html", str(tmp_path / "own.html"))
    assert said["net"]["value"] > 0.5
    assert said["counts"]["queries"] == 12
    assert said["users"][0]["status"] == "works"
    assert said["own"]["n"] > 1
    assert said["own"]["kinds"] == {"edit": 10, "prefer": 1}
    assert said["own"]["record"]["queries"] == 12
    assert [one["n"] for one in said["own"]["gain"]] == list(SIZES)
    assert f"N = {said['own']['n']} is justified" in said["verdict"]
    assert "11 answers are stored" in " ".join(said["limits"])
    assert "own evidence" in (tmp_path / "own.html").read_text()
    assert run(["diagnose", "--user", "ann", "--model", str(SHIPPED_REWARD), "--bootstrap", "20"]) == 0
    assert "is justified" in capsys.readouterr().out


@pytest.mark.usefixtures("lived_in")
def test_a_user_without_evidence_gets_the_populations_record(capsys: pytest.CaptureFixture[str]) -> None:
    said = told(capsys, "--user", "bob")
    assert said["own"]["record"]["queries"] == 0
    assert "justifies is unknown yet: none of their queries tell candidates apart, 8 are needed" in said["verdict"]
    assert said["own"]["n"] > 1
    assert said["c"]["value"] is None
    assert "nothing is known beyond the population" in " ".join(said["limits"])


def test_evidence_comes_with_the_texts_of_its_candidates(home: Path, lived_in: None) -> None:
    model = RewardModel.load(SHIPPED_REWARD, threads=1)
    with History.open(locate(home).database) as history:
        rows = history.sourced_evidence("ann", model.fingerprint, 100)
        _, plain = history.evidence("ann", model.fingerprint, 100)
    assert len(rows) == 13
    for row, one in zip(rows, plain, strict=True):
        assert (row.evidence.kind, row.evidence.moment) == (one.kind, one.moment)
        np.testing.assert_array_equal(row.evidence.layer.features, one.layer.features)
    by_name = {row.name: row.texts for row in rows}
    assert by_name["g3"] == texts_of(3)
    assert sum(name.startswith("item ") for name in by_name) == 2
    assert {texts_of(11), texts_of(12)} <= set(by_name.values())


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([], InvalidInput.exit_code),
        (["pools.jsonl", "--user", "ann"], InvalidInput.exit_code),
        (["--user", "ann", "--history", "x"], InvalidInput.exit_code),
        (["--user", " "], InvalidInput.exit_code),
        (["--user", "ann"], NotFound.exit_code),
    ],
)
def test_arguments_that_cannot_be_meant_are_refused(
    arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["diagnose", *arguments]) == code
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


@pytest.mark.parametrize("queries", [1, LEAST_QUERIES - 1])
def test_a_handful_of_queries_justify_nothing(queries: int) -> None:
    record = Calibration(rho=0.4, rho_sd=0.1, spread=0.07, queries=queries)
    found = judge(own_table("ann", [])[0], "none", resamples=20, seed=0)
    (said, *_) = own_verdict(found, Judgments(0, 0, {}, float("nan")), worth(record))
    assert said.startswith(f"How many candidates this user justifies is unknown yet: {queries} of their queries")
    assert "by 1 queries" not in said
    assert "the population's record" in said
