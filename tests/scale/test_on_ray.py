"""The same work on a Ray cluster: byte for byte what this process makes, whatever dies meanwhile."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fakes.engine import FakeEngine, running

from edge_ttp.cli.main import run
from edge_ttp.errors import EdgeTTPError, InvalidInput, ModelUnavailable
from edge_ttp.policy.elsewhere.persistence import Persistence
from edge_ttp_export.draw_pools import make_pools
from edge_ttp_export.places.in_order import Here, TaskPlace
from edge_ttp_export.places.named import place_at
from edge_ttp_export.pool_drawer import Recipe
from edge_ttp_export.pool_shards import read_pools
from tests.scale.adding import Adding, Dying

pytestmark = [pytest.mark.scale, pytest.mark.real]

RECIPE = Recipe(n=4, examples=2, max_tokens=12, style="few-shot")
Written = Callable[..., Path]


QUERIES = int(os.environ.get("EDGE_TTP_SCALE_QUERIES", "120"))
"""Queries of the run in which a node dies; with the policy that EDGE_TTP_SCALE_POLICY names, where there is one.

What this process drew is kept in the folder EDGE_TTP_SCALE_FOLDER, where one is named; the next run goes on with it.
"""


def nothing(done: int, wanted: int, left_s: float) -> None:
    pass


@pytest.fixture(params=["here", "processes", "ray"])
def place(request: pytest.FixtureRequest) -> Any:
    if request.param == "ray":
        cluster = request.getfixturevalue("cluster")
        with place_at(f"ray:{cluster.address}") as found:
            yield found
    else:
        with place_at("local", workers=1 if request.param == "here" else 2) as found:
            yield found


def test_results_come_in_order_and_an_error_in_its_turn(place: TaskPlace) -> None:
    assert list(place.run(Adding(3), range(10))) == list(range(3, 13))
    found: list[int] = []
    with pytest.raises(InvalidInput, match="bad luck"):
        found.extend(place.run(Adding(1), range(40)))
    assert found == list(range(1, 14))
    assert list(place.run(Adding(0), [])) == []


def test_a_killed_worker_loses_nothing(place: TaskPlace, tmp_path: Path) -> None:
    if isinstance(place, Here):
        return  # it would be this process
    assert list(place.run(Adding(2, tmp_path), range(12))) == list(range(2, 14))
    assert sorted(one.name for one in tmp_path.iterdir() if one.name.isdigit()) == ["4", "9"]


def test_a_task_that_kills_every_worker_is_given_up() -> None:
    with place_at("local", workers=2) as place, pytest.raises(EdgeTTPError, match="workers died"):
        list(place.run(Dying(0), range(2)))


def test_pools_are_the_same_though_a_node_dies(
    cluster: Any, small_policy: Path, written: Written, tmp_path: Path
) -> None:
    data = written(QUERIES // 3, 8)
    policy = Path(os.environ.get("EDGE_TTP_SCALE_POLICY", small_policy))
    here = Path(os.environ.get("EDGE_TTP_SCALE_FOLDER", tmp_path)) / "here.jsonl.zst"
    there = tmp_path / "there.jsonl.zst"
    assert make_pools(data, policy, here, RECIPE, queries=QUERIES, threads=1, report=nothing) == QUERIES
    calls: list[int] = []

    def kill_a_node(done: int, wanted: int, left_s: float) -> None:
        calls.append(done)
        if done == QUERIES // 4:
            cluster.remove_node(cluster.workers.pop())

    with place_at(f"ray:{cluster.address}") as place:
        assert place.workers == 3
        drawn = make_pools(data, policy, there, RECIPE, queries=QUERIES, threads=1, report=kill_a_node, place=place)
        assert place.workers == 2
    cluster.workers.append(cluster.add_node(num_cpus=1, object_store_memory=80 * 2**20))
    assert drawn == QUERIES
    assert calls == list(range(1, QUERIES + 1))
    assert there.read_bytes() == here.read_bytes()


def test_an_engine_that_fails_is_late_and_dies_leaves_every_pool_once(
    cluster: Any, written: Written, tmp_path: Path
) -> None:
    data = written(8, 8)
    patience = Persistence(gone_s=2.0, first_wait_s=0.01)

    def draw(place: TaskPlace, out: Path, engine: FakeEngine) -> int:
        return make_pools(
            data, None, out, RECIPE, queries=30, threads=1, report=nothing, policy_url=engine.url, place=place,
            patience=patience,
        )  # fmt: skip

    with running(FakeEngine(n=False)) as engine, place_at(f"ray:{cluster.address}") as place:
        assert draw(Here(), tmp_path / "calm.zst", engine) == 30
        engine.fails, engine.every_s = 0.1, 0.002
        engine.dies_after = len(engine.posts) + 70  # half of what the 30 queries with four candidates each ask
        with pytest.raises(ModelUnavailable):
            draw(place, tmp_path / "wild.zst", engine)
        assert len(read_pools(tmp_path / "wild.zst")[1]) < 30
        engine.dead, engine.dies_after = False, None
        assert draw(place, tmp_path / "wild.zst", engine) == 30
    assert (tmp_path / "wild.zst").read_bytes() == (tmp_path / "calm.zst").read_bytes()


PROGRAM = "import sys\nfrom edge_ttp.cli.main import run\nsys.exit(run(sys.argv[1:]))"

WITHOUT_NETWORK = """
import os, socket, sys
outside = []
sys.addaudithook(lambda event, given: outside.append(given[1]) if event == "socket.connect" else None)
from edge_ttp.cli.main import run
code = run(sys.argv[1:])
import ray
from ray._common import usage
assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
assert not usage.usage_lib.usage_stats_enabled()
away = [one for one in outside if isinstance(one, tuple) and not str(one[0]).startswith("127.")]
assert away == [], away
sys.exit(code)
"""


def test_a_cluster_of_our_own_needs_no_network_and_reports_nothing(
    small_policy: Path, written: Written, tmp_path: Path
) -> None:
    before = ["unshare", "-rn", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    if shutil.which("unshare") is None or subprocess.run([*before, "true"], capture_output=True).returncode != 0:
        before = []  # no namespaces here: then the audit hook alone watches
    out = tmp_path / "pools.parquet"
    command = ["export", "pools", "--data", str(written(6, 6)), "--model", str(small_policy), "--out", str(out)]
    command += ["--n", "2", "--max-tokens", "4", "--queries", "8", "--on", "ray", "--workers", "2", "--json"]
    done = subprocess.run(
        [*before, sys.executable, "-c", WITHOUT_NETWORK, *command], capture_output=True, text=True, timeout=170
    )
    assert done.returncode == 0, done.stderr
    assert len(read_pools(out)[1]) == 8
    assert not list(Path("/tmp").glob("ettp-ray-*"))


@pytest.mark.parametrize("on", ["ray:", "slurm", "local:x", "", "ray:head", "ray:10.0.0.1:port"])
def test_another_place_is_refused(on: str) -> None:
    with pytest.raises(InvalidInput, match=r"no place|no address"), place_at(on):
        pass


def test_a_cluster_that_is_not_there_is_said() -> None:
    with pytest.raises(EdgeTTPError, match="no Ray cluster at"), place_at("ray:127.0.0.1:9"):
        pass


def test_growth_is_measured_here_on_ray_and_by_simulation(small_policy: Path, written: Written) -> None:
    # In a process of its own: it begins clusters of its own, after which a process is none of another cluster's.
    command = [sys.executable, "-c", "from edge_ttp_export import growth; growth.CLUSTER = (2,)\n" + PROGRAM]
    command += ["export", "growth", "--data", str(written(6, 8)), "--model", str(small_policy)]
    command += ["--queries", "16", "--rounds", "1", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [one["workers"] for one in found["places"]] == [1, 2]
    for one in found["places"]:
        assert min(*one["local"], *one["ray"]) > 0
        assert one["overhead"] == pytest.approx(one["ray"][0] / one["local"][0] - 1)
    assert [one["n"] for one in found["sizes"]] == [1, 4, 16]
    assert all(one["seconds"] > 0 for one in found["sizes"])
    (simulated,) = found["simulated"]
    assert 0 < simulated["rate"] <= simulated["ideal"] * 1.2
    assert "a query" in done.stderr


def test_a_part_of_growth_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["export", "growth", "--data", "notes.jsonl", "--only", "everything"]) == 2
    assert "choose from places, sizes, simulated" in capsys.readouterr().err
