"""The options of drawing: every field of schema.Sampling has one, and what they say reaches the engine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from fakes import Models
from fakes.command import model_files, one_object
from repository import DOCS

from edge_ttp.cli import chat, drawing, generate
from edge_ttp.cli.main import run
from edge_ttp.policy.request import Request
from edge_ttp.schema import LoraAdapter, Sampling

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


def drawn(models: Models, folder: Path, *options: str) -> Request:
    """What the engine was asked for by `edge-ttp generate` with these options."""
    assert run(["generate", "hi", "--n", "2", "--max-tokens", "4", *model_files(folder), *options]) == 0
    return models.policy.requests[-1]


def test_every_field_of_sampling_is_an_option_of_every_command_that_draws() -> None:
    assert set(drawing.OPTIONS) == set(Sampling.model_fields)
    for module in (generate, chat):
        names = {parameter.name for parameter in typer.main.get_command(module.app).params}
        assert names >= set(Sampling.model_fields)


def test_help_names_the_default_of_every_number() -> None:
    for name, annotation in drawing.OPTIONS.items():
        default = Sampling.model_fields[name].default
        if isinstance(default, int | float) and not isinstance(default, bool):
            assert f"Default: {default:g}" in annotation.__metadata__[0].help


def test_without_options_the_defaults_of_sampling_hold(models: Models, tmp_path: Path) -> None:
    request, plain = drawn(models, tmp_path), Sampling()
    for name in ("top_k", "top_p", "min_p", "temperature", "typical_p", "repetition_penalty", "penalty_window"):
        assert getattr(request.sampling, name) == getattr(plain, name)
    assert (request.sampling, request.grammar) == (plain.model_copy(update={"max_tokens": 4}), None)


def test_numbers_reach_the_engine(models: Models, tmp_path: Path) -> None:
    numbers = ("--typical-p", "0.9", "--repetition-penalty", "1.1", "--presence-penalty", "0.2")
    more = ("--frequency-penalty", "0.1", "--penalty-window", "0", "--temperatures", "0.4,1.2", "--no-share")
    request = drawn(models, tmp_path, *numbers, *more)
    sampling = request.sampling
    assert (sampling.typical_p, sampling.repetition_penalty, sampling.presence_penalty) == (0.9, 1.1, 0.2)
    assert (sampling.frequency_penalty, sampling.penalty_window, sampling.temperatures) == (0.1, 0, (0.4, 1.2))
    assert not sampling.share_prefixes


def test_zeros_are_values(models: Models, tmp_path: Path) -> None:
    sampling = drawn(models, tmp_path, "--top-k", "0", "--min-p", "0", "--temperature", "0").sampling
    assert (sampling.top_k, sampling.min_p, sampling.temperature) == (0, 0.0, 0.0)


def test_a_bias_is_for_a_token_id_or_for_the_tokens_of_a_text(models: Models, tmp_path: Path) -> None:
    biases = ("--logit-bias", "3=-1000", "--logit-bias", "fern apple=0.5", "--logit-bias", "a=b=1")
    assert drawn(models, tmp_path, *biases).logit_bias == ((1, 0.5), (3, -1000.0), (6, 0.5))


def test_adapters_are_files_with_or_without_a_scale(models: Models, tmp_path: Path) -> None:
    options = ("--lora", "a.gguf", "--lora", "b.gguf:0.5", "--lora", "C:/c.gguf")
    expected = (
        LoraAdapter(path="a.gguf"),
        LoraAdapter(path="b.gguf", scale=0.5),
        LoraAdapter(path="C:/c.gguf"),
    )
    assert drawn(models, tmp_path, *options).sampling.adapters == expected


def test_a_grammar_is_a_text_or_a_file(models: Models, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "rules.gbnf"
    file.write_text("12|0", encoding="utf-8")  # a grammar of the fake policy
    assert drawn(models, tmp_path, "--grammar", str(file)).grammar == "12|0"
    assert drawing.read_grammar('root ::= "a"') == 'root ::= "a"'


def test_a_json_schema_is_a_text_or_a_file(tmp_path: Path) -> None:
    file = tmp_path / "schema.json"
    file.write_text(json.dumps(SCHEMA), encoding="utf-8")
    assert drawing.read_schema(str(file)) == drawing.read_schema(f" {json.dumps(SCHEMA)}") == SCHEMA


BAD = {
    "typical-p": (["--typical-p", "0"], "typical_p=0.0"),
    "repetition": (["--repetition-penalty", "-1"], "repetition_penalty=-1.0"),
    "presence": (["--presence-penalty", "nan"], "presence_penalty=nan"),
    "frequency": (["--frequency-penalty", "1000"], "frequency_penalty=1000.0"),
    "window": (["--penalty-window", "-1"], "penalty_window=-1"),
    "temperatures": (["--temperatures", "0.5,warm"], "'0.5,warm' is no list of temperatures"),
    "temperatures below 0": (["--temperatures", "0.5,-1"], "temperatures.1=-1.0"),
    "a bias without a number": (["--logit-bias", "maybe"], "'maybe' is no bias"),
    "a bias that is no number": (["--logit-bias", "maybe=much"], "'maybe=much' is no bias"),
    "an endless bias": (["--logit-bias", "maybe=-inf"], "logit_bias"),
    "a bias for nothing": (["--logit-bias", "=1"], "a logit bias is for no text"),
    "adapter scale": (["--lora", "a.gguf:inf"], "adapters.0.scale=inf"),
    "grammar file": (["--grammar", "/nowhere/rules.gbnf"], "the grammar file '/nowhere/rules.gbnf' cannot be read"),
    "grammar folder": (["--grammar", "/"], "the grammar file '/' cannot be read"),
    "grammar name": (["--grammar", "a\0b"], "cannot be read"),
    "schema file": (["--json-schema", "schema"], "the JSON schema file 'schema' cannot be read (No such file"),
    "schema text": (["--json-schema", '{"type": '], "the JSON schema is no JSON"),
    "schema type": (["--json-schema", '{"type": "unheard-of"}'], "the JSON schema cannot be turned into a grammar"),
    "both": (["--json-schema", "{}", "--grammar", "root ::= x"], "both a grammar and a JSON schema"),
}


@pytest.mark.parametrize(("options", "words"), BAD.values(), ids=BAD)
def test_what_cannot_be_meant_is_one_line_before_a_model_is_loaded(
    models: Models, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], words: str
) -> None:
    files = model_files(tmp_path)
    assert run(["generate", "hi", *files, *options]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("edge-ttp: ")
    assert words in printed.err
    assert printed.err.count("\n") == 1
    assert run(["generate", "hi", *files, *options, "--json"]) == 2
    assert one_object(capsys.readouterr().out)["error"]["code"] == "invalid_input"
    assert models.policies == []


@pytest.mark.parametrize(
    ("data", "words"),
    [(b"\xff\xfe", "is not UTF-8"), (b"x" * (drawing.MAX_FILE_BYTES + 1), "is too long"), (b"[]", "no object")],
)
def test_a_schema_file_that_is_none_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], data: bytes, words: str
) -> None:
    file = tmp_path / "schema.json"
    file.write_bytes(data)
    assert run(["generate", "hi", "--json-schema", str(file)]) == 2
    assert words in capsys.readouterr().err


def test_the_documentation_names_every_field_and_option() -> None:
    text = (DOCS / "policy.md").read_text(encoding="utf-8")
    for name, annotation in drawing.OPTIONS.items():
        assert f"`{name}`" in text
        options = annotation.__metadata__[0].default.split("/")
        if name not in ("temperature", "top_k", "top_p", "min_p", "typical_p") and not name.endswith("penalty"):
            assert name == "penalty_window" or any(option in text for option in options)
