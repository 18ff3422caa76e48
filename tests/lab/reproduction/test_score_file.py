"""Score files come back as they were written, and what is no score file is refused in one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_ttp.errors import InvalidInput
from edge_ttp.lab.reproduction.score_file import read_scores, write_scores
from tests.lab.reproduction.makers import score_file


def test_a_file_comes_back_within_its_rounding(tmp_path: Path) -> None:
    written = score_file()
    size = write_scores(tmp_path / "deep" / "scores.npz", written)
    assert size == (tmp_path / "deep" / "scores.npz").stat().st_size
    found = read_scores(tmp_path / "deep" / "scores.npz")
    assert found.made == written.made
    for one, other in zip(written.sets, found.sets, strict=True):
        assert (one.task, one.policy, one.sizes) == (other.task, other.policy, other.sizes)
        np.testing.assert_array_equal(one.user, other.user)
        np.testing.assert_array_equal(one.part, other.part)
        np.testing.assert_allclose(one.utility, other.utility, atol=2e-5)
        for name, scored in one.variants.items():
            centred = scored.score - scored.score.mean(axis=1, keepdims=True)
            np.testing.assert_allclose(other.variants[name].score, centred, atol=np.abs(centred).max() / 200)
            np.testing.assert_allclose(other.variants[name].picked, scored.picked, atol=2e-5)
            assert (other.variants[name].sd is None) == (scored.sd is None)
            if scored.sd is not None:
                np.testing.assert_allclose(other.variants[name].sd, scored.sd, rtol=0.02)


def test_the_same_numbers_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_scores(tmp_path / name, score_file())
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.mark.parametrize(
    "content",
    [b"", b"no archive", b"PK\x03\x04 half an archive"],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "scores.npz").write_bytes(content)
    with pytest.raises(InvalidInput, match="no score file"):
        read_scores(tmp_path / "scores.npz")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"nowhere\.npz cannot be read"):
        read_scores(tmp_path / "nowhere.npz")


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("0.part", lambda values: values[:-1]),
        ("0.part", lambda values: values + 7),
        ("0.utility", lambda values: values.astype(np.float64)),
        ("1.score.mse", lambda values: values[:, :-1]),
        ("1.scale.mse", lambda values: values * np.float32(np.nan)),
        ("0.user", lambda values: None),
        ("meta", lambda values: np.frombuffer(b'{"format": 99}', np.uint8)),
        ("meta", lambda values: np.frombuffer(b'{"format": 1, "variants": {}, "sets": []}', np.uint8)),
        ("meta", lambda values: np.frombuffer(b"[]", np.uint8)),
        ("meta", lambda values: np.array([{}], dtype=object)),
    ],
)
def test_altered_archives_are_refused(tmp_path: Path, name: str, changed) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "scores.npz"
    write_scores(path, score_file())
    with np.load(path) as archive:
        arrays = {key: archive[key] for key in archive.files}
    arrays[name] = changed(arrays[name])
    if arrays[name] is None:
        del arrays[name]
    np.savez(path, **arrays)
    with pytest.raises(InvalidInput, match=r"scores\.npz"):
        read_scores(path)
