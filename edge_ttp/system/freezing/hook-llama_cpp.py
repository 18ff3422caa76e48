"""PyInstaller's hook of llama-cpp-python: llama.cpp's libraries, which ctypes opens by their names (without a hook they
are missing: llama-cpp-python#1475), and the ones for each sort of processor, where it was built so."""

import re
from pathlib import Path

from PyInstaller.utils.hooks import get_package_paths

_package = Path(get_package_paths("llama_cpp")[1])
_libraries = [
    path
    for path in (_package / "lib").iterdir()
    if path.suffix != ".py" and path.is_file() and not re.search(r"\.so(\.\d+){3}$", path.name)  # a third copy of each
]
_processors = list((_package.parent / "bin").glob("*ggml-cpu-*"))
binaries = [(str(path), "llama_cpp/lib") for path in (*_libraries, *_processors)]
# Its server and what it draws whole files of models with are not used.
excludedimports = ["llama_cpp.server", "huggingface_hub", "diskcache.djangocache"]
