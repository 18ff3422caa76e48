"""What the store answers with: a line of its list, a model's verified place, a verification."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge_ttp.registry.manifest import Kind, Manifest, PromptStyle


@dataclass(frozen=True)
class ModelEntry:
    """One line of `edge-ttp models list`."""

    name: str
    """With the format, `name:format`, for one that was made on this device."""
    kind: Kind
    installed: bool
    """Files present with the right sizes. `verify` looks into them."""
    bundled: bool
    """Came with the package; cannot be removed."""
    size: int
    """Bytes of all files, as announced."""
    licence: str
    licence_url: str
    description: str
    path: Path | None
    """What a room opens; None while not installed."""
    default: bool
    format: str = ""
    """Quantization of a policy's weights; empty where it is not known."""
    variant_of: str | None = None
    """The model this format was made of on this device."""
    chosen: bool = False
    """This device uses this format where the model is asked for by its name alone."""
    derivable: bool = False
    """`models derive` may make other formats of it."""


@dataclass(frozen=True)
class Located:
    """A model on this device, verified."""

    name: str
    """Its name in the store, or a bare file's name without ending. With the format, `name:format`, where that was asked
    for or chosen for this device."""
    kind: Kind
    path: Path
    """A policy's .gguf file, or a reward model's folder."""
    sha256: str
    """Of the file; for several files, of the list of their SHA-256s."""
    prompt_style: PromptStyle | None
    """Policies only. For a bare file it is guessed: chat where the file carries a chat template."""
    context: int | None
    """Policies only: longest context in tokens; None where a bare file does not say."""
    manifest: Manifest | None
    """None for a bare file."""
    format: str = ""
    """Quantization of a policy's weights, such as Q4_1; empty where it is not known."""

    @property
    def languages(self) -> tuple[str, ...]:
        """What a policy was measured to write, ISO 639-1 codes; empty where that was never measured."""
        return () if self.manifest is None else self.manifest.languages

    @property
    def temperatures(self) -> tuple[float, ...]:
        """What a policy's candidates are drawn at in turn where the caller says nothing; empty: not measured."""
        return () if self.manifest is None else self.manifest.temperatures


@dataclass(frozen=True)
class Verification:
    """Whether a model's files are what its manifest says."""

    name: str
    ok: bool
    problem: str = ""
