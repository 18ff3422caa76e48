"""A thread pool of ggml's own for one context, in place of the one that llama.cpp makes for every computation.

Only measurements attach one (`edge-ttp bench engine`): built with OpenMP, ggml computes with
OpenMP's threads anyway.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from edge_ttp.errors import OutOfCapacity
from edge_ttp.policy.bindings.context import Context
from edge_ttp.policy.bindings.library import llama_cpp

_MOST_THREADS = 512


class _PoolParameters(ctypes.Structure):
    """ggml_threadpool_params of ggml.h."""

    _fields_ = [
        ("cpumask", ctypes.c_bool * _MOST_THREADS),
        ("n_threads", ctypes.c_int),
        ("prio", ctypes.c_int),
        ("poll", ctypes.c_uint32),
        ("strict_cpu", ctypes.c_bool),
        ("paused", ctypes.c_bool),
    ]


@contextmanager
def pool_of(context: Context, *, threads: int, poll: int) -> Iterator[None]:
    """The context computes with a pool of its own while the block runs.

    `poll`: how long its threads spin while they wait, 0 (not at all) to 100. Raises OutOfCapacity where it cannot be
    made.
    """
    library: Any = llama_cpp.llama_cpp._lib
    library.ggml_threadpool_params_default.argtypes = [ctypes.c_int]
    library.ggml_threadpool_params_default.restype = _PoolParameters
    library.ggml_threadpool_new.argtypes = [ctypes.POINTER(_PoolParameters)]
    library.ggml_threadpool_new.restype = ctypes.c_void_p
    library.ggml_threadpool_free.argtypes = [ctypes.c_void_p]
    library.ggml_threadpool_free.restype = None
    library.llama_attach_threadpool.argtypes = [ctypes.c_void_p] * 3
    library.llama_attach_threadpool.restype = library.llama_detach_threadpool.restype = None
    library.llama_detach_threadpool.argtypes = [ctypes.c_void_p]
    parameters = library.ggml_threadpool_params_default(threads)
    parameters.poll = poll
    pool = library.ggml_threadpool_new(ctypes.byref(parameters))
    if not pool:
        raise OutOfCapacity("ggml makes no thread pool", "ask for fewer threads")
    library.llama_attach_threadpool(context.handle, pool, pool)
    try:
        yield
    finally:
        library.llama_detach_threadpool(context.handle)
        library.ggml_threadpool_free(pool)
