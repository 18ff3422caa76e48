"""Which clients the tests speak with: name and version of each, as the page of results names them.

`python -m tests.clients.versions` prints the rows of the table in docs/measured/server.md.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PYTHON = ("openai", "llm", "langchain-openai", "langchain-core", "litellm", "ollama")
_NODE = {"openai (npm)": "openai", "zod (npm)": "zod"}
_NODE_MODULES = Path(__file__).parent / "node" / "node_modules"


def versions() -> dict[str, str]:
    """Version by client; `-` where it is not installed."""
    found = {}
    for name in _PYTHON:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "-"
    for shown, package in _NODE.items():
        file = _NODE_MODULES / package / "package.json"
        found[shown] = str(json.loads(file.read_text(encoding="utf-8"))["version"]) if file.is_file() else "-"
    found["node"] = _said("node", "--version")
    found["curl"] = _said("curl", "--version")
    return found


def _said(program: str, *arguments: str) -> str:
    """The first version number in what a program prints."""
    path = shutil.which(program)
    if path is None:
        return "-"
    said = subprocess.run([path, *arguments], capture_output=True, text=True, check=False).stdout
    number = re.search(r"\d+(?:\.\d+)+", said)
    return number[0] if number else "-"


if __name__ == "__main__":
    for name, number in versions().items():
        print(f"| {name} | {number} |")
