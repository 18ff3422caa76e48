"""The GPUs that this build of llama.cpp can use, by the library's own list of devices."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

from edge_ttp.budget.device import Gpu
from edge_ttp.errors import ModelUnavailable
from edge_ttp.policy.bindings.library import llama_cpp

_KINDS = (1, 2)  # ggml_backend_dev_type: GPU with memory of its own, GPU that shares the processor's


def gpus() -> tuple[Gpu, ...]:
    """The GPUs that layers can be put on, with the memory that is free now. Empty where the build knows none."""
    if not llama_cpp.llama_supports_gpu_offload():
        return ()
    device_count, device_at = _function("dev_count", ctypes.c_size_t), _function("dev_get", ctypes.c_void_p)
    kind, words = _function("dev_type", ctypes.c_int), _function("dev_description", ctypes.c_char_p)
    memory = _function("dev_memory", None)
    found = []
    for index in range(device_count()):
        device = ctypes.c_void_p(device_at(ctypes.c_size_t(index)))
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        memory(device, ctypes.byref(free), ctypes.byref(total))
        if kind(device) in _KINDS and total.value:
            found.append(Gpu((words(device) or b"GPU").decode("utf-8", "replace"), total.value, free.value))
    return tuple(found)


def _function(name: str, result: Any) -> Any:
    """ggml_backend_NAME; libggml lists the devices, libggml-base describes them."""
    from llama_cpp import _ctypes_extensions

    folder = Path(llama_cpp.__file__).resolve().parent / "lib"
    for library in ("ggml", "ggml-base"):
        function = getattr(_ctypes_extensions.load_shared_library(library, folder), f"ggml_backend_{name}", None)
        if function is not None:
            function.restype = result
            return function
    raise ModelUnavailable(
        f"this llama-cpp-python ({llama_cpp.__version__}) lacks ggml_backend_{name}",
        "install the tested one: pip install llama-cpp-python==0.3.36",
    )
