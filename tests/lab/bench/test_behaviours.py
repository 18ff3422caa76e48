"""The twenty behaviours that clients rely on, every one of them tried on our own server with the real policy."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes.real import spare_measuring

from edge_ttp.lab.bench import rival_servers
from edge_ttp.lab.bench.behaviours import CHECKS, observe
from edge_ttp.lab.bench.rivals import Ground
from edge_ttp.registry import DEFAULT_POLICY


@pytest.mark.real
def test_our_server_keeps_every_one_of_them(models_home: Path, policy_path: Path) -> None:
    spare_measuring(models_home)
    end = rival_servers.end_token(policy_path)
    assert end is not None
    with rival_servers.ours(Ground(DEFAULT_POLICY, policy_path, 2, 2048, 8, end)) as served:
        seen = observe(served)
    assert len(seen) == len(CHECKS) == 20
    assert [(one.number, one.said) for one in seen if one.kept is False] == []
    # Whether anybody asks while the model still loads is a matter of luck; all else can be told.
    assert {one.number for one in seen if one.kept is None} <= {16}
