"""The catalog of this package, and which of it suits a device."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_ttp.errors import InvalidInput
from edge_ttp.registry import Registry
from edge_ttp.registry.catalog import shipped_folder
from edge_ttp.registry.offers import read_offers, suggest
from edge_ttp.registry.references import HubReference, parse_reference

OFFERS = read_offers(shipped_folder())


def test_a_dozen_small_models_are_offered_none_with_a_checksum_that_nobody_computed() -> None:
    assert len(OFFERS) >= 12
    for offer in OFFERS:
        assert isinstance(parse_reference(offer.source), HubReference)
        assert 0.5 <= offer.parameters_b <= 4
        assert offer.download_mb < offer.memory_mb < 2 * offer.download_mb + 400
    for path in (shipped_folder() / "offers").glob("*.toml"):
        assert "sha256" not in path.read_text()
        assert path.stem in {offer.name for offer in OFFERS}


def test_no_offer_has_the_name_of_a_model_of_this_package(registry: Registry) -> None:
    from edge_ttp.paths import locate

    assert not {offer.name for offer in OFFERS} & {entry.name for entry in Registry(locate()).list()}


@pytest.mark.parametrize(
    ("gigabytes", "cores", "language", "picked"),
    [
        (0.5, 8, "en", None),
        (2, 2, "en", "gemma-3-1b-it"),
        (16, 4, "de", "eurollm-1.7b-instruct"),
        (16, 2, "de", "lfm2-700m"),
        (16, 16, "sw", "gemma-3-4b-it"),
        (16, 4, "pl", "eurollm-1.7b-instruct"),
        (16, 1, "en", "qwen2.5-0.5b-instruct"),
    ],
)
def test_memory_cores_and_language_pick_one(gigabytes: float, cores: int, language: str, picked: str | None) -> None:
    judged = suggest(OFFERS, memory_bytes=int(gigabytes * 10**9), cores=cores, language=language)
    assert len(judged) == len(OFFERS)
    best = judged[0].offer.name if judged[0].fits else None
    assert best == picked
    assert all(one.reason for one in judged)
    fits = [one.fits for one in judged]
    assert fits == sorted(fits, reverse=True)


def test_more_memory_and_cores_never_pick_a_smaller_one() -> None:
    for language in ("en", "de", "ja"):
        last = 0.0
        for gigabytes, cores in ((1, 1), (2, 2), (4, 4), (8, 8), (32, 32)):
            judged = suggest(OFFERS, memory_bytes=gigabytes * 10**9, cores=cores, language=language)
            size = judged[0].offer.parameters_b if judged[0].fits else 0.0
            assert size >= last
            last = size


def test_a_malformed_offer_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "offers").mkdir()
    (tmp_path / "offers" / "x.toml").write_text('name = "x"\nsource = "https://example.com"\n')
    with pytest.raises(InvalidInput, match="is malformed"):
        read_offers(tmp_path)
