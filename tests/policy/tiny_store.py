"""A store with a language model of a few kilobytes."""

from __future__ import annotations

from pathlib import Path

from edge_ttp.paths import Paths
from edge_ttp.registry import Registry
from edge_ttp.registry.manifest import describe_files

from .tiny import language_model


def tiny_store(paths: Paths, folder: Path) -> Registry:
    """A store with the model `tiny`, F32."""
    own = folder / "tiny"
    own.mkdir()
    language_model(own / "tiny.gguf")
    (file,) = describe_files(own, ["tiny.gguf"])
    (own / "manifest.toml").write_text(
        'name = "tiny"\nkind = "policy"\nlicence = "MIT"\nprompt_style = "few-shot"\ncontext = 4096\nformat = "F32"\n'
        f'derivable = true\n[[files]]\npath = "tiny.gguf"\nsize = {file.size}\nsha256 = "{file.sha256}"\n'
        'sources = [{ type = "bundled" }]\n'
    )
    registry = Registry(paths)
    registry.add(own)
    return registry
