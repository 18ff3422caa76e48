"""Voice on its scale: own texts are above strangers', attacks do not pass for a voice, what is frozen stays frozen."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from edge_ttp.cli.main import app
from edge_ttp.lab.bench.scored_pools import TUNE, part_of
from edge_ttp.lab.bench.voice_scale import VERIFIERS, VoiceScale, separation
from edge_ttp.reward.utility import utility
from tests.lab.bench.test_voice_score import SUBJECTS, texts

Halves = dict[str, tuple[list[str], list[str]]]


@pytest.fixture(scope="module")
def scale(halves: Halves) -> VoiceScale:
    return VoiceScale(halves, 8)


def test_users_are_told_apart_by_both_verifiers_and_larger_bags_say_more(halves: Halves) -> None:
    rows = {(row.verifier, row.bag): row for row in separation("notes", halves, (1, 8))}
    assert {name for name, _ in rows} == set(VERIFIERS)
    for name in ("n-grams", "learned"):
        assert rows[name, 8].auc > 0.9
        assert rows[name, 8].auc >= rows[name, 1].auc
        assert rows[name, 8].difference > 1
    assert separation("notes", dict(list(halves.items())[:2]), (8,)) == []


@pytest.mark.parametrize("verifier", ["n-grams", "learned"])
def test_a_strangers_texts_are_at_0_and_own_ones_above(scale: VoiceScale, verifier: str) -> None:
    strange = [one for user in scale.users for half in (0, 1) for one in scale.strangers(user, half, verifier)]
    assert np.mean(strange) == pytest.approx(0, abs=1e-9)
    assert np.std(strange, ddof=1) == pytest.approx(1)
    assert min(scale.own(user, half, verifier)[0] for user in scale.users for half in (0, 1)) > 1


@pytest.mark.parametrize("verifier", ["n-grams", "learned"])
def test_own_texts_on_other_subjects_sound_like_their_user_and_are_of_no_use(scale: VoiceScale, verifier: str) -> None:
    elsewhere = texts("loud", SUBJECTS[3], 8, 99)
    assert scale.voice(elsewhere, "loud", 0, verifier) > 1
    assert max(utility(one, "Sails, rivers, a harbour: boats.") for one in elsewhere) < 0.1


def test_a_surface_editor_alone_moves_the_surface_and_not_the_rest(scale: VoiceScale) -> None:
    """A stranger's texts in the user's casing and marks."""
    plain = texts("formal", SUBJECTS[1], 8, 99)
    edited = [text.replace(".", "!!!").replace(";", "!!!").upper() for text in plain]
    real = texts("loud", SUBJECTS[1], 8, 99)

    def voice(bag: list[str], verifier: str) -> float:
        return scale.voice(bag, "loud", 0, verifier)

    assert voice(edited, "surface") > voice(plain, "surface") + 0.3
    for part in ("function words", "rhythm"):
        assert voice(edited, part) == pytest.approx(voice(plain, part), abs=0.6)
        assert voice(real, part) > voice(edited, part)
    for verifier in ("n-grams", "learned"):
        assert voice(edited, verifier) < voice(real, verifier)


def test_a_caricature_is_less_like_people_than_the_user_is(scale: VoiceScale) -> None:
    real = texts("loud", SUBJECTS[1], 8, 99)
    caricature = ["THE!!! and the!!! wow!!! THANK YOU!!! wow, thank you!!!!!!!!! THE!!!" for _ in range(8)]
    assert scale.human(caricature) < scale.human(real)
    assert scale.human(caricature) == 0  # it may sound like the user, but nobody writes like that
    assert scale.voice(caricature, "loud", 0, "learned") < scale.voice(real, "loud", 0, "learned") + 0.3


def test_copies_of_what_was_seen_score_no_higher_than_own_new_texts(scale: VoiceScale, halves: Halves) -> None:
    """The half that answers may copy from is not the half that they are scored against."""
    for user in scale.users:
        seen, _ = halves[user]
        copied = scale.voice(seen[:8], user, 1)
        fresh = [one for half in (0, 1) for one in scale.own(user, half)]
        assert min(fresh) - 0.5 <= copied <= max(fresh) + 0.5


def made_corpus(folder: Path, halves: Halves) -> Path:
    names = iter(name for name in (f"user {number}" for number in range(100)) if part_of(name) in TUNE)
    rows = [
        {"user_id": user, "order": place, "input": "x", "output": text}
        for user, pair in zip(names, halves.values(), strict=False)
        for place, text in enumerate(text for two in zip(*pair, strict=True) for text in two)
    ]
    (folder / "notes.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return folder


def test_bench_voice_tells_users_of_a_corpus_apart(halves: Halves, tmp_path: Path) -> None:
    made_corpus(tmp_path, halves)
    run = CliRunner().invoke(app, ["bench", "voice", "--data", str(tmp_path), "--bag", "4", "--json"])
    assert run.exit_code == 0, run.output
    rows = {row["verifier"]: row for row in json.loads(run.stdout)["rows"]}
    assert set(rows) == set(VERIFIERS)
    assert (rows["n-grams"]["task"], rows["n-grams"]["bag"], rows["n-grams"]["users"]) == ("notes", 4, 4)
    assert rows["n-grams"]["auc"] > 0.8
