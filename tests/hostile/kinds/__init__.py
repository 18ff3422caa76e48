"""The kinds of hostile input. One module each, with `open(home) -> hostile.case.Kind`."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from ..case import Kind

KINDS: dict[str, str] = {
    "gguf": "GGUF policies",
    "lora": "LoRA adapters",
    "onnx": "ONNX graphs of reward models",
    "tokenizer": "tokenizers of reward models",
    "grammar": "GBNF grammars",
    "schema": "JSON schemas",
    "mbox": "mails, in mbox files and alone",
    "conversations": "exports of ChatGPT and Claude",
    "tables": "CSV files and JSON lines",
    "texts_of_others": "chats, notes, files of no known kind",
    "database": "histories: rows, tables, bits",
    "arguments": "command lines",
    "home_files": "our own files: settings, caches, manifests, states",
}
"""Module in this folder -> what the table calls it."""


def open_kind(name: str, home: Path) -> Kind:
    """The kind `name`, ready to make cases."""
    kind: Kind = import_module(f"{__package__}.{name}").open(home)
    return kind
