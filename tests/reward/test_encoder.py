"""The shipped text encoder and the sessions it runs in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from repository import SHIPPED_REWARD

from edge_ttp.errors import ModelUnavailable
from edge_ttp.reward.config import read_checked, read_config
from edge_ttp.reward.encoder import TextEncoder
from edge_ttp.reward.session import Session


@pytest.fixture(scope="module")
def encoder() -> TextEncoder:
    config, _ = read_config(SHIPPED_REWARD)
    return TextEncoder(
        read_checked(SHIPPED_REWARD, config.encoder.graph),
        read_checked(SHIPPED_REWARD, config.encoder.tokenizer),
        name="shipped",
        fingerprint="f",
        width=config.encoder.width,
        max_tokens=config.encoder.max_tokens,
        threads=1,
    )


@pytest.mark.real
def test_vectors_have_unit_length_and_keep_their_order(encoder: TextEncoder) -> None:
    texts = ["short", "a much longer text " * 20, "", "middle sized text of some words", "🙂", "\x00"]
    vectors = encoder.encode(texts)
    assert vectors.shape == (len(texts), encoder.width)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    for text, vector in zip(texts, vectors, strict=True):
        np.testing.assert_allclose(encoder.encode([text])[0], vector, atol=1e-5)


@pytest.mark.real
def test_texts_of_like_meaning_are_nearer(encoder: TextEncoder) -> None:
    cat, kitten, market = encoder.encode(["The cat sleeps", "A kitten is asleep", "Stock markets fell sharply"])
    assert cat @ kitten > cat @ market


@pytest.mark.real
def test_no_texts_give_no_vectors(encoder: TextEncoder) -> None:
    assert encoder.encode([]).shape == (0, encoder.width)


@pytest.mark.real
def test_a_huge_text_is_cut(encoder: TextEncoder) -> None:
    start = "word " * 500
    np.testing.assert_allclose(encoder.encode([start + "x" * 10_000_000]), encoder.encode([start]), atol=1e-6)


@pytest.mark.real
def test_more_texts_than_one_run_holds(encoder: TextEncoder) -> None:
    texts = [f"text number {index}" for index in range(150)]
    vectors = encoder.encode(texts)
    np.testing.assert_allclose(vectors[149], encoder.encode([texts[149]])[0], atol=1e-5)


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
