"""The encoder's last layers learn, the lower ones stay, and an interrupted run goes on with what is missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the export extra")

from edge_ttp.cli.main import run  # noqa: E402
from edge_ttp.lab.reproduction.ladder import CROSSED, TUNED, ladder  # noqa: E402
from edge_ttp.lab.reproduction.score_file import read_scores  # noqa: E402
from edge_ttp_export import encoder_rungs  # noqa: E402
from edge_ttp_export.encoder_rungs import EPOCHS, PoolTexts, TokenPool, nearest, tune_encoders, write_tuned  # noqa: E402
from edge_ttp_export.minilm import WIDTH, Tokens, load_encoder  # noqa: E402
from edge_ttp_export.rungs import SIZE, LadderPool  # noqa: E402
from tests.export.test_rungs import pool  # noqa: E402

pytestmark = pytest.mark.export

torch.set_num_threads(1)

ANIMALS, TOOLS = ("cat", "dog", "horse", "cow"), ("hammer", "saw", "drill", "wrench")


def made(seed: int) -> tuple[LadderPool, PoolTexts]:
    """Candidates about animals are worth more than those about tools."""
    rng = np.random.default_rng(seed)
    animal = rng.random(SIZE) < 0.5
    texts = tuple(
        f"the {ANIMALS[seed % 4] if one else TOOLS[seed % 4]} number {place}" for place, one in enumerate(animal)
    )
    base = pool(seed)
    utility = 0.2 + 0.1 * animal
    found = LadderPool(
        base.task, base.user, seed, base.vectors, base.source, np.zeros(WIDTH, np.float32), base.table, base.similarity,
        utility, base.shipped,
    )  # fmt: skip
    return found, PoolTexts("tell me of it", texts, (("about what", "an animal"), ("sums", "two and two")))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two layers in place of six, two folds, quicker steps."""
    monkeypatch.setattr(encoder_rungs, "load_encoder", lambda: load_encoder(layers=(0, 5)))
    monkeypatch.setattr(encoder_rungs, "TRAINED_LAYERS", 1)
    monkeypatch.setattr(encoder_rungs, "FOLDS", 2)
    monkeypatch.setattr(encoder_rungs, "EPOCHS", dict.fromkeys(EPOCHS, 8))
    monkeypatch.setattr(encoder_rungs, "LAYER_RATE", 5e-4)


@pytest.mark.usefixtures("small")
def test_a_fine_tuned_and_a_cross_encoder_learn_what_texts_tell(tmp_path: Path) -> None:
    pools, texts = zip(*(made(seed) for seed in range(12)), strict=True)
    said: list[str] = []
    for _ in range(2):
        tune_encoders(pools, texts, tmp_path / "work", seeds=1, arms=["mse", "gaussian"], report=said.append)
    assert len(said) == len(set(said)) == 3 * 2
    (tmp_path / "work" / "fine-tuned_encoder-gaussian-0-1.npz").unlink()
    write_tuned(pools, tmp_path / "work", tmp_path / "tuned.npz")
    file = read_scores(tmp_path / "tuned.npz")
    assert set(file.made) == {f"{TUNED}/mse/0", f"{CROSSED}/mse/0"}, "what is not whole is left out"
    rows = {(row.rung, row.arm): row for row in ladder(file, resamples=20)}
    assert rows[TUNED, "mse"].share.value > 0.6
    assert rows[CROSSED, "mse"].share.value > 0.6


@pytest.mark.usefixtures("small")
def test_only_the_last_layers_are_trained_and_what_lies_below_is_that_of_the_whole_encoder() -> None:
    pools, texts = zip(*(made(seed) for seed in range(4)), strict=True)
    lower, tokens = encoder_rungs.LowerLayers(), Tokens()
    read = [TokenPool.of(one, tokens) for one in texts]
    whole = load_encoder(layers=(0, 5))
    before = encoder_rungs.Tuned(lower)
    with torch.no_grad():
        vectors = before.vectors(read[0].candidates)
        plain = whole(*tokens(texts[0].candidates))
    assert torch.allclose(vectors, plain, atol=2e-3)
    after = encoder_rungs._train(lower, pools, read, (TUNED, "mse", 0))
    assert not torch.equal(next(after.layers.parameters()), next(before.layers.parameters()))
    assert torch.equal(next(lower.trained.parameters()), next(before.layers.parameters())), "each starts afresh"


def test_the_nearest_earlier_items_stand_before_the_candidate() -> None:
    one = PoolTexts(
        "a recipe for apple pie",
        ("x",) * SIZE,
        (("football scores", "1:0"), ("how to bake a cake", "with eggs"), ("tax law", "no"), ("cherry pie", "sweet")),
    )
    found = nearest(one, load_encoder(), Tokens())
    assert [output for _, output in found.earlier[:2]] == ["sweet", "with eggs"]
    assert len(found.earlier) == 3


def test_a_loss_that_does_not_exist_is_refused_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    places = ["--data", str(tmp_path), "--work", str(tmp_path / "work"), "--out", str(tmp_path / "out.npz")]
    asked = ["export", "ladder-encoder", "--pools", str(tmp_path / "no.jsonl"), *places, "--arm", "hinge"]
    assert run(asked) == 2
    assert "there is no loss 'hinge'; choose from mse, bradley-terry" in capsys.readouterr().err
    assert not (tmp_path / "work").exists()
