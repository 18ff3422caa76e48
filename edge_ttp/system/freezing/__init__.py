"""What PyInstaller has to know to freeze an app that uses edge_ttp: found by itself, through the entry point
`pyinstaller40` of this package. The hooks beside this file are read by PyInstaller alone."""

from __future__ import annotations

from pathlib import Path


def hook_dirs() -> list[str]:
    """The folders of the hooks, as PyInstaller asks for them."""
    return [str(Path(__file__).parent)]
