from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from edge_ttp.cli.main import app
from edge_ttp.lab.bench.scored_pools import TUNE, part_of
from edge_ttp.lab.bench.voice_score import Verifier, masked, separation, shared_words

SUBJECTS = (
    "boats rivers harbour sails",
    "bread ovens butter flour",
    "trains tickets stations rails",
    "roses bees hedges soil",
)
STYLES = {
    "plain": lambda words: f"I think the {words[0]} and the {words[1]} are fine. Thank you.",
    "loud": lambda words: f"THE {words[0].upper()} and the {words[1]}!!! wow, thank you!!!",
    "small": lambda words: f"the {words[0]} & the {words[1]}... thx :)",
    "formal": lambda words: f"Dear all, the {words[0]}, as well as the {words[1]}, will do; kind regards, Jo",
}


def texts(style: str, subject: str, count: int, seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    return [STYLES[style](list(rng.permutation(subject.split()))) for _ in range(count)]


@pytest.fixture
def corpus() -> dict[str, list[str]]:
    return {
        style: texts(style, subject, 24, place)
        for place, (style, subject) in enumerate(zip(STYLES, SUBJECTS, strict=True))
    }


def test_content_becomes_shapes_and_everything_else_stays(corpus: dict[str, list[str]]) -> None:
    kept = shared_words(corpus)
    assert {"the", "and"} <= kept
    assert "boats" not in kept
    assert masked("The Boats, in 2026!!! thx :)", kept) == "The Xxxxx, xx 999!!! xxx :)"


def test_users_are_told_apart_and_larger_bags_say_more(corpus: dict[str, list[str]]) -> None:
    one, many = separation("notes", corpus, (1, 8))
    assert one.auc > 0.8
    assert many.auc >= one.auc
    assert many.difference > 1
    assert separation("notes", dict(list(corpus.items())[:2]), (8,)) == []


def test_own_texts_on_other_subjects_still_sound_like_their_user(corpus: dict[str, list[str]]) -> None:
    verifier = Verifier(corpus)
    others = [user for user in verifier.users if user != "loud"]
    elsewhere = texts("loud", SUBJECTS[3], 8, 99)
    assert verifier.score(elsewhere, "loud", others) > 0.9


def test_a_strangers_text_on_the_users_subject_does_not_sound_like_the_user(corpus: dict[str, list[str]]) -> None:
    verifier = Verifier(corpus)
    subject = dict(zip(STYLES, SUBJECTS, strict=True))["loud"]
    stranger = texts("formal", subject, 8, 99)
    assert verifier.score(stranger, "loud", [user for user in verifier.users if user != "loud"]) < 0.8
    assert verifier.score(stranger, "formal", [user for user in verifier.users if user != "formal"]) > 0.9


def test_a_surface_editor_alone_moves_the_score_less_than_the_voice(corpus: dict[str, list[str]]) -> None:
    verifier = Verifier(corpus)
    others = [user for user in verifier.users if user != "loud"]
    edited = [text.replace(".", "!!!").replace(";", "!!!") for text in texts("formal", SUBJECTS[1], 8, 99)]
    real = verifier.score(texts("loud", SUBJECTS[1], 8, 99), "loud", others)
    assert verifier.score(edited, "loud", others) < real


def test_bench_voice_tells_users_of_a_corpus_apart(corpus: dict[str, list[str]], tmp_path: Path) -> None:
    names = iter(name for name in (f"user {number}" for number in range(100)) if part_of(name) in TUNE)
    rows = [
        {"user_id": user, "order": place, "input": "x", "output": text}
        for user, written in zip(names, corpus.values(), strict=False)
        for place, text in enumerate(written)
    ]
    (tmp_path / "notes.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    run = CliRunner().invoke(app, ["bench", "voice", "--data", str(tmp_path), "--bag", "4", "--json"])
    assert run.exit_code == 0, run.output
    (row,) = json.loads(run.stdout)["rows"]
    assert (row["task"], row["bag"], row["users"]) == ("notes", 4, 4)
    assert row["auc"] > 0.8
