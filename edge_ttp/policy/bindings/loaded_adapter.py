"""LoRA adapters in memory."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from edge_ttp.errors import ModelUnavailable
from edge_ttp.policy.bindings import messages
from edge_ttp.policy.bindings.library import llama_cpp
from edge_ttp.policy.bindings.llama_model import Model


class LoadedAdapter:
    """A LoRA adapter in memory, for one model. Raises ModelUnavailable where it does not fit the model or not load.

    Contexts made before it was loaded cannot use it. Close it after those that do, and before the model.
    """

    def __init__(self, model: Model, path: Path) -> None:
        if not path.is_file():
            raise ModelUnavailable(f"there is no adapter file {path}", "give a LoRA adapter as a .gguf file")
        self.size_bytes = path.stat().st_size
        with path.open("rb") as file:
            self.sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        messages.forget_complaints()
        self._handle: Any = llama_cpp.llama_adapter_lora_init(model.handle, os.fsencode(path))
        if not self._handle:
            raise ModelUnavailable(
                f"llama.cpp cannot load the adapter {path} ({messages.complaints('unknown reason')})",
                "give a LoRA adapter made for this very model",
            )

    @property
    def handle(self) -> Any:
        """llama.cpp's pointer, for Context."""
        return self._handle

    def close(self) -> None:
        """Frees it."""
        if self._handle:
            llama_cpp.llama_adapter_lora_free(self._handle)
            self._handle = None
