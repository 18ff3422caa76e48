"""What the export commands need beside edge-ttp itself."""

from __future__ import annotations

from importlib.util import find_spec

from edge_ttp.errors import ExtraMissing

_CURE = "install the extra: pip install 'edge-ttp[export]'"


def need(*packages: str) -> None:
    """Raises ExtraMissing, with the cure, where one of these packages is not installed."""
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        raise ExtraMissing(f"this command needs {' and '.join(missing)}", _CURE)


def need_torch(threads: int | None) -> None:
    """The same for what training needs; torch then uses `threads` threads, all of them for None."""
    need("torch", "transformers", "onnx", "safetensors", "zstandard", "optimum")
    import torch

    if threads is not None:
        torch.set_num_threads(threads)
