"""Voice on its scale: own texts are above strangers', attacks do not pass for a voice, what is frozen stays frozen."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from edge_ttp.cli.main import app
from edge_ttp.errors import InvalidInput
from edge_ttp.lab.bench import voice_page
from edge_ttp.lab.bench.scored_pools import TUNE, part_of
from edge_ttp.lab.bench.voice_learned import WEIGHTS, StyleMap, fit, shipped, style_numbers
from edge_ttp.lab.bench.voice_scale import VERIFIERS, VoiceScale, separation
from edge_ttp.reward.utility import utility
from tests.lab.bench.test_voice_score import STYLES, SUBJECTS, texts

FROZEN = "10b73f7abc592b5debfd6e7ae6df693addcfd91ecf815ea95fc68652223435a6"
"""SHA-256 of the learned verifier, frozen before anything was trained for voice: a new one is a new yardstick."""

Halves = dict[str, tuple[list[str], list[str]]]


@pytest.fixture(scope="module")
def halves() -> Halves:
    found = {}
    for place, (style, subject) in enumerate(zip(STYLES, SUBJECTS, strict=True)):
        written = texts(style, subject, 48, place)
        found[style] = (written[0::2], written[1::2])
    return found


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


def test_the_learned_verifier_is_frozen() -> None:
    assert hashlib.sha256(WEIGHTS.read_bytes()).hexdigest() == FROZEN
    assert shipped().map.shape == (len(shipped().scale), 48)


def test_a_style_map_is_learned_in_closed_form_and_kept(tmp_path: Path) -> None:
    corpus = {
        f"task {task}": {
            f"user {user}": texts(list(STYLES)[user % 4], SUBJECTS[(user + task) % 4], 16, 100 * task + user)
            for user in range(28)
        }
        for task in range(2)
    }
    found, again = fit(corpus), fit(corpus)
    assert (found.map == again.map).all()
    found.save(tmp_path / "map.npz")
    kept = StyleMap.load(tmp_path / "map.npz")
    bag = texts("loud", SUBJECTS[0], 4, 7)
    centre = style_numbers(texts("plain", SUBJECTS[1], 4, 8), found.words)
    assert kept.vector(bag, centre) == pytest.approx(found.vector(bag, centre), rel=1e-3, abs=1e-4)
    with pytest.raises(InvalidInput, match="too few"):
        fit({"task": {"user": texts("loud", SUBJECTS[0], 16, 7)}})
    (tmp_path / "bad.npz").write_bytes(b"PK")
    with pytest.raises(InvalidInput, match="no style map"):
        StyleMap.load(tmp_path / "bad.npz")


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


def test_a_blind_page_does_not_say_whose_texts_are_whose(halves: Halves, tmp_path: Path) -> None:
    folder, page = made_corpus(tmp_path, halves), tmp_path / "page.html"
    asked = ["bench", "voice", "--data", str(folder), "--task", "notes", "--page", str(page)]
    assert CliRunner().invoke(app, asked).exit_code == 0
    text = page.read_text(encoding="utf-8")
    assert "stranger" not in text
    assert "user 1" not in text
    assert "http" not in text.replace("http-equiv", "")
    assert CliRunner().invoke(app, asked).exit_code != 0  # it would be lost
    key = voice_page.read_key(page)
    assert set(key.values()) == {"own", "stranger"}
    verdicts = {name: "yes" if origin == "own" else "no" for name, origin in list(key.items())[:-1]}
    (tmp_path / "verdicts.json").write_text(json.dumps(verdicts), encoding="utf-8")
    told = ["bench", "voice", "--page", str(page), "--verdicts", str(tmp_path / "verdicts.json"), "--json"]
    run = CliRunner().invoke(app, told)
    assert run.exit_code == 0, run.output
    taken = {row["origin"]: row["taken"] for row in json.loads(run.stdout)["rows"]}
    assert taken == {"own": 1.0, "stranger": 0.0}
    (tmp_path / "verdicts.json").write_text('{"1.0": "maybe"}', encoding="utf-8")
    assert CliRunner().invoke(app, told).exit_code != 0
