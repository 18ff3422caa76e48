"""Graphs by optimum: torch to ONNX with inputs and outputs of our own, fused operators, INT8 by processor."""

from __future__ import annotations

import inspect
import logging
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal, cast

import edge_ttp.reward.session  # before optimum: it keeps onnxruntime from writing a device id  # noqa: F401
from edge_ttp.reward.graph_bounds import DOMAINS

# isort: split
import onnx
from optimum.exporters.onnx import OnnxConfig, onnx_export_from_model
from optimum.onnxruntime import AutoQuantizationConfig, OptimizationConfig, ORTOptimizer, ORTQuantizer
from optimum.onnxruntime.configuration import AutoCalibrationConfig
from optimum.utils import NormalizedConfig
from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel

OPSET = 17
FUSED_DOMAINS = (*DOMAINS, b"com.microsoft")
"""Fused operators are onnxruntime's own. The runtime takes plain ONNX alone; what measures may say otherwise."""

Processor = Literal["avx2", "avx512_vnni", "arm64"]
PROCESSORS: tuple[Processor, ...] = ("avx2", "avx512_vnni", "arm64")

_KEY, _FILE = "model", "model.onnx"
Axes = Mapping[str, dict[int, str]]


class _GraphConfig(OnnxConfig):  # type: ignore[misc]
    """What optimum asks about a graph, for any inputs and outputs: no stock task has a head of several outputs."""

    NORMALIZED_CONFIG_CLASS = NormalizedConfig
    DEFAULT_ONNX_OPSET = OPSET

    def __init__(self, config: PretrainedConfig, example: Mapping[str, Tensor], outputs: Sequence[str], axes: Axes):
        super().__init__(config)
        self._example, self._outputs, self._axes = dict(example), tuple(outputs), axes

    @property
    def inputs(self) -> dict[str, dict[int, str]]:
        """Dynamic axes of each input."""
        return {name: dict(self._axes.get(name, {})) for name in self._example}

    @property
    def outputs(self) -> dict[str, dict[int, str]]:
        """Dynamic axes of each output."""
        return {name: dict(self._axes.get(name, {})) for name in self._outputs}

    def generate_dummy_inputs(self, framework: str = "pt", **_: Any) -> dict[str, Any]:
        """The example."""
        return {name: one if framework == "pt" else one.numpy() for name, one in self._example.items()}


def export_graph(
    module: nn.Module, example: tuple[Tensor, ...], inputs: Sequence[str], outputs: Sequence[str], axes: Axes
) -> onnx.ModelProto:
    """`module` as ONNX. `inputs` are the parameters of its forward, in their order.

    Axes that `axes` names are dynamic; the others are as in `example`.
    """
    host = PreTrainedModel(PretrainedConfig())
    host.module = module.eval()

    def forward(*args: Any, **named: Any) -> dict[str, Tensor]:
        found = module(*args, **named)
        return dict(zip(outputs, found if isinstance(found, tuple) else (found,), strict=True))

    # Not functools.wraps: optimum takes what is wrapped for one of transformers' own methods.
    cast(Any, forward).__signature__ = inspect.signature(module.forward)
    host.forward = forward
    config = _GraphConfig(host.config, dict(zip(inputs, example, strict=True)), outputs, axes)
    with tempfile.TemporaryDirectory(prefix="edge-ttp-export-") as folder, _quiet():
        onnx_export_from_model(
            host,
            folder,
            opset=OPSET,
            custom_onnx_configs={_KEY: config},
            do_validation=False,  # the gates compare with torch on real pools
            no_post_process=True,
            task="feature-extraction",
        )
        model = onnx.load(str(Path(folder) / _FILE))
    onnx.checker.check_model(model, full_check=True)
    return model


def fused(model: onnx.ModelProto, config: PretrainedConfig) -> onnx.ModelProto:
    """The graph with attention, bias and GELU, and layer norms each as one operator of onnxruntime's."""
    with _folder(model, config) as folder:
        wanted = OptimizationConfig(
            optimization_level=1, enable_transformers_specific_optimizations=True, disable_shape_inference=True
        )
        ORTOptimizer.from_pretrained(folder, file_names=[_FILE]).optimize(wanted, save_dir=folder / "fused")
        return _typed(onnx.load(str(folder / "fused" / "model_optimized.onnx")))


def dynamic_int8(model: onnx.ModelProto, config: PretrainedConfig, processor: Processor) -> onnx.ModelProto:
    """Weights in 8 bits a channel; activations in 8 bits by the largest value of the whole batch, found as it runs."""
    with _folder(model, config) as folder:
        wanted = getattr(AutoQuantizationConfig, processor)(is_static=False, per_channel=True)
        ORTQuantizer.from_pretrained(folder, file_name=_FILE).quantize(wanted, save_dir=folder / "int8")
        return onnx.load(str(folder / "int8" / "model_quantized.onnx"))


def static_int8(
    model: onnx.ModelProto,
    config: PretrainedConfig,
    processor: Processor,
    batches: Sequence[Mapping[str, Any]],
) -> onnx.ModelProto:
    """Weights in 8 bits a channel; activations in 8 bits by the largest value that `batches` of inputs have shown."""
    from onnxruntime.quantization import QuantFormat

    with _folder(model, config) as folder:
        wanted = getattr(AutoQuantizationConfig, processor)(
            is_static=True, per_channel=True, operators_to_quantize=["MatMul"]
        )
        wanted.format = QuantFormat.QOperator  # the session computes QDQ graphs in FP32
        quantizer = ORTQuantizer.from_pretrained(folder, file_name=_FILE)
        rows = [{name: one[0] for name, one in batch.items()} for batch in batches]
        ranges = quantizer.fit(
            cast(Any, rows),
            AutoCalibrationConfig.minmax(_Named()),
            onnx_augmented_model_name=str(folder / "augmented.onnx"),
            operators_to_quantize=["MatMul"],
        )
        quantizer.quantize(wanted, save_dir=folder / "int8", calibration_tensors_range=ranges)
        return onnx.load(str(folder / "int8" / "model_quantized.onnx"))


class _Named:
    """What optimum wants to know of a data set: it only notes it down."""

    info = SimpleNamespace(builder_name="texts", config_name="texts")
    split, num_rows = "texts", 0


def _typed(model: onnx.ModelProto) -> onnx.ModelProto:
    """With the types of what fused operators give, which the quantizer asks for."""
    from onnxruntime.tools.symbolic_shape_infer import SymbolicShapeInference

    return SymbolicShapeInference.infer_shapes(model, auto_merge=True, guess_output_rank=True)


@contextmanager
def _folder(model: onnx.ModelProto, config: PretrainedConfig) -> Iterator[Path]:
    """A folder as optimum reads it: the graph and what is known of the network."""
    with tempfile.TemporaryDirectory(prefix="edge-ttp-export-") as temporary, _quiet():
        folder = Path(temporary)
        onnx.save(model, str(folder / _FILE))
        config.save_pretrained(folder)
        yield folder


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the libraries' notes about successors and missing shapes: what matters is measured by the gates."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
