"""onnxruntime sessions, made here only: telemetry off, explicit threads, providers checked, errors with a cure.

The official onnxruntime wheels write a device id into the user's cache folder when they are imported, unless
ORT_DISABLE_TELEMETRY is set before. This module sets it, and so must be imported before onnxruntime.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_ttp.errors import ModelUnavailable
from edge_ttp.reward.graph_bounds import DOMAINS, refuse_unbounded

TELEMETRY_VARIABLE = "ORT_DISABLE_TELEMETRY"

TELEMETRY_OFF = "onnxruntime" not in sys.modules or os.environ.get(TELEMETRY_VARIABLE) == "1"
"""False where the host application had imported onnxruntime, with its telemetry on, before this module."""

if not TELEMETRY_OFF:
    warnings.warn(
        "onnxruntime was imported before edge_ttp, so its telemetry may already be on: "
        f"import edge_ttp.reward.session first, or set {TELEMETRY_VARIABLE}=1 for the process",
        RuntimeWarning,
        stacklevel=2,
    )
os.environ[TELEMETRY_VARIABLE] = "1"

import onnxruntime  # noqa: E402

onnxruntime.set_default_logger_severity(4)  # errors arrive as exceptions; a coloured log would stand beside them

from onnxruntime.capi import onnxruntime_pybind11_state as _state  # noqa: E402

# onnxruntime's own exceptions share no base class; its Python side adds two of Python's.
_ERRORS: tuple[type[Exception], ...] = (
    ValueError,
    RuntimeError,
    *(kind for kind in vars(_state).values() if isinstance(kind, type) and issubclass(kind, Exception)),
)

Array = npt.NDArray[Any]

_NUMBERS = ("tensor(float)", "tensor(double)", "tensor(float16)")
"""Types of output that a reward model's graph may have."""


class Session:
    """One loaded ONNX graph. `run` may be called from several threads."""

    def __init__(
        self,
        model: bytes,
        *,
        name: str,
        inputs: Sequence[str],
        outputs: Sequence[str],
        threads: int,
        providers: Sequence[str] = ("CPUExecutionProvider",),
        domains: Sequence[bytes] = DOMAINS,
    ) -> None:
        """Loads `model` (the bytes of an ONNX file) for `threads` threads.

        The bytes are loaded, not a path: what was checked is what runs. A graph that names other files is refused.
        `domains`: whose operators it may use (edge_ttp.reward.graph_bounds).
        Raises ModelUnavailable where onnxruntime refuses the graph, a wanted input or output is missing, or the first
        of `providers` is not the one in use.
        """
        self.name = name
        refuse_unbounded(model, name, domains)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = max(1, threads)
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.log_severity_level = 4  # errors arrive as exceptions; nothing is printed over the app's own output
        # Waiting threads that spin would take the cores that the policy decodes on.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # Weights that a graph dequantizes become FP32 at load: the same numbers on every CPU, with or without VNNI.
        options.add_session_config_entry("session.disable_quant_qdq", "1")
        options.add_session_config_entry("session.load_model_format", "ONNX")  # its other format is not checked
        try:
            self._session = onnxruntime.InferenceSession(model, options, providers=list(providers))
        except _ERRORS as error:
            raise ModelUnavailable(f"onnxruntime cannot load {name}: {_first_line(error)}", _CURE) from error
        active = self._session.get_providers()
        if not active or active[0] != providers[0]:
            raise ModelUnavailable(
                f"{name} runs on {active[0] if active else 'no provider'}, not on {providers[0]}",
                "install the onnxruntime wheel for this device, or leave the provider unset",
            )
        self.inputs = {one.name: one.shape for one in self._session.get_inputs()}
        self.outputs = [one.name for one in self._session.get_outputs()]
        missing = [wanted for wanted in (*inputs, *outputs) if wanted not in (*self.inputs, *self.outputs)]
        extra = [one for one in self.inputs if one not in inputs]
        if missing or extra:
            raise ModelUnavailable(f"{name} has other inputs or outputs than a reward model: {missing or extra}", _CURE)
        wrong = [one.name for one in self._session.get_outputs() if one.type not in _NUMBERS]
        if wrong:
            raise ModelUnavailable(f"{name} gives what is no number: {wrong[0][:80]}", _CURE)
        self._wanted = list(outputs)

    def run(self, feeds: Mapping[str, Array], outputs: Sequence[str] | None = None) -> list[Array]:
        """The outputs, those asked for at creation in that order unless others are named.

        Raises ModelUnavailable where the graph fails.
        """
        try:
            return [np.asarray(one) for one in self._session.run(list(outputs or self._wanted), dict(feeds))]
        except _ERRORS as error:
            raise ModelUnavailable(f"{self.name} failed to run: {_first_line(error)}", _CURE) from error


_CURE = "pull or export the reward model again"


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def default_threads() -> int:
    """Threads for small graphs: the CPUs this process may use, at most 4."""
    try:
        usable = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS and Windows
        usable = os.cpu_count() or 1
    return min(4, max(1, usable))


def version() -> str:
    """The version of onnxruntime."""
    return str(onnxruntime.__version__)


def providers() -> tuple[str, ...]:
    """Execution providers that this build lists. A session may still fail to get one: ask it afterwards."""
    return tuple(onnxruntime.get_available_providers())
