"""The model store: manifests, sources, verified files. `Registry` is the way in."""

from __future__ import annotations

from edge_ttp.registry.gguf import Header, read_header
from edge_ttp.registry.manifest import Kind, Manifest, PromptStyle, Use, read_manifest, write_manifest
from edge_ttp.registry.model_store import Registry
from edge_ttp.registry.results import Located, ModelEntry, Verification
from edge_ttp.registry.shelf import DEFAULT_POLICY, DEFAULT_REWARD
from edge_ttp.registry.variants import Facts, FormatChoice

__all__ = [
    "DEFAULT_POLICY",
    "DEFAULT_REWARD",
    "Facts",
    "FormatChoice",
    "Header",
    "Kind",
    "Located",
    "Manifest",
    "ModelEntry",
    "PromptStyle",
    "Registry",
    "Use",
    "Verification",
    "read_header",
    "read_manifest",
    "write_manifest",
]
