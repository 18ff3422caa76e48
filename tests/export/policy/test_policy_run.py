"""A whole export: built, measured, registered and used; refused or interrupted, nothing half made stays."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from edge_ttp.errors import Cancelled, InvalidInput, OutOfCapacity
from edge_ttp.paths import Paths, locate
from edge_ttp.registry import Registry
from edge_ttp.runtime import Runtime
from edge_ttp_export.export_gates import GateFailed
from edge_ttp_export.policy import build, policy_run, work_folder
from edge_ttp_export.policy.format_gates import FormatLimits
from edge_ttp_export.policy.policy_run import Order, export_policy

pytestmark = pytest.mark.export

SMALL: dict[str, Any] = {"positions": 32, "queries": 2, "candidates": 2, "rounds": 1, "threads": 1}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Twelve items of one user."""
    path = tmp_path / "texts.jsonl"
    rows = [{"input": f"the printer {index} works", "output": f"printer {index} again"} for index in range(12)]
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


@pytest.fixture
def paths(home: Path) -> Paths:
    return locate(home)


@pytest.fixture
def no_conversion(monkeypatch: pytest.MonkeyPatch, converted: Path) -> list[str]:
    """Takes the file converted once instead of converting again; the names of what was converted."""
    seen: list[str] = []

    def copy(script: Path, arguments: list[str], *, target: Path, **_: Any) -> None:
        seen.append(arguments[0])
        shutil.copyfile(converted, target)

    monkeypatch.setattr(build, "run", copy)
    return seen


def left_behind(paths: Paths) -> list[Path]:
    return [path for path in (paths.cache / "export").rglob("*") if path.is_file()]


def test_a_checkpoint_becomes_a_policy_that_answers(checkpoint: Path, data: Path, paths: Paths, script: Path) -> None:
    told: list[str] = []
    order = Order(checkpoint, "Q8_0", data=data, name="mine", licence="MIT", limits=FormatLimits(max_kl=1.0), **SMALL)
    done = export_policy(order, paths, report=lambda what, *_: told.append(what))
    manifest = Registry(paths).manifest("mine")
    assert manifest == done.manifest
    assert (manifest.format, manifest.licence, manifest.derivable, manifest.prompt_style) == (
        "Q8_0",
        "MIT",
        True,
        "chat",
    )
    assert len(str(manifest.recipe["source_sha256"])) == 64
    found = manifest.measurements
    assert [row["format"] for row in found["formats"]] == ["F16", "Q8_0"]  # type: ignore[union-attr, index, call-overload]
    assert found["gates"][0]["passed"] is True  # type: ignore[index, call-overload]
    conversion: Any = found["conversion"]
    assert conversion["logits"]["mean_kl"] < 1e-3
    assert conversion["tokenizer"]["as_text"] == conversion["tokenizer"]["texts"]
    assert conversion["chat_template_kept"] is True
    assert {"converting", "quantizing to Q8_0", "comparing Q8_0", "measuring speeds"} <= set(told)
    assert left_behind(paths) == []
    assert all(one.ok for one in Registry(paths).verify("mine"))
    with Runtime.open(home=paths.data.parent, model="mine", threads=1) as runtime:
        assert len(runtime.generate("the printer works", n=2, seed=1).candidates) == 2


@pytest.mark.usefixtures("no_conversion")
def test_auto_measures_and_explains(checkpoint: Path, data: Path, paths: Paths) -> None:
    order = Order(
        checkpoint, formats=("Q8_0", "Q4_0"), calibrate=data, data=data, limits=FormatLimits(max_kl=5.0), **SMALL
    )
    done = export_policy(order, paths)
    assert {row.format for row in done.rows} == {"F16", "Q8_0", "Q4_0"}
    assert done.chosen.pareto
    assert done.manifest.format == done.chosen.format
    assert done.manifest.measurements["reason"] == done.chosen.reason
    assert done.manifest.recipe["imatrix_text"] == data.name
    assert done.manifest.recipe["imatrix_tokens"] > 0  # type: ignore[operator]


