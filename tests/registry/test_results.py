"""What a located model says of what was measured of it."""

from __future__ import annotations

from pathlib import Path

from edge_ttp.registry import Located, Manifest


def located(manifest: Manifest | None) -> Located:
    return Located("tiny", "policy", Path("tiny.gguf"), "0" * 64, "chat", 2048, manifest)


def test_what_was_never_measured_is_empty() -> None:
    assert located(None).languages == located(None).temperatures == ()


def test_what_was_measured_stands_in_the_manifest() -> None:
    file = {"path": "tiny.gguf", "size": 1, "sha256": "0" * 64, "sources": [{"type": "bundled"}]}
    fields = {"name": "tiny", "kind": "policy", "licence": "MIT", "prompt_style": "chat", "context": 2048}
    manifest = Manifest.model_validate(
        {**fields, "files": [file], "languages": ["en", "de"], "temperatures": [0.5, 1.0]}
    )
    assert located(manifest).languages == ("en", "de")
    assert located(manifest).temperatures == (0.5, 1.0)
