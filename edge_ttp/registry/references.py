"""What a user may write for a model elsewhere: `hf:OWNER/REPO[:FILE or quant]`, or an https address."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from edge_ttp.errors import InvalidInput, NotFound

HUB_PREFIX = "hf:"

PREFERRED = ("Q4_K_M", "Q4_K_S", "Q4_0", "Q4_1", "Q5_K_M", "Q8_0", "F16", "BF16")
"""Quantizations in the order in which one is taken where none is named: small enough for a laptop, good enough to read.
llama.cpp's own `-hf` begins with the same one."""

_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
_PART = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$", re.IGNORECASE)
_QUANT = re.compile(r"(?:I?Q\d+(?:_[A-Z0-9]+)*|BF16|F16|F32|MXFP4)", re.IGNORECASE)


@dataclass(frozen=True)
class HubReference:
    """A file of a Hugging Face repository."""

    repository: str
    """OWNER/REPO."""
    pick: str = ""
    """A file's name, a quantization, or empty: the first of PREFERRED that there is."""

    def __str__(self) -> str:
        return f"{HUB_PREFIX}{self.repository}" + (f":{self.pick}" if self.pick else "")


@dataclass(frozen=True)
class AddressReference:
    """A file at an https address."""

    url: str

    def __str__(self) -> str:
        return self.url


Reference = HubReference | AddressReference


def is_reference(text: str) -> bool:
    """Whether `text` says where a model is and is no name."""
    return text.startswith(HUB_PREFIX) or "://" in text


def parse_reference(text: str) -> Reference:
    """What `text` means. Raises InvalidInput where it is no address that can be pulled from."""
    if "://" in text:
        parts = urlsplit(text)
        if parts.scheme != "https" or not parts.hostname:
            raise InvalidInput(f"{text[:200]!r} is no https address", "only https addresses are fetched")
        return AddressReference(text)
    repository, _, pick = text.removeprefix(HUB_PREFIX).partition(":")
    if not _REPOSITORY.fullmatch(repository) or ".." in repository:
        raise InvalidInput(
            f"{text[:200]!r} names no repository", "write hf:OWNER/REPO, hf:OWNER/REPO:Q4_K_M or with a file"
        )
    return HubReference(repository, pick)


def choose_file(reference: HubReference, names: Sequence[str]) -> str:
    """The GGUF file meant among the `names` of a repository's files. Raises NotFound with what there is."""
    models = [name for name in names if name.lower().endswith(".gguf") and "mmproj" not in name.lower()]
    found = [name for name in models if _meant(reference.pick, name)] if reference.pick else _preferred(models)
    whole = [name for name in found if not _PART.search(name)]
    if whole:
        return min(whole, key=lambda name: (len(name), name))  # the plain one, where others have more words in them
    if found:
        raise NotFound(
            f"{reference} comes in several parts ({found[0]}), which is not supported", "choose a smaller quantization"
        )
    there = sorted({match[0].upper() for name in models for match in [_QUANT.search(_stem(name))] if match})
    if not models:
        raise NotFound(
            f"the repository {reference.repository!r} has no GGUF file", "look for one whose name ends in -GGUF"
        )
    raise NotFound(f"{reference} has no such file", f"there are {', '.join(there or models)}"[:400])


def file_name(url: str) -> str:
    """The name of the file at an address, without what may stand behind it."""
    return unquote(urlsplit(url).path).rpartition("/")[2]


def _meant(pick: str, name: str) -> bool:
    if pick.lower().endswith(".gguf"):
        return pick in (name, name.rpartition("/")[2])
    before = r"(?:^|[-._/])" if _QUANT.match(pick) else r"(?:^|[-./])"  # `K_M` does not mean the end of Q4_K_M
    return re.search(rf"{before}{re.escape(pick)}(?:[-./]|$)", _stem(name), re.IGNORECASE) is not None


def _preferred(models: Sequence[str]) -> list[str]:
    for quant in PREFERRED:
        found = [name for name in models if _meant(quant, name)]
        if found:
            return found
    return list(models) if len(models) == 1 else []


def _stem(name: str) -> str:
    return re.sub(r"\.gguf$", "", name, flags=re.IGNORECASE)


def without_login(url: str) -> str:
    """The address without a user and a password in it."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
