"""Whether a window can be opened here: Qt installed, a screen, the libraries that Qt would otherwise abort without."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import sys


def why_no_window() -> str | None:
    """Why no window can be opened, in words with the cure; None where one can."""
    if any(importlib.util.find_spec(name) is None for name in ("PySide6",)):
        return "Qt is not installed (pip install 'edge-ttp[app]')"
    if importlib.util.find_spec("PySide6.QtWebEngineWidgets") is None:
        return "Qt WebEngine is not installed (pip install 'edge-ttp[app]')"
    if sys.platform != "linux" or os.environ.get("QT_QPA_PLATFORM"):
        return None
    if os.environ.get("WAYLAND_DISPLAY"):
        return None
    if not os.environ.get("DISPLAY"):
        return "there is no screen here (neither DISPLAY nor WAYLAND_DISPLAY is set)"
    for library, package in (("libxcb-cursor.so.0", "libxcb-cursor0"), ("libnss3.so", "libnss3")):
        # Qt ends the whole process where one of them is missing.
        try:
            ctypes.CDLL(library)
        except OSError:
            return f"{library} is missing (apt install {package})"
    return None
