"""The GPUs that this build of llama.cpp can use."""

from __future__ import annotations

import ctypes
import importlib
from typing import Any

import pytest

from edge_ttp.budget.device import Gpu
from edge_ttp.errors import ModelUnavailable
from edge_ttp.policy import bindings

module = importlib.import_module("edge_ttp.policy.bindings.gpus")  # the package has its function under this name


def test_the_devices_of_this_build_are_listed() -> None:
    for one in bindings.gpus():
        assert 0 <= one.free <= one.total
        assert one.name


class Build:
    """ggml's list of devices: (type, description, free, total)."""

    def __init__(self, *devices: tuple[int, bytes | None, int, int]) -> None:
        self.devices = devices

    def function(self, name: str, _: Any) -> Any:
        def memory(device: ctypes.c_void_p, free: Any, total: Any) -> None:
            free._obj.value, total._obj.value = self._of(device)[2:]

        return {
            "dev_count": lambda: len(self.devices),
            "dev_get": lambda index: index.value + 1,  # a pointer is never 0
            "dev_type": lambda device: self._of(device)[0],
            "dev_description": lambda device: self._of(device)[1],
            "dev_memory": memory,
        }[name]

    def _of(self, device: ctypes.c_void_p) -> tuple[int, bytes | None, int, int]:
        assert device.value is not None
        return self.devices[device.value - 1]


def test_only_devices_that_are_gpus_with_memory_count(monkeypatch: pytest.MonkeyPatch) -> None:
    build = Build((0, b"CPU", 9, 10), (1, b"Card", 5, 8), (2, None, 3, 4), (1, b"Gone", 0, 0), (3, b"BLAS", 1, 1))
    monkeypatch.setattr(module, "_function", build.function)
    monkeypatch.setattr(module.llama_cpp, "llama_supports_gpu_offload", lambda: True)
    assert bindings.gpus() == (Gpu("Card", 8, 5), Gpu("GPU", 4, 3))
    monkeypatch.setattr(module.llama_cpp, "llama_supports_gpu_offload", lambda: False)
    assert bindings.gpus() == ()


def test_ggmls_functions_are_found_in_whichever_library_has_them() -> None:
    assert module._function("dev_count", ctypes.c_size_t)() >= 1  # the processor at least
    with pytest.raises(ModelUnavailable, match="lacks ggml_backend_no_such_thing"):
        module._function("no_such_thing", None)