def test_a_quantized_gguf_is_measured_against_itself_and_says_so(
    converted: Path, data: Path, paths: Paths, tmp_path: Path
) -> None:
    from edge_ttp.policy import bindings

    source = tmp_path / "some.gguf"
    bindings.quantize(converted, source, "Q8_0", threads=1)
    order = Order(source, formats=("Q4_0",), data=data, name="again", limits=FormatLimits(max_kl=9.0), **SMALL)
    done = export_policy(order, paths)
    assert [(row.format, row.own) for row in done.rows] == [("Q8_0", True), ("Q4_0", False)]
    assert done.manifest.recipe["source_was_quantized"] == "Q8_0"
    assert "the source was Q8_0 already" in done.chosen.reason
    with pytest.raises(InvalidInput, match="is Q8_0 already"):
        export_policy(Order(source, "Q8_0", data=data, **SMALL), paths)


@pytest.mark.usefixtures("no_conversion")
def test_a_missed_limit_registers_and_leaves_nothing(checkpoint: Path, data: Path, paths: Paths) -> None:
    order = Order(checkpoint, "Q4_0", data=data, name="mine", limits=FormatLimits(max_size=1000), **SMALL)
    with pytest.raises(GateFailed, match="Q4_0 was not registered: size"):
        export_policy(order, paths)
    assert left_behind(paths) == []
    assert not (paths.models / "mine").exists()


def test_an_interrupted_run_goes_on_where_it_was(
    checkpoint: Path, data: Path, paths: Paths, no_conversion: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    order = Order(checkpoint, "Q8_0", data=data, name="mine", **SMALL)
    with monkeypatch.context() as patch:
        patch.setattr(build.Workshop, "quantized", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(Cancelled, match="run the same command again"):
            export_policy(order, paths)
    assert left_behind(paths)
    notes: list[str] = []
    export_policy(order, paths, note=notes.append)
    assert len(no_conversion) == 1
    assert notes == ["going on with an export that was interrupted"]
    assert left_behind(paths) == []


def test_cancelling_ends_the_converter_and_keeps_nothing_unfinished(
    checkpoint: Path, data: Path, paths: Paths, script: Path
) -> None:
    cancel = Event()
    order = Order(checkpoint, "Q8_0", data=data, name="mine", **SMALL)

    def stop(what: str, done: int, total: int) -> None:
        if what == "converting":
            cancel.set()

    with pytest.raises(Cancelled):
        export_policy(order, paths, report=stop, cancel=cancel)
    assert left_behind(paths) == []
    work_folder.discard(paths)
    assert not (paths.cache / "export").exists()


def test_a_disk_too_small_is_found_before_the_work(
    checkpoint: Path, data: Path, paths: Paths, no_conversion: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 10**6))  # type: ignore[attr-defined]
    with pytest.raises(OutOfCapacity, match=r"needs \d+ MiB, 0 MiB are free"):
        export_policy(Order(checkpoint, "Q8_0", data=data, **SMALL), paths)
    assert no_conversion == []
    assert left_behind(paths) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"quant": "Q9_9"}, "'Q9_9' cannot be made"),
        ({"formats": ("Q8_0", "IQ9")}, "'IQ9' cannot be made"),
        ({"name": "smollm2-135m-instruct"}, "is taken"),
        ({"name": "no name"}, "'no name'"),
        ({"imatrix": Path("a"), "calibrate": Path("b")}, "both given"),
    ],
)
def test_orders_that_cannot_be_meant(checkpoint: Path, paths: Paths, change: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words) as caught:
        export_policy(Order(checkpoint, **change), paths)
    assert "\n" not in str(caught.value)


def test_what_a_gguf_source_cannot_have(converted: Path, paths: Paths, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be merged into a GGUF"):
        export_policy(Order(converted, lora=tmp_path), paths)
    with pytest.raises(InvalidInput, match="edge-ttp export checkpoint"):
        export_policy(Order(converted, calibrate=tmp_path), paths)


def test_a_tokenizer_or_template_that_changed_is_told() -> None:
    same: dict[str, Any] = {"tokenizer": {"first_difference": ""}, "chat_template_kept": True}
    assert policy_run.differences(same) == policy_run.differences({}) == []
    changed = {"tokenizer": {"first_difference": "1984"}, "chat_template_kept": False}
    assert [line.split(" ")[2] for line in policy_run.differences(changed)] == ["tokenizer", "chat"]


def test_space_counts_what_is_built_and_what_is_stored(checkpoint: Path) -> None:
    source = policy_run.inspect(checkpoint)
    one, merged = (policy_run.space(source, Order(checkpoint, "Q8_0"), merged=value) for value in (False, True))
    assert one > 2 * source.full_bytes
    assert merged == one + source.size
