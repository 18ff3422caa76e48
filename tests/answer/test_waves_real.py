"""Grammars, schemas, adapters and reuse with the real policy: through Runtime and through the command line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.command import edge_ttp, one_object
from fakes.real import linked_policy, spare_measuring
from policy import tiny

from edge_ttp.cli.main import run
from edge_ttp.errors import InvalidInput, ModelUnavailable
from edge_ttp.runtime import Runtime
from edge_ttp.schema import Generation, HistoryItem, LoraAdapter, Sampling

pytestmark = pytest.mark.real

SCHEMA = {
    "type": "object",
    "properties": {"city": {"enum": ["Paris", "Rome"]}, "sunny": {"type": "boolean"}},
    "required": ["city", "sunny"],
}
DATE = 'root ::= [0-9]{4} "-" [01] [0-9] "-" [0-3] [0-9]'
WIDTH, KEYS = 576, 192  # of SmolLM2-135M: the embedding, and the keys of a layer


@pytest.fixture(scope="module")
def warm_home(tmp_path_factory: pytest.TempPathFactory, policy_path: Path) -> Path:
    """A home with the real policy in which the device was measured already."""
    home = tmp_path_factory.mktemp("warm")
    linked_policy(home, policy_path)
    spare_measuring(home)
    return home


@pytest.fixture(scope="module")
def opened(warm_home: Path) -> Iterator[Runtime]:
    with Runtime.open(home=warm_home, threads=1) as runtime:
        yield runtime


@pytest.fixture
def runtime(opened: Runtime) -> Iterator[Runtime]:
    """With an empty history."""
    yield opened
    opened.history.forget("ann", everything=True)


@pytest.fixture
def in_home(warm_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is run here and in processes of its own finds that home."""
    monkeypatch.setenv("EDGE_TTP_HOME", str(warm_home))


@pytest.fixture
def lora(tmp_path: Path) -> Path:
    """A random adapter for the real policy, strong enough to change what it says."""
    path = tmp_path / "lora.gguf"
    adapted = [(f"blk.{layer}.{name}.weight", rows, WIDTH) for layer in range(4) for name, rows in LAYERS.items()]
    tiny.adapter(path, seed=1, adapted=adapted)
    return path


LAYERS = {"attn_q": WIDTH, "attn_v": KEYS}


def answer(runtime: Runtime, prompt: str = "How is the weather?", **sampling: object) -> Generation:
    drawn = Sampling.model_validate({"max_tokens": 24, **sampling})
    return runtime.generate(prompt, user="ann", n=4, select="consensus", seed=1, sampling=drawn, examples=2)


def texts(generation: Generation) -> list[str]:
    return [one.text for one in generation.candidates]


def test_every_candidate_fits_the_schema_or_the_grammar(runtime: Runtime) -> None:
    runtime.history.add(HistoryItem(user_id="ann", input="and tomorrow?", output="rain"))  # one line, as "\n" would end
    bound = answer(runtime, json_schema=SCHEMA, max_tokens=80)
    for one in bound.candidates:
        found = json.loads(one.text)
        assert one.finish_reason == "stop"
        assert set(found) == {"city", "sunny"}
        assert found["city"] in ("Paris", "Rome")
    for text in texts(answer(runtime, grammar=DATE)):
        assert re.fullmatch(r"\d{4}-[01]\d-[0-3]\d", text)
    with pytest.raises(InvalidInput, match="the grammar is not valid"):
        answer(runtime, grammar="root ::= nothing")
    assert runtime.history.generation(bound.generation_id).sampling.json_schema == SCHEMA


