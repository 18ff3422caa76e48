"""The commands print a manifest, a table or one line of error, and leave the numbers to the package."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edge_ttp.cli.main import run
from edge_ttp.paths import locate
from edge_ttp_export.policy import build, converter
from edge_ttp_export.policy.policy_source import inspect

from .test_policy_run import left_behind

pytestmark = pytest.mark.export

SMALL = ["--positions", "32", "--queries", "2", "--candidates", "2", "--rounds", "1", "--threads", "1"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "texts.jsonl"
    rows = [{"input": f"the printer {index} works", "output": f"printer {index} again"} for index in range(12)]
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


@pytest.fixture
def copies(monkeypatch: pytest.MonkeyPatch, converted: Path) -> None:
    def copy(script: Path, arguments: list[str], *, target: Path, **_: Any) -> None:
        target.write_bytes(converted.read_bytes())

    monkeypatch.setattr(build, "run", copy)


@pytest.mark.usefixtures("copies")
def test_json_is_the_manifest_with_its_gates(checkpoint: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["export", "policy", str(checkpoint), "--quant", "q8_0", "--data", str(data), "--max-kl", "1", "--json"]
    assert run([*arguments, *SMALL]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["kind"], found["format"], found["name"]) == ("policy", "Q8_0", "tiny-llama")
    assert found["measurements"]["gates"][0]["limit"] == 1.0
    assert found["files"][0]["sha256"]


@pytest.mark.usefixtures("copies")
def test_the_table_has_a_row_for_every_format(
    checkpoint: Path, data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    arguments = ["export", "policy", str(checkpoint), "--format", "Q8_0", "--data", str(data), "--max-kl", "5"]
    assert run([*arguments, *SMALL]) == 0
    out = capsys.readouterr().out
    for words in ("F16", "Q8_0", "perplexity", "not beaten in both", "gate: mean KL", "conversion: logits"):
        assert words in out


@pytest.mark.usefixtures("copies")
def test_a_missed_gate_is_one_line_and_an_exit_code(
    checkpoint: Path, data: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["export", "policy", str(checkpoint), "--quant", "Q8_0", "--data", str(data), "--max-size", "1KB"]
    assert run([*arguments, *SMALL]) == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("edge-ttp: Q8_0 was not registered: size, bytes")
    assert left_behind(locate(home)) == []


def test_an_adapter_is_trained_and_exported_for_its_user(
    checkpoint: Path, data: Path, home: Path, script: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "lora"
    arguments = ["export", "lora", str(checkpoint), str(folder), "--data", str(data), "--steps", "25", "--threads", "1"]
    assert run([*arguments, "--rate", "0.01", "--json"]) == 0
    trained = json.loads(capsys.readouterr().out)
    assert trained["loss_last"] < trained["loss_first"]
    arguments = ["export", "policy", str(checkpoint), "--lora", str(folder), "--lora-as", "adapter"]
    assert run([*arguments, "--data", str(data), "--name", "voice", "--threads", "1", "--json"]) == 0
    manifest = json.loads(capsys.readouterr().out)
    assert manifest["kind"] == "adapter"
    effect = manifest["measurements"]["effect"]
    assert effect["perplexity"] < effect["perplexity_without"]
    assert left_behind(locate(home)) == []


def test_a_gguf_is_read_back_and_can_be_looked_over(
    converted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "back"
    assert run(["export", "checkpoint", str(converted), str(out), "--threads", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["architecture"], found["format"], found["folder"]) == ("llama", "F16", str(out))
    assert inspect(out).architecture == "LlamaForCausalLM"
    assert run(["export", "checkpoint", str(converted), str(out)]) == 2
    assert "there already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["policy", "nowhere"], 3),
        (["policy", "nowhere", "--max-size", "much"], 2),
        (["checkpoint", "nowhere.gguf", "out"], 3),
        (["lora", "nowhere", "out"], 3),
        (["converter", "--archive", "nowhere"], 2),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["export", *arguments]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("edge-ttp: ")
    assert captured.err.count("\n") == 1


def test_a_missing_converter_names_its_command(
    checkpoint: Path, data: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(converter.FOLDER_VARIABLE, str(tmp_path))
    assert run(["export", "policy", str(checkpoint), "--data", str(data)]) == 9
    assert "edge-ttp export converter" in capsys.readouterr().err


def test_discard_tells_what_it_freed(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = locate(home).cache / "export" / "abc" / "full.gguf"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"x" * 1000)
    assert run(["export", "discard", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"freed_bytes": 1000}
    assert not kept.exists()
