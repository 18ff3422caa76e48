"""The choice of a format: the rule on made-up numbers, and the whole way on a model of a few kilobytes."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from edge_ttp.cli import bench, models
from edge_ttp.cli.main import run
from edge_ttp.errors import InvalidInput, ModelUnavailable
from edge_ttp.lab.bench.passages import text_of
from edge_ttp.paths import Paths, locate
from edge_ttp.policy.formats import speeds
from edge_ttp.policy.formats.derive import MAX_KL, Text, decide, derive, in_words, measure, table
from edge_ttp.policy.formats.fidelity import Fidelity
from edge_ttp.policy.formats.speeds import COUNTS, FormatSpeed
from edge_ttp.registry import Registry
from policy.formats.test_speeds import visit
from policy.tiny_store import tiny_store

LOSS = Fidelity(512, 0.01, 0.001, 0.1, 0.95, 31.0, 30.0)


def speed(ratio: float, faster: int = 5) -> FormatSpeed:
    return FormatSpeed(100.0, dict.fromkeys(COUNTS, 50.0), ratio, dict.fromkeys(COUNTS, ratio), ratio, faster, 5)


def losses(**kl: float) -> dict[str, Fidelity | None]:
    return {"Q4_1": None, **{name: replace(LOSS, mean_kl=value) for name, value in kl.items()}}


def choose(found: Mapping[str, FormatSpeed], sizes: Mapping[str, int] | None = None, **kl: float) -> str:
    everything = {"Q4_1": speed(1.0, 0), **found}
    return decide("Q4_1", everything, losses(**kl), sizes or dict.fromkeys(everything, 100))[0]


# --- the rule ---


def test_the_fastest_format_within_the_loss_is_chosen() -> None:
    found = {"Q4_0": speed(2.0), "Q8_0": speed(1.6), "F16": speed(1.3)}
    assert choose(found, Q4_0=0.4, Q8_0=0.01, F16=0.004) == "Q8_0"
    assert choose(found, Q4_0=0.05, Q8_0=0.01, F16=0.004) == "Q4_0"
    assert choose(found, Q4_0=0.4, Q8_0=0.3, F16=0.2) == "Q4_1"


def test_a_gain_must_be_plain_and_show_in_four_of_five_rounds() -> None:
    assert choose({"Q8_0": speed(1.04)}, Q8_0=0.0) == "Q4_1"
    assert choose({"Q8_0": speed(1.05)}, Q8_0=0.0) == "Q8_0"
    assert choose({"Q8_0": speed(1.5, faster=3)}, Q8_0=0.0) == "Q4_1"
    assert choose({"Q8_0": speed(1.5, faster=4)}, Q8_0=0.0) == "Q8_0"


def test_among_equally_fast_formats_the_smaller_file_is_chosen() -> None:
    found = {"F16": speed(1.52), "Q8_0": speed(1.5)}
    assert choose(found, {"Q4_1": 98, "F16": 270, "Q8_0": 145}, F16=0.0, Q8_0=0.01) == "Q8_0"
    assert choose(found | {"F16": speed(1.6)}, {"Q4_1": 98, "F16": 270, "Q8_0": 145}, F16=0.0, Q8_0=0.01) == "F16"


def test_the_reason_names_numbers_and_what_was_passed_over() -> None:
    everything = {"Q4_1": speed(1.0, 0), "Q4_0": speed(2.0), "Q8_0": speed(1.6)}
    sizes = dict.fromkeys(everything, 100)
    _, reason = decide("Q4_1", everything, losses(Q4_0=0.4, Q8_0=0.01), sizes)
    assert reason == (
        "Q8_0: 1.60 times as fast as Q4_1 for a usual request (256 prompt tokens, 8 to 32 candidates of 24), in 5 of 5 "
        "rounds, at a mean KL divergence of 0.010 nats (allowed: 0.05); faster but too lossy: Q4_0 (2.00x, KL 0.400)"
    )
    _, reason = decide("Q4_1", {"Q4_1": speed(1.0, 0)}, losses(), {"Q4_1": 100})
    assert reason == "Q4_1, the model's own file: no other format was measured (mean KL at most 0.05 nats)"


# --- the whole way ---


@pytest.fixture
def paths(home: Path) -> Paths:
    return locate(home)


@pytest.fixture
def registry(paths: Paths, tmp_path: Path) -> Registry:
    return tiny_store(paths, tmp_path)


@pytest.fixture
def text() -> Text:
    return text_of([[("a", "b ab"), ("c", "a bc"), ("ab", "c a"), ("b", "b")]], "a test")


@pytest.mark.slow
def test_a_derived_format_keeps_its_loss_and_speeds_in_its_manifest(registry: Registry, text: Text) -> None:
    stages: list[str] = []
    made = derive(
        registry, "tiny", "Q8_0", text, threads=1, rounds=1, report=lambda stage, done, total: stages.append(stage)
    )
    assert made == registry.locate("tiny:Q8_0")
    assert [*dict.fromkeys(stages)] == [
        "making Q8_0",
        "reading F32 for comparison",
        "comparing Q8_0",
        "measuring speeds",
    ]
    manifest = registry.manifest("tiny:Q8_0")
    assert manifest.recipe["requantized"] is False
    assert "llama_model_quantize of llama-cpp-python" in str(manifest.recipe["tool"])
    loss, speed = manifest.measurements["loss"], manifest.measurements["speed"]
    assert isinstance(loss, dict)
    assert isinstance(speed, dict)
    assert {"text", "mean_kl", "p99_kl", "top1_agreement", "perplexity", "perplexity_reference"} <= set(loss)
    assert 0 < float(str(loss["mean_kl"])) < 0.5
    assert isinstance(speed["decode_tps"], dict)
    assert set(speed["decode_tps"]) == {"1", "8", "32"}
    first, second = in_words(manifest)
    assert "tokens of the a test: KL 0." in first
    assert second.startswith("times as fast as F32: decoding ")


@pytest.mark.slow
def test_bench_measures_what_is_here_and_what_is_asked_for_and_leaves_nothing(
    registry: Registry, paths: Paths, text: Text
) -> None:
    derive(registry, "tiny", "Q8_0", text, threads=1, rounds=1)
    found = measure(registry, paths, "tiny", ["Q4_0", "Q8_0"], text, threads=1, rounds=1)
    as_dict = found.as_dict()
    assert [(row["format"], row["n"]) for row in as_dict["rows"]] == [
        (name, n) for name in ("F32", "Q8_0", "Q4_0") for n in (1, 8, 32)
    ]
    assert all(row["prompt_tps"] > 0 and row["decode_tps"] > 0 and row["size_bytes"] > 0 for row in as_dict["rows"])
    assert as_dict["choice"] in ("F32", "Q8_0", "Q4_0")
    assert as_dict["formats"]["F32"]["loss"] is None
    assert as_dict["formats"]["Q4_0"]["loss"]["mean_kl"] > as_dict["formats"]["Q8_0"]["loss"]["mean_kl"]
    assert json.loads(json.dumps(as_dict)) == as_dict
    assert [one.format for one in registry.formats("tiny")] == ["F32", "Q8_0"]
    assert registry.choice("tiny") is None
    assert not [*paths.cache.glob("formats-*")]
    assert len(table(found)) == 9


@pytest.mark.slow
def test_a_chosen_format_that_was_made_for_the_measurement_is_kept(
    registry: Registry, paths: Paths, text: Text, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speeds, "visit", lambda path, **_: visit(0.5 if path.name.startswith("Q8_0") else 1.0))
    found = measure(registry, paths, "tiny", ["Q8_0", "F16"], text, threads=1, rounds=2, max_kl=9, choose=True)
    assert found.choice == "Q8_0"
    assert registry.locate("tiny").name == "tiny:Q8_0"
    choice = registry.choice("tiny")
    assert choice is not None
    assert choice.reason == found.reason
    manifest = registry.manifest("tiny:Q8_0")
    assert isinstance(manifest.measurements["loss"], dict)
    assert [one.format for one in registry.formats("tiny")] == ["F32", "Q8_0"]


def test_the_own_file_can_be_the_choice(
    registry: Registry, paths: Paths, text: Text, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speeds, "visit", lambda path, **_: visit(1.0))
    found = measure(registry, paths, "tiny", ["Q4_0"], text, threads=1, rounds=2, choose=True)
    assert found.choice == "F32"
    assert registry.locate("tiny").name == "tiny"
    choice = registry.choice("tiny")
    assert choice is not None
    assert choice.format == "F32"


@pytest.mark.slow
def test_losses_are_measured_again_on_another_text(registry: Registry, paths: Paths, text: Text) -> None:
    derive(registry, "tiny", "Q8_0", text, threads=1, rounds=1)
    other = text_of([[("b", "a"), ("b", "c"), ("b", "ab"), ("a", "b")]], "another test")
    one, two = (measure(registry, paths, "tiny", [], what, threads=1, rounds=1) for what in (text, other))
    kept = registry.manifest("tiny:Q8_0").measurements["loss"]
    first, second = one.losses["Q8_0"], two.losses["Q8_0"]
    assert first is not None
    assert second is not None
    assert isinstance(kept, dict)
    assert first.mean_kl == kept["mean_kl"] != second.mean_kl


@pytest.mark.slow
@pytest.mark.parametrize("asked", [["Q3"], ["F32"]])
def test_a_format_that_cannot_be_made_is_refused_before_any_work(
    registry: Registry, paths: Paths, text: Text, asked: list[str]
) -> None:
    with pytest.raises(InvalidInput, match="cannot be made; choose from F16"):
        measure(registry, paths, "tiny", asked, text, threads=1)
    with pytest.raises(InvalidInput):
        derive(registry, "tiny", asked[0], text, threads=1)


@pytest.mark.slow
def test_a_damaged_own_file_is_refused_before_any_work(registry: Registry, paths: Paths, text: Text) -> None:
    registry.own("tiny").path.write_bytes(b"GGUF")
    with pytest.raises(ModelUnavailable, match="is truncated"):
        derive(registry, "tiny", "Q8_0", text, threads=1)


@pytest.mark.slow
def test_a_format_is_used_wherever_a_model_is_named(registry: Registry, paths: Paths, home: Path, text: Text) -> None:
    from edge_ttp import Runtime
    from edge_ttp.schema import Sampling

    short = Sampling(max_tokens=4)
    derive(registry, "tiny", "Q8_0", text, threads=1, rounds=1)
    for name, expected in (("tiny", "tiny"), ("tiny:q8_0", "tiny:Q8_0"), ("tiny:F32", "tiny:F32")):
        with Runtime.open(home=home, model=name, threads=1) as runtime:
            found = runtime.generate("a b", user="u", n=2, seed=1, select="logprob", sampling=short)
            assert found.model == expected
    registry.choose("tiny", "Q8_0")
    with Runtime.open(home=home, model="tiny", threads=1) as runtime:
        assert runtime.generate("a b", user="u", n=2, seed=1, select="logprob", sampling=short).model == "tiny:Q8_0"


# --- the commands ---


def test_the_help_page_states_the_bounds_that_are_used() -> None:
    bench_options = inspect.signature(bench.formats_command).parameters
    derive_options = inspect.signature(models.derive_command).parameters
    assert bench_options["max_kl"].default == MAX_KL
    assert bench_options["rounds"].default == derive_options["rounds"].default == speeds.ROUNDS


def out(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    assert run([*arguments]) == code
    return capsys.readouterr().out


@pytest.mark.slow
def test_derive_list_path_and_rm_from_the_command_line(
    registry: Registry, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data.jsonl"
    data.write_text("".join(f'{{"input": "a{index}", "output": "b c {index}"}}\n' for index in range(4)))
    arguments = ("--rounds", "1", "--threads", "1", "--data", str(data))
    made = json.loads(out(capsys, "models", "derive", "tiny", "--format", "q8_0", "--choose", "--json", *arguments))
    assert (made["name"], made["chosen"]) == ("tiny:Q8_0", True)
    assert made["measurements"]["loss"]["text"] == "data.jsonl"
    assert out(capsys, "models", "path", "tiny").strip() == made["path"]
    assert "used here" in out(capsys, "models", "list", "--installed")
    lines = out(capsys, "models", "derive", "tiny", "--format", "Q8_0", *arguments).splitlines()
    assert lines[0].startswith("tiny:Q8_0: ")
    assert len(lines) == 3
    assert out(capsys, "models", "verify", "tiny").splitlines() == ["tiny: ok", "tiny:Q8_0: ok"]
    assert "removed" in out(capsys, "models", "rm", "tiny:q8_0")
    error = json.loads(out(capsys, "models", "derive", "tiny", "--format", "Q9", "--json", code=2))["error"]
    assert error["code"] == "invalid_input"


@pytest.mark.slow
def test_bench_formats_prints_one_object_or_a_table(registry: Registry, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("bench", "formats", "tiny", "--format", "q8_0", "--rounds", "1", "--threads", "1", "--max-kl", "99")
    found = json.loads(out(capsys, *arguments, "--json"))
    assert {"rows", "choice", "reason", "formats", "device"} <= set(found)
    assert {"format", "n", "prompt_tps", "decode_tps", "size_bytes"} <= set(found["rows"][0])
    printed = out(capsys, *arguments)
    assert printed.splitlines()[0].split()[:2] == ["format", "MB"]
    assert "Q8_0" in printed
