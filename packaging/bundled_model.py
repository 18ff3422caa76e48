"""The manifest of a model that comes with the frozen app: its file beside it is its first source, the others stay."""

from __future__ import annotations

from pathlib import Path

from edge_ttp.registry.manifest import LocalFile, read_manifest


def manifest_with_file(manifest: Path, model: Path, target: Path) -> Path:
    """Writes the manifest with `model` as a source into `target`; the file has to be the manifest's own."""
    found = read_manifest(manifest)
    (file,) = found.files
    if model.stat().st_size != file.size:
        raise SystemExit(f"{model} has {model.stat().st_size} bytes, {manifest} says {file.size}: pull it again")
    own = file.model_copy(update={"sources": (LocalFile(path=model.name), *file.sources)})
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(found.model_copy(update={"files": (own,)}).to_toml(), encoding="utf-8")
    return target
