"""llama.cpp through llama-cpp-python's low-level API: the only package that touches `llama_cpp`.

`Model` is a loaded GGUF, `Context` a KV cache that decodes batches in which one row may belong to several sequences.
A context is not safe to use from two threads at once; policy/llama.py holds the turn.
"""

from edge_ttp.policy.bindings.context import Context, grain_of
from edge_ttp.policy.bindings.gpus import gpus
from edge_ttp.policy.bindings.library import max_sequences, plain_completer, system_info, version
from edge_ttp.policy.bindings.llama_model import Model
from edge_ttp.policy.bindings.loaded_adapter import LoadedAdapter
from edge_ttp.policy.bindings.quantizing import FORMATS, Quantized, quantize
from edge_ttp.policy.bindings.replay import Step, replay

__all__ = [
    "FORMATS",
    "Context",
    "LoadedAdapter",
    "Model",
    "Quantized",
    "Step",
    "gpus",
    "grain_of",
    "max_sequences",
    "plain_completer",
    "quantize",
    "replay",
    "system_info",
    "version",
]
