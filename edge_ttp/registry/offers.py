"""Well-known small models that can be pulled from the hub, and which of them suits a device and a language.

An offer names a model, not its bytes: size and SHA-256 come from the hub when it is pulled, and are kept from then on.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from edge_ttp.errors import InvalidInput
from edge_ttp.registry.manifest import HttpsAddress, Line, Name

OFFERS_FOLDER = "offers"
ANY_LANGUAGE = "*"

MEMORY_SHARE = 0.8
"""Part of the free memory that a policy may take, as in the runtime."""
BILLIONS_PER_CORE = 0.5
"""Rule of thumb: with more parameters for each core, drawing several candidates takes too long to wait for."""


class Offer(BaseModel):
    """A model that can be pulled."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name
    description: Line
    """What it is good at."""
    licence: Annotated[Line, Field(min_length=1)]
    licence_url: HttpsAddress
    parameters_b: Annotated[float, Field(gt=0, le=100)]
    """Billions of parameters."""
    download_mb: Annotated[int, Field(ge=1)]
    """Megabytes to fetch, about."""
    memory_mb: Annotated[int, Field(ge=1)]
    """Megabytes of memory that it needs, about."""
    languages: Annotated[tuple[str, ...], Field(min_length=1)]
    """ISO 639-1 codes of the languages that its maker names; `*`: a hundred or more."""
    source: Annotated[str, Field(pattern=r"^hf:")]

    def speaks(self, language: str) -> bool:
        """Whether its maker names this language (ISO 639-1)."""
        return bool({language, ANY_LANGUAGE} & {*self.languages})


@dataclass(frozen=True)
class Suggestion:
    """An offer and what a device makes of it."""

    offer: Offer
    fits: bool
    reason: str
    """Why, or why not, in words."""


def read_offers(shipped: Path) -> tuple[Offer, ...]:
    """The offers in the folder of this package's manifests, by size. Raises InvalidInput for a malformed one."""
    found = []
    for path in sorted((shipped / OFFERS_FOLDER).glob("*.toml")):
        try:
            found.append(Offer.model_validate(tomllib.loads(path.read_text(encoding="utf-8"))))
        except (OSError, ValueError) as error:
            raise InvalidInput(f"the offer {str(path)!r} is malformed: {error}", "install edge-ttp again") from error
    return tuple(sorted(found, key=lambda offer: (offer.parameters_b, offer.name)))


def suggest(offers: Iterable[Offer], *, memory_bytes: int, cores: int, language: str) -> list[Suggestion]:
    """Every offer with a verdict: those that fit first, the largest first; then the others, the smallest first.

    `memory_bytes` is what is free now; `language` an ISO 639-1 code.
    """
    memory_mb = memory_bytes * MEMORY_SHARE / 10**6
    judged = [_judge(offer, memory_mb, cores, language) for offer in offers]
    fitting = [one for one in judged if one.fits]
    others = [one for one in judged if not one.fits]
    return [
        *sorted(
            fitting, key=lambda one: (-one.offer.parameters_b, ANY_LANGUAGE in one.offer.languages, one.offer.name)
        ),
        *sorted(others, key=lambda one: (one.offer.parameters_b, one.offer.name)),
    ]


def _judge(offer: Offer, memory_mb: float, cores: int, language: str) -> Suggestion:
    if not offer.speaks(language):
        return Suggestion(offer, False, f"its maker does not name the language {language!r}")
    if offer.memory_mb > memory_mb:
        return Suggestion(
            offer,
            False,
            f"needs about {offer.memory_mb / 1000:.1f} GB of memory, {memory_mb / 1000:.1f} GB can be used",
        )
    if offer.parameters_b > cores * BILLIONS_PER_CORE:
        return Suggestion(offer, False, f"too slow for several candidates on {cores} cores")
    return Suggestion(
        offer,
        True,
        f"writes {language!r}, needs about {offer.memory_mb / 1000:.1f} of {memory_mb / 1000:.1f} GB, "
        f"{offer.parameters_b:g} billion parameters are fast enough on {cores} cores",
    )


def offer_named(offers: tuple[Offer, ...], name: str) -> Offer | None:
    """The offer called `name`, None where there is none."""
    return next((offer for offer in offers if offer.name == name), None)
