"""What llama.cpp's own server is started with. The real one runs in tests/scale and in `edge-ttp bench rivals`."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from edge_ttp.lab.bench.llama_server import parameters

GIVEN = {"model": "x.gguf", "alias": "tiny", "port": 8080, "slots": 4, "context": 2048, "threads": 3}


def test_it_serves_loopback_alone_from_the_cpu_without_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    def empty() -> SimpleNamespace:
        return SimpleNamespace(model=SimpleNamespace(), cpuparams=SimpleNamespace(), cpuparams_batch=SimpleNamespace())

    monkeypatch.setitem(sys.modules, "xllamacpp", SimpleNamespace(CommonParams=empty))  # type: ignore[arg-type]
    made = parameters(GIVEN)
    assert (made.hostnames, made.port) == (["127.0.0.1"], 8080)
    assert (made.model.path, made.model_alias) == ("x.gguf", {"tiny"})
    assert (made.n_parallel, made.n_ctx, made.kv_unified) == (4, 2048, True)
    assert made.cpuparams.n_threads == made.cpuparams_batch.n_threads == 3
    assert (made.n_gpu_layers, made.ui, made.offline) == (0, False, True)
