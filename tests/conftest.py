"""Fixtures that all tests share: a private home for every test, and the real models, fetched once per machine."""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy is imported: its matrices here are small

import random
import secrets
import signal
from pathlib import Path

import pytest
from fakes import Models
from fakes.real import linked_policy
from hypothesis import settings
from repository import ROOT

from edge_ttp.paths import locate

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts background jobs with Ctrl-C ignored, and every child inherits that: tests of Ctrl-C need it back.
    signal.signal(signal.SIGINT, signal.default_int_handler)

os.environ["EDGE_TTP_FORMATS"] = "off"  # no test leaves a search for formats running behind it
settings.register_profile("edge-ttp", deadline=None)  # an example may take as long as a busy machine makes it
settings.load_profile("edge-ttp")

MODELS_HOME = Path(os.environ.get("EDGE_TTP_TEST_MODELS", ROOT / ".edge-ttp"))
"""Where `make test` pulls the policy to, once; the tests only read it."""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """EDGE_TTP_HOME, an empty folder of this test's own."""
    folder = tmp_path / "home"
    monkeypatch.setenv("EDGE_TTP_HOME", str(folder))
    monkeypatch.delenv("EDGE_TTP_USER", raising=False)
    return folder


@pytest.fixture(autouse=True)
def drawn_seeds(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a test names no seed, the one that is drawn for it is its own and the same every time.

    A fake policy with few words says nothing at all once in a hundred times; a test must not fail as rarely as that.
    """
    monkeypatch.setattr(secrets, "randbelow", random.Random(request.node.nodeid).randrange)


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> Models:
    """Fake models in place of those that a runtime would load."""
    return Models(monkeypatch)


@pytest.fixture(scope="session")
def policy_path() -> Path:
    """The default policy's GGUF file."""
    found = sorted((locate(MODELS_HOME).models / "smollm2-135m-instruct").glob("*.gguf"))
    if not found:
        pytest.fail(f"the default policy is not below {MODELS_HOME}: run `make models`")
    return found[0]


@pytest.fixture
def models_home(home: Path, policy_path: Path) -> Path:
    """A home whose model store has the default policy (linked, not copied)."""
    linked_policy(home, policy_path)
    return home
