"""What the tests of scale share: a small policy, texts of many users, a cluster of several nodes."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from repository import ROOT

WORDS = "we meet at the station by noon and walk along the old river with bread and tea".split()  # noqa: SIM905


@pytest.fixture(scope="session")
def small_policy(tmp_path_factory: pytest.TempPathFactory, policy_path: Path) -> Path:
    from tests.scale.small_policy import write_small_policy  # gguf comes with the extra `export`

    return write_small_policy(tmp_path_factory.mktemp("policy") / "small.gguf", policy_path)


def texts(users: int, items: int) -> list[dict[str, Any]]:
    """Short texts of so many users, the same every time."""
    chance = random.Random(5)

    def words(count: int) -> str:
        return " ".join(chance.choice(WORDS) for _ in range(count))

    return [
        {"user_id": f"user {user}", "order": order, "input": words(4), "output": words(6)}
        for user in range(users)
        for order in range(items)
    ]


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Path]:
    """Writes texts of so many users to a file."""

    def write(users: int, items: int) -> Path:
        path = tmp_path / "notes.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in texts(users, items)))
        return path

    return write


@pytest.fixture(scope="session")
def cluster() -> Iterator[Any]:
    """A cluster of three nodes of a core each, on this machine."""
    from edge_ttp_export.places.on_ray import ray_module

    # Nodes look for the tests' own workers where the tests do.
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "export"), str(ROOT / "tests")])
    # A worker process may be slow to begin on a busy machine.
    os.environ["RAY_worker_register_timeout_seconds"] = "120"  # noqa: SIM112
    ray_module()
    from ray.cluster_utils import Cluster

    room = {"object_store_memory": 80 * 2**20}
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False, **room})
    made.workers = [made.add_node(num_cpus=1, **room) for _ in range(2)]
    yield made
    made.shutdown()


collect_ignore = [  # they are collected where the extra `scale` is installed: `make test` does not have it
    file
    for file, package in (("test_many_rows.py", "pyarrow"), ("test_reward_on_ray.py", "pyarrow"))
    if find_spec(package) is None
]
