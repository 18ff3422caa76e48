"""`edge-ttp generate` with both real models: the default rule, scores, stored vectors, reward files that are broken."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from fakes.command import edge_ttp, one_object
from fakes.real import spare_measuring

from edge_ttp.answer.select import DEFAULT_KAPPA, NEEDS_REWARD
from edge_ttp.cli.main import run
from edge_ttp.history import History
from edge_ttp.paths import locate
from edge_ttp.registry import DEFAULT_REWARD, write_manifest
from edge_ttp.registry.catalog import shipped_folder
from edge_ttp.runtime import Runtime
from edge_ttp.schema import HistoryItem, Sampling

pytestmark = pytest.mark.real

SHORT = Sampling(max_tokens=8)
FILES = ("reward.json", "encoder.onnx", "salience.onnx", "heads.onnx", "tokenizer.json")
ASK = ("generate", "Invite Eve to lunch", "--user", "ann", "--n", "4", "--max-tokens", "8", "--seed", "7")


@pytest.fixture
def own_home(models_home: Path) -> Path:
    """A home with the real policy and a history of ann's."""
    spare_measuring(models_home)
    with History.open(locate(models_home).database) as history:
        for name in ("Tom", "Ida", "Per"):
            history.add(
                HistoryItem(user_id="ann", input=f"Invite {name} to lunch", output=f"lunch, {name.lower()}? - a")
            )
    return models_home


def test_by_default_the_candidate_of_the_highest_lower_bound_is_chosen(own_home: Path) -> None:
    done = edge_ttp(*ASK, "--json")
    assert done.returncode == 0, done.stderr
    found = one_object(done.stdout)
    assert (found["reward"], found["selection"]["rule"]) == (DEFAULT_REWARD, "lcb")
    for one in found["candidates"]:
        assert 0 <= one["mean"] <= 1
        assert one["variance"] == pytest.approx(one["aleatoric"] + one["epistemic"])
        assert one["variance"] > 0
        assert one["score"] == pytest.approx(one["mean"] - DEFAULT_KAPPA * one["epistemic"] ** 0.5)
    complete = [one for one in found["candidates"] if one["finish_reason"] == "stop" and one["text"]]
    complete = complete or found["candidates"]  # one that ended by itself goes before one that was cut
    assert found["candidates"][found["chosen"]]["score"] == max(one["score"] for one in complete)
    assert found["timings"]["score_s"] > 0
    with History.open(locate(own_home).database) as history:
        (stored,) = history.generations("ann")
    assert [one.mean for one in stored.candidates] == [one["mean"] for one in found["candidates"]]


def test_a_replay_in_another_process_has_the_same_scores(own_home: Path) -> None:
    first, again = (one_object(edge_ttp(*ASK, "--json").stdout) for _ in range(2))
    assert again["candidates"] == first["candidates"]
    assert again["chosen"] == first["chosen"]


def test_every_rule_that_needs_scores_chooses_by_its_own(own_home: Path) -> None:
    with Runtime.open() as runtime:
        for rule in sorted(NEEDS_REWARD):
            made = runtime.generate("Invite Eve to lunch", user="ann", n=4, select=rule, seed=7, sampling=SHORT)
            complete = [one for one in made.candidates if one.finish_reason == "stop" and one.text] or made.candidates
            assert made.selection.rule == rule
            assert made.candidates[made.chosen].score == max(one.score or 0.0 for one in complete)


def test_the_table_shows_means_with_their_deviations(own_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*ASK, "--show-candidates"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum(" ± 0." in line for line in lines) == 4
    assert any(line.startswith("chosen: candidate ") for line in lines)


def test_a_new_user_is_scored_without_a_history(own_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*ASK, "--user", "nobody", "--json"]) == 0
    found = one_object(capsys.readouterr().out)
    assert found["notes"][0].startswith("no history yet for 'nobody'")
    assert None not in [one["mean"] for one in found["candidates"]]


def test_vectors_of_the_history_are_computed_once(own_home: Path) -> None:
    def stored() -> list[tuple[int, bytes]]:
        with sqlite3.connect(locate(own_home).database) as db:
            return db.execute("SELECT rowid, * FROM vectors ORDER BY rowid").fetchall()

    with Runtime.open() as runtime:
        runtime.generate("Invite Eve to lunch", user="ann", n=1, sampling=SHORT, store=False)
    first = stored()
    assert len(first) == 3
    with Runtime.open() as runtime:
        runtime.generate("Invite Eve to dinner", user="ann", n=1, sampling=SHORT, store=False)
    assert stored() == first


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy of the shipped reward model, with a manifest of its own."""
    folder = tmp_path / "judge"
    folder.mkdir()
    for name in FILES:
        shutil.copyfile(shipped_folder() / DEFAULT_REWARD / name, folder / name)
    announce(folder)
    return folder


def announce(folder: Path) -> None:
    """Writes a manifest that takes the files as they are for right."""
    write_manifest(folder, name="judge", kind="reward", files=FILES, description="A copy.", licence="Apache-2.0")


def cut(folder: Path) -> None:
    whole = (folder / "heads.onnx").read_bytes()
    (folder / "heads.onnx").write_bytes(whole[: len(whole) // 2])


def flip(folder: Path) -> None:
    changed = bytearray((folder / "encoder.onnx").read_bytes())
    changed[len(changed) // 2] ^= 1
    (folder / "encoder.onnx").write_bytes(changed)


def remove(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()


def noise(folder: Path) -> None:
    (folder / "heads.onnx").write_bytes(b"\x08\x07noise" * 1000)
    announce(folder)


DAMAGE: dict[str, tuple[Callable[[Path], None], str]] = {
    "truncated": (cut, "'heads.onnx' of the model 'judge' is truncated"),
    "altered": (flip, "'encoder.onnx' of the model 'judge' is altered"),
    "missing": (remove, "'tokenizer.json' of the model 'judge' is missing"),
    "announced, yet another file than its config says": (noise, "heads.onnx has 7000 bytes instead of "),
}


@pytest.mark.parametrize(("damage", "words"), DAMAGE.values(), ids=DAMAGE)
def test_a_reward_model_that_is_broken_is_one_line(
    own_home: Path, copied: Path, capsys: pytest.CaptureFixture[str], damage: Callable[[Path], None], words: str
) -> None:
    damage(copied)
    assert run([*ASK, "--reward", str(copied)]) == 3
    printed = capsys.readouterr()
    assert printed.out == ""
    assert words in printed.err
    assert printed.err.startswith("edge-ttp: ")
    assert printed.err.count("\n") == 1
    assert run([*ASK, "--reward", str(copied), "--json"]) == 3
    assert one_object(capsys.readouterr().out)["error"]["code"] == "model_unavailable"
    with History.open(locate(own_home).database) as history:
        assert history.generations("ann") == []


def test_a_sound_copy_gives_the_scores_of_the_shipped_model(
    own_home: Path, copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*ASK, "--json"]) == 0
    shipped = one_object(capsys.readouterr().out)
    assert run([*ASK, "--json", "--reward", str(copied)]) == 0
    assert one_object(capsys.readouterr().out)["candidates"] == shipped["candidates"]
