"""Comparing next-token distributions: against formulas on a table, and with llama.cpp on small and real models."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from edge_ttp.budget import device
from edge_ttp.errors import InvalidInput, ModelUnavailable, OutOfCapacity
from edge_ttp.policy.bindings import quantize
from edge_ttp.policy.formats.fidelity import Fidelity, Passage, PolicyScorer, compare, reference
from edge_ttp.schema import LoraAdapter
from policy.tiny import WORDS, adapter, language_model

pytestmark = pytest.mark.slow

VOCABULARY = 50


class Table:
    """A scorer whose logits depend on the token before alone; in blocks of 3 rows."""

    def __init__(self, logits: npt.NDArray[np.float32]) -> None:
        self._logits = logits
        self.vocab_size = logits.shape[1]

    def logits(self, passage: Passage) -> Iterator[npt.NDArray[np.float32]]:
        for first in range(0, len(passage.scored), 3):
            yield self._logits[[passage.tokens[index - 1] for index in passage.scored[first : first + 3]]]


def table(seed: int, scale: float = 2.0) -> npt.NDArray[np.float32]:
    return np.random.default_rng(seed).normal(0, scale, (VOCABULARY, VOCABULARY)).astype(np.float32)


def texts(count: int = 4, length: int = 20) -> list[Passage]:
    rng = np.random.default_rng(1)
    return [
        Passage(tuple(rng.integers(0, VOCABULARY, length).tolist()), tuple(range(length // 2, length)))
        for _ in range(count)
    ]


def softmax(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    values = np.exp(logits.astype(np.float64))
    return np.asarray(values / values.sum(axis=1, keepdims=True))


def test_all_measures_agree_with_their_formulas() -> None:
    one, other = table(0), table(0) + table(5, 0.3)
    found = compare(Table(other), reference(Table(one), texts()))
    before = [passage.tokens[index - 1] for passage in texts() for index in passage.scored]
    after = [passage.tokens[index] for passage in texts() for index in passage.scored]
    p, q = softmax(one)[before], softmax(other)[before]
    kl = (p * np.log(p / q)).sum(axis=1)
    assert found.positions == len(before) == 40
    assert found.mean_kl == pytest.approx(kl.mean(), rel=1e-5)
    assert found.p99_kl == pytest.approx(np.quantile(kl, 0.99), rel=1e-5)
    assert found.top1_agreement == np.mean(p.argmax(axis=1) == q.argmax(axis=1))
    rows = np.arange(len(after))
    assert found.perplexity_reference == pytest.approx(np.exp(-np.log(p[rows, after]).mean()))
    assert found.perplexity == pytest.approx(np.exp(-np.log(q[rows, after]).mean()))
    sums = (kl - kl.mean()).reshape(4, 10).sum(axis=1)
    assert found.mean_kl_error == pytest.approx(math.sqrt((sums**2).sum() * 4 / 3) / 40, rel=1e-4)


def test_a_model_is_no_distance_from_itself() -> None:
    found = compare(Table(table(0)), reference(Table(table(0)), texts(), top=7))
    assert found.mean_kl == pytest.approx(0, abs=1e-9)
    assert found.top1_agreement == 1
    assert found.perplexity == found.perplexity_reference


def test_with_fewer_tokens_kept_the_divergence_is_a_lower_bound_that_rises_with_their_number() -> None:
    one, other = table(0), table(3)
    found = [
        compare(Table(other), reference(Table(one), texts(), top=top)).mean_kl for top in (1, 5, 20, VOCABULARY, 99)
    ]
    assert found == sorted(found)
    assert found[-1] == found[-2]
    assert found[0] < found[2] < found[-1]


def test_a_certain_prediction_is_compared_without_a_rest() -> None:
    sure = np.full((VOCABULARY, VOCABULARY), -200.0, dtype=np.float32)
    sure[:, 3] = 0
    found = compare(Table(sure), reference(Table(sure), texts(), top=2))
    assert found.mean_kl == pytest.approx(0, abs=1e-9)
    assert math.isfinite(compare(Table(table(0)), reference(Table(sure), texts(), top=2)).mean_kl)


def test_one_passage_alone_has_no_standard_error() -> None:
    assert compare(Table(table(2)), reference(Table(table(0)), texts(1))).mean_kl_error == 0


def test_other_vocabularies_and_empty_texts_are_refused() -> None:
    known = reference(Table(table(0)), texts())
    with pytest.raises(InvalidInput, match="50 and 49 tokens"):
        compare(Table(table(0)[:, :49]), known)
    with pytest.raises(InvalidInput, match="no text"):
        reference(Table(table(0)), [])


@pytest.mark.parametrize("scored", [(), (0, 1), (2, 1), (1, 1), (3,), (-1,)])
def test_a_passage_scores_rising_places_that_have_a_token_before(scored: tuple[int, ...]) -> None:
    with pytest.raises(InvalidInput, match="score tokens from the second on"):
        Passage((1, 2, 3), scored)


def test_progress_counts_the_positions() -> None:
    seen: list[int] = []
    reference(Table(table(0)), texts(2), advance=seen.append)
    assert seen[-1] == 20
    assert seen == sorted(set(seen))


# --- llama.cpp ---


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return language_model(tmp_path / "tiny.gguf")


def test_logits_do_not_depend_on_which_places_are_scored(tiny: Path) -> None:
    tokens = tuple(np.random.default_rng(0).integers(3, len(WORDS), 300).tolist())
    everywhere, here = Passage(tokens, tuple(range(1, 300))), Passage(tokens, (1, 2, 40, *range(170, 260), 299))
    with PolicyScorer(tiny, threads=1) as scorer:
        full = np.concatenate([block.copy() for block in scorer.logits(everywhere)])
        some = np.concatenate([block.copy() for block in scorer.logits(here)])
        again = np.concatenate([block.copy() for block in scorer.logits(everywhere)])
    assert full.shape == (299, len(WORDS))
    np.testing.assert_array_equal(full, again)
    np.testing.assert_allclose(some, full[[index - 1 for index in here.scored]], atol=0.02)


def test_a_longer_passage_gets_a_larger_cache_and_one_beyond_the_context_is_refused(tmp_path: Path) -> None:
    path = language_model(tmp_path / "tiny.gguf", context=600)
    with PolicyScorer(path, threads=1) as scorer:
        for length in (10, 550, 20):
            assert sum(len(block) for block in scorer.logits(Passage((5,) * length, (length - 1,)))) == 1
        with pytest.raises(InvalidInput, match="exceeds the model's context of 600"):
            next(scorer.logits(Passage((5,) * 602, (601,))))


def test_a_coarser_format_is_farther_away(tiny: Path, tmp_path: Path) -> None:
    tokens = tuple(np.random.default_rng(0).integers(3, len(WORDS), 200).tolist())
    known = None
    found: dict[str, Fidelity] = {}
    with PolicyScorer(tiny, threads=1) as scorer:
        known = reference(scorer, [Passage(tokens, tuple(range(1, 200)))])
    for format in ("F16", "Q8_0", "Q4_0"):
        quantize(tiny, tmp_path / format, format, threads=1)
        with PolicyScorer(tmp_path / format, threads=1) as scorer:
            found[format] = compare(scorer, known)
    assert found["F16"].mean_kl < found["Q8_0"].mean_kl < found["Q4_0"].mean_kl
    assert found["F16"].top1_agreement > found["Q4_0"].top1_agreement
    assert found["F16"].perplexity == pytest.approx(found["F16"].perplexity_reference, rel=0.02)


def test_a_model_larger_than_the_free_memory_is_refused_before_it_is_loaded(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "available_memory", lambda: 1 << 20)
    with pytest.raises(OutOfCapacity, match="needs over"):
        PolicyScorer(tiny, threads=1)


def test_a_missing_file_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable):
        PolicyScorer(tmp_path / "no.gguf", threads=1)


@pytest.mark.real
def test_the_default_policy_predicts_english(policy_path: Path) -> None:
    from edge_ttp.policy.llama import LlamaPolicy

    policy = LlamaPolicy(policy_path, threads=1)
    tokens = policy.encode_text("The capital of France is Paris. The capital of Italy is Rome. The capital of Spain is")
    policy.close()
    passage = Passage(tokens, tuple(range(8, len(tokens))))
    with PolicyScorer(policy_path, threads=1) as scorer:
        known = reference(scorer, [passage, replace(passage, scored=passage.scored[3:])])
        found = compare(scorer, known)
    assert found.mean_kl == pytest.approx(0, abs=1e-6)
    assert found.perplexity < 6
    assert known.ids.shape[1] == 4096


def test_an_adapter_predicts_as_if_it_were_merged(tiny: Path, tmp_path: Path) -> None:
    changes = adapter(tmp_path / "lora.gguf", seed=1)
    merged = language_model(tmp_path / "merged.gguf", changes=changes)
    some = [Passage(tuple(np.random.default_rng(1).integers(3, len(WORDS), 60).tolist()), tuple(range(1, 60)))]
    with PolicyScorer(merged, threads=1) as scorer:
        known = reference(scorer, some)
    with PolicyScorer(tiny, threads=1, adapters=(LoraAdapter(path=str(tmp_path / "lora.gguf")),)) as scorer:
        assert compare(scorer, known).mean_kl < 1e-3
    with PolicyScorer(tiny, threads=1) as scorer:
        assert compare(scorer, known).mean_kl > 0.01
    with pytest.raises(ModelUnavailable, match="adapter"):
        PolicyScorer(tiny, threads=1, adapters=(LoraAdapter(path=str(tmp_path / "none.gguf")),))
