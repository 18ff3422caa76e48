"""onnxruntime sessions: what is refused, and that nothing is left in the home folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from repository import SHIPPED_REWARD

from edge_ttp.errors import ModelUnavailable
from edge_ttp.reward.session import Session, default_threads, providers


def test_a_graph_that_is_none_is_one_line() -> None:
    with pytest.raises(ModelUnavailable, match="the graph cannot be used: it is no ONNX file") as raised:
        Session(b"not a graph", name="the graph", inputs=("a",), outputs=("b",), threads=1)
    assert "\n" not in str(raised.value)


def run_python(code: str, home: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key != "ORT_DISABLE_TELEMETRY"}
    environment |= {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"), **variables}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)


def test_loading_a_session_leaves_no_trace_in_the_home_folder(tmp_path: Path) -> None:
    code = f"""
from edge_ttp.reward.model import RewardModel
model = RewardModel.load({str(SHIPPED_REWARD)!r})
import os; print(os.environ["ORT_DISABLE_TELEMETRY"])
"""
    done = run_python(code, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "1"
    assert list(tmp_path.rglob("*")) == []


def test_an_app_that_imported_onnxruntime_first_is_warned(tmp_path: Path) -> None:
    code = """
import json, warnings
import onnxruntime
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    from edge_ttp.reward.session import TELEMETRY_OFF
print(json.dumps([TELEMETRY_OFF, [str(one.message) for one in caught if one.category is RuntimeWarning]]))
"""
    off, messages = json.loads(run_python(code, tmp_path).stdout)
    assert off is False
    assert any("telemetry" in message for message in messages)
    off, messages = json.loads(run_python(code, tmp_path, ORT_DISABLE_TELEMETRY="1").stdout)
    assert off is True
    assert messages == []


def sum_graph(kind: int = onnx.TensorProto.FLOAT) -> bytes:
    """`total` = `left` + `right`, vectors."""
    sides = [onnx.helper.make_tensor_value_info(name, kind, [None]) for name in ("left", "right", "total")]
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Add", ["left", "right"], ["total"])], "sum", sides[:2], sides[2:]
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9)
    return model.SerializeToString()


def loaded(**options: Any) -> Session:
    wanted = {"name": "the sum", "inputs": ("left", "right"), "outputs": ("total",), "threads": 1}
    return Session(sum_graph(options.pop("kind", onnx.TensorProto.FLOAT)), **{**wanted, **options})


def test_a_graph_runs_and_gives_what_was_asked_for() -> None:
    one = np.array([1.0, 2.0], dtype=np.float32)
    (total,) = loaded().run({"left": one, "right": one})
    assert total.tolist() == [2.0, 4.0]


def test_a_graph_that_fails_at_work_is_one_line_too() -> None:
    one, other = (np.ones(count, dtype=np.float32) for count in (2, 3))
    with pytest.raises(ModelUnavailable, match="the sum failed to run") as raised:
        loaded().run({"left": one, "right": other})
    assert "\n" not in str(raised.value)
    with pytest.raises(ModelUnavailable, match="failed to run"):
        loaded().run({"left": one})


@pytest.mark.parametrize(
    "wrong", [{"inputs": ("left",)}, {"inputs": ("left", "right", "middle")}, {"outputs": ("mean",)}]
)
def test_other_inputs_or_outputs_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ModelUnavailable, match="other inputs or outputs"):
        loaded(**wrong)


def test_an_output_that_is_no_number_is_refused() -> None:
    with pytest.raises(ModelUnavailable, match="what is no number: total"):
        loaded(kind=onnx.TensorProto.INT64)


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_a_provider_that_is_not_there_is_refused_rather_than_replaced() -> None:
    assert "CPUExecutionProvider" in providers()
    with pytest.raises(ModelUnavailable, match="not on CUDAExecutionProvider"):
        loaded(providers=("CUDAExecutionProvider", "CPUExecutionProvider"))


def test_small_graphs_get_four_threads_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    for usable, threads in ((1, 1), (3, 3), (64, 4)):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, usable=usable: set(range(usable)))
        assert default_threads() == threads
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert default_threads() == 1
