"""The llama.cpp library: loaded once, its symbols checked.

The modules of this package are the only ones that touch `llama_cpp`.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import Any

from edge_ttp.errors import InvalidInput, ModelUnavailable

# libgomp's threads spin for milliseconds at every barrier (hundreds a token). With a neighbour on one of two cores that
# runs 30 times slower than one thread; with a short spin it is as fast on a quiet machine and loses a half on a busy
# one. The library reads its environment while it loads.
_SPIN = "GOMP_SPINCOUNT"
_spin_given = _SPIN in os.environ
os.environ.setdefault(_SPIN, "1000")

try:
    import llama_cpp
except (ImportError, OSError, RuntimeError) as broken:
    raise ModelUnavailable(
        f"llama-cpp-python does not load here ({broken})",
        "reinstall it: pip install --force-reinstall llama-cpp-python",
    ) from broken
finally:
    if not _spin_given:
        del os.environ[_SPIN]

__all__ = ["llama_cpp"]

_NAMES = """
llama_model_load_from_file llama_model_free llama_model_is_recurrent llama_model_is_hybrid llama_init_from_model
llama_free llama_get_memory llama_memory_clear llama_memory_seq_rm llama_memory_seq_cp llama_decode
llama_get_logits_ith llama_set_abort_callback llama_tokenize llama_token_to_piece llama_vocab_is_eog
llama_vocab_get_attr llama_chat_apply_template llama_model_chat_template llama_model_meta_val_str
llama_supports_gpu_offload llama_log_get llama_log_set llama_max_parallel_sequences llama_print_system_info
llama_sampler_init_grammar llama_sampler_apply llama_sampler_accept llama_sampler_free llama_adapter_lora_init
llama_adapter_lora_free llama_set_adapters_lora llama_set_n_threads llama_state_seq_get_size llama_state_seq_get_data
llama_state_seq_set_data llama_model_n_swa
"""
_SYMBOLS = _NAMES.split()
_PARAMETERS = {"kv_unified", "n_outputs_max", "swa_full", "type_k", "type_v"}
_missing = [name for name in _SYMBOLS if not hasattr(llama_cpp, name)]
_missing += sorted(_PARAMETERS - {name for name, *_ in llama_cpp.llama_context_params._fields_})
if _missing:
    raise ModelUnavailable(
        f"this llama-cpp-python ({llama_cpp.__version__}) lacks {', '.join(_missing)}",
        "install the tested one: pip install llama-cpp-python==0.3.36",
    )

from edge_ttp.policy.bindings import messages  # noqa: E402  # needs the symbols that were checked

messages.listen()


def _load_processors() -> None:
    """Loads the part of ggml that computes, where this build has it in several files, one for each sort of processor
    (GGML_BACKEND_DL, GGML_CPU_ALL_VARIANTS): ggml takes the best one that this processor can run."""
    library = Path(llama_cpp.__file__).resolve().parent / "lib"
    for folder in (library, library.parents[1] / "bin"):  # a frozen app; llama-cpp-python's own wheel
        if any(folder.glob("*ggml-cpu-*")):
            # Found through libllama, so that it is the ggml that libllama itself uses: a wheel holds copies of it.
            load = llama_cpp.llama_cpp._lib.ggml_backend_load_all_from_path
            load.argtypes, load.restype = [ctypes.c_char_p], None
            load(os.fsencode(folder))
            return


_load_processors()

_used_by: list[int] = []  # the process that has computed with llama.cpp


def check_process() -> None:
    """Raises InvalidInput in a process forked from one that had computed with llama.cpp already.

    Its threads (OpenMP's) are not there after a fork: the child would wait for them for ever.
    """
    here = os.getpid()
    if not _used_by:
        _used_by.append(here)
    elif _used_by[0] != here:
        raise InvalidInput(
            "this process was forked from one that had used its policy already",
            "start processes with multiprocessing's spawn, or open runtimes only after the fork",
        )


def version() -> str:
    """The version of llama-cpp-python."""
    return str(llama_cpp.__version__)


def system_info() -> str:
    """llama.cpp's own line on the CPU features and back ends it was built with."""
    return str(llama_cpp.llama_print_system_info().decode("utf-8", "replace")).strip()


def max_sequences() -> int:
    """Most sequences that one context can hold."""
    return int(llama_cpp.llama_max_parallel_sequences())


def plain_completer(path: Path, *, context: int, threads: int, gpu_layers: int = 0) -> Any:
    """llama-cpp-python's own `Llama` on the same file: what the benchmarks compare with."""
    return llama_cpp.Llama(
        model_path=str(path),
        n_ctx=context,
        n_threads=threads,
        n_threads_batch=threads,
        n_gpu_layers=gpu_layers,
        verbose=False,
    )