def test_an_adapter_acts_in_the_call_that_names_it_alone(runtime: Runtime, lora: Path) -> None:
    def said(*adapters: LoraAdapter) -> list[str]:
        return texts(answer(runtime, adapters=adapters, max_tokens=10))

    plain, adapted = said(), said(LoraAdapter(path=str(lora)))
    assert adapted != plain
    assert said() == plain
    assert said(LoraAdapter(path=str(lora), scale=0.0)) == plain
    assert said(LoraAdapter(path=str(lora))) == adapted
    with pytest.raises(ModelUnavailable, match="no adapter file"):
        answer(runtime, adapters=(LoraAdapter(path=str(lora.with_name("other.gguf"))),))


def test_filters_change_what_is_drawn_as_they_say(runtime: Runtime) -> None:
    plain = texts(answer(runtime))
    assert any(" the" in text for text in plain)
    assert not any(" the " in text for text in texts(answer(runtime, logit_bias={" the": -1000})))
    cold = texts(answer(runtime, temperatures=(0.0, 1.0), max_tokens=10))
    assert cold[0] == cold[2]
    assert cold[1] != cold[3]
    apart, together = (answer(runtime, share_prefixes=share, max_tokens=10) for share in (False, True))
    assert apart.usage.decoded_rows > together.usage.decoded_rows


def test_a_conversation_is_read_on_and_not_anew(runtime: Runtime) -> None:
    asked = {"user": "ann", "n": 2, "select": "consensus", "examples": 0, "sampling": Sampling(max_tokens=8)}
    opening = "Tell me about the journey to the mountains, and " + "about the snow, " * 50 + "please."
    first = runtime.generate(opening, **asked)  # type: ignore[arg-type]
    second = runtime.generate("Who was there?", turns=[(opening, first.text)], recall_for=opening, **asked)  # type: ignore[arg-type]
    assert first.usage.prompt_tokens > 128
    assert second.usage.cached_prompt_tokens >= first.usage.prompt_tokens // 128 * 128
    assert second.timings.reuse_saved_s > 0
    assert first.timings.device == "cpu" or first.timings.device.startswith("gpu")


@pytest.mark.usefixtures("in_home")
def test_the_command_line_draws_by_schema_grammar_and_adapter(
    lora: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def said(*arguments: str) -> str:
        assert run(arguments) == 0, capsys.readouterr().err
        return capsys.readouterr().out

    plain = ("generate", "How is the weather?", "--n", "3", "--select", "consensus", "--seed", "1", "--threads", "1")
    schema = tmp_path / "schema.json"
    schema.write_text(json.dumps(SCHEMA), encoding="utf-8")
    found = one_object(edge_ttp(*plain, "--json-schema", str(schema), "--json").stdout)
    assert [set(json.loads(one["text"])) for one in found["candidates"]] == [{"city", "sunny"}] * 3
    assert re.fullmatch(r"\d{4}-[01]\d-[0-3]\d\n", said(*plain, "--grammar", DATE))
    short = (*plain, "--max-tokens", "8", "--json")
    without, changed = one_object(said(*short)), one_object(said(*short, "--lora", str(lora)))
    assert [one["text"] for one in changed["candidates"]] != [one["text"] for one in without["candidates"]]
    assert changed["sampling"]["adapters"] == [{"path": str(lora), "scale": 1.0}]
    assert run([*plain, "--grammar", 'root ::= "a']) == 2
    refused = capsys.readouterr().err
    assert "the grammar is not valid" in refused
    assert refused.count("\n") == 1


@pytest.mark.usefixtures("in_home")
def test_a_chat_answers_by_the_schema(tmp_path: Path) -> None:
    options = ("--n", "2", "--select", "consensus", "--threads", "1", "--json-schema", json.dumps(SCHEMA))
    done = edge_ttp("chat", *options, stdin=b"How is it?\nAnd there?\n")
    assert done.returncode == 0, done.stderr
    answers, rest = [], done.stdout
    while rest.strip():  # JSON may go over several lines
        answer, end = json.JSONDecoder().raw_decode(rest.lstrip())
        answers.append(set(answer))
        rest = rest.lstrip()[end:]
    assert answers == [{"city", "sunny"}] * 2
