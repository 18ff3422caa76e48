"""Handshake, models, the plan: what is told before anything is drawn."""

from __future__ import annotations

import os

import httpx
import pytest
from fakes import Models

from edge_ttp import __version__
from edge_ttp.registry import DEFAULT_REWARD
from edge_ttp.server.native_models import PROTOCOL

pytestmark = pytest.mark.anyio


async def test_the_handshake_says_which_server_this_is(http: httpx.AsyncClient) -> None:
    info = (await http.get("/ttp/v1/info")).json()
    assert (info["name"], info["version"], info["protocol"]) == ("edge-ttp", __version__, PROTOCOL)
    assert (info["pid"], info["user"], info["policy_url"]) == (os.getpid(), "me", None)
    assert info["default_reward"] is False  # it was opened with another
    assert info["instance"] == (await http.get("/ttp/v1/info")).json()["instance"]


async def test_models_are_those_of_the_store(http: httpx.AsyncClient) -> None:
    models = {one["name"]: one for one in (await http.get("/ttp/v1/models")).json()}
    assert models[DEFAULT_REWARD]["installed"]
    assert models[DEFAULT_REWARD]["kind"] == "reward"
    assert not any("path" in one for one in models.values())


async def test_a_plan_draws_nothing(http: httpx.AsyncClient, models: Models) -> None:
    wish = {"prompt": "what grows here", "budget": {"deadline_s": 2, "max_candidates": 4}}
    told = (await http.post("/ttp/v1/plan?user=ann", json=wish)).json()
    assert 1 <= told["plan"]["n"] <= 4
    assert [point["n"] for point in told["curve"]] == sorted({point["n"] for point in told["curve"]})
    assert models.policy.requests == []
    assert (await http.post("/ttp/v1/plan", json={"select": "luck"})).status_code == 400


async def test_a_diagnosis_says_how_many_resamples_it_takes(http: httpx.AsyncClient) -> None:
    for wrong in ("0", "2001", "x"):
        assert (await http.get(f"/ttp/v1/diagnose?user=ann&bootstrap={wrong}")).status_code == 400
    told = (await http.get("/ttp/v1/diagnose?user=ann&bootstrap=20")).json()
    assert told["own"]["record"]["queries"] == 0
    assert told["c"]["value"] is None
