"""The plugin with the real llm, found by its entry point, on the real policy. Run by `make test-clients`."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge_ttp import Runtime

llm = pytest.importorskip("llm", reason="make test-clients installs it")
pytestmark = [pytest.mark.clients, pytest.mark.real]


def test_the_command_answers_and_keeps_a_document_apart(models_home: Path, tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("The picnic is on Friday at nine.")
    environment = {**os.environ, "LLM_USER_PATH": str(tmp_path / "llm"), "EDGE_TTP_HOME": str(models_home)}
    asked = ["-m", "edge-ttp", "-o", "n", "2", "-o", "max_tokens", "12", "-o", "seed", "3", "-o", "user", "ada"]
    done = subprocess.run(
        [sys.executable, "-m", "llm", *asked, "-f", str(notes), "When is the picnic?"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    with Runtime.open() as runtime:
        (made,) = runtime.generations("ada")
        assert made.prompt == "When is the picnic?"
        assert made.n == 2


def test_a_conversation_a_schema_and_a_stream(models_home: Path) -> None:
    conversation = llm.get_model("edge-ttp").conversation()
    first = conversation.prompt("Is it done?", n=1, max_tokens=8, seed=1)
    assert "".join(first) == first.text() != ""
    assert first.response_json["n"] == 1
    second = conversation.prompt("And the other one?", n=2, max_tokens=8, seed=1, system="Be kind.")
    assert second.text()
    assert second.usage().input > first.usage().input
    person = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    assert llm.get_model("edge-ttp").prompt("Who?", schema=person, n=1, max_tokens=60, seed=1).text().startswith("{")


def test_the_async_model_says_the_same(models_home: Path) -> None:
    async def main() -> str:
        model = llm.get_async_model("edge-ttp")
        text = await model.prompt("Is it done?", n=1, max_tokens=8, seed=1).text()
        await model._runtime.close()
        return str(text)

    assert asyncio.run(main()) == llm.get_model("edge-ttp").prompt("Is it done?", n=1, max_tokens=8, seed=1).text()
