"""What stays on this device and inside its own folder, what is imported when, and the walls between the rooms."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest
from fakes.command import PROGRAM, edge_ttp
from fakes.engine import FakeEngine, running
from fakes.real import spare_measuring

import edge_ttp as package
from edge_ttp.history import History
from edge_ttp.paths import locate
from edge_ttp.schema import HistoryItem

PACKAGE = Path(package.__file__).parent
ASK = ("generate", "hello", "--user", "ann", "--n", "2", "--max-tokens", "4")


# Nothing leaves, nothing is left behind

WATCHED = """
import os, sys

home = os.path.realpath(os.environ["EDGE_TTP_HOME"])
quiet = ("/dev/null", "/dev/tty", "/proc/self/")
found = []

def watch(event, arguments):
    if event == "open":
        path, mode, flags = arguments
        writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
        if writes and isinstance(path, (str, bytes)):
            where = os.path.realpath(os.fsdecode(path))
            if not where.startswith((home + os.sep, *quiet)):
                found.append(f"{event} {where}")
    elif event in ("os.mkdir", "os.rename", "os.link", "os.symlink"):
        where = os.path.realpath(os.fsdecode(arguments[0]))
        if where != home and not where.startswith(home + os.sep) and not home.startswith(where + os.sep):
            found.append(f"{event} {where}")
    elif event in ("socket.connect", "socket.bind", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname"):
        found.append(event)
        raise PermissionError(f"{event} in a program that never uses the network")
    elif event in ("os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen"):
        found.append(event)

sys.addaudithook(watch)
from edge_ttp.__main__ import main
try:
    main()
finally:
    sys.stderr.write("found: " + repr(found) + "\\n")
"""
"""The program under an audit hook that forbids the network and notes every write outside the home."""


@pytest.fixture
def own_home(models_home: Path) -> Path:
    """A home with the real policy and a history."""
    spare_measuring(models_home)
    with History.open(locate(models_home).database) as history:
        for number in range(4):
            history.add(HistoryItem(user_id="ann", input=f"hello {number}", output=f"good day {number}"))
    return models_home


@pytest.fixture
def elsewhere(tmp_path: Path) -> Mapping[str, str]:
    """An environment whose home, configuration, cache and temporary folders are empty and of this test's own."""
    folders = {
        "HOME": "user",
        "XDG_CONFIG_HOME": "user/config",
        "XDG_CACHE_HOME": "user/cache",
        "XDG_DATA_HOME": "user/data",
        "XDG_STATE_HOME": "user/state",
        "XDG_RUNTIME_DIR": "user/run",
        "TMPDIR": "temporary",
    }
    made = {name: tmp_path / "elsewhere" / folder for name, folder in folders.items()}
    for folder in made.values():
        folder.mkdir(parents=True, exist_ok=True)
    return {name: str(folder) for name, folder in made.items()} | {"PYTHONDONTWRITEBYTECODE": "1"}


def files_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


@pytest.mark.real
def test_nothing_is_written_outside_the_home_and_no_connection_is_opened(
    own_home: Path, elsewhere: Mapping[str, str], tmp_path: Path
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    done = edge_ttp(*ASK, program=(sys.executable, "-c", WATCHED), env=elsewhere, cwd=here)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    assert done.stderr.splitlines()[-1] == "found: []"
    assert files_below(tmp_path / "elsewhere") == []  # no device id of onnxruntime either, nor a temporary file
    assert files_below(here) == []
    assert {path.parts[0] for path in map(Path, files_below(own_home))} == {"data", "cache"}


@pytest.mark.real
def test_an_answer_needs_no_network(own_home: Path, elsewhere: Mapping[str, str]) -> None:
    before = ("unshare", "-rn")
    if shutil.which("unshare") is None or subprocess.run([*before, "true"], capture_output=True).returncode != 0:
        before = ()  # no namespaces here: then the audit hook alone keeps the program from the network
        done = edge_ttp(*ASK, program=(sys.executable, "-c", WATCHED), env=elsewhere)
    else:
        done = edge_ttp(*ASK, before=before, env=elsewhere)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_the_audit_hook_notices_what_it_forbids(tmp_path: Path, home: Path) -> None:
    offend = (
        f"open({str(tmp_path / 'outside')!r}, 'w').close()\n"
        "import socket\n"
        "try:\n    socket.create_connection(('127.0.0.1', 9))\nexcept PermissionError:\n    pass\n"
    )
    program = WATCHED.replace("from edge_ttp.__main__ import main\n", "def main():\n" + _indented(offend))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    (line,) = done.stderr.splitlines()
    assert str(tmp_path / "outside") in line
    assert "socket." in line


def _indented(code: str) -> str:
    return "".join(f"    {line}\n" for line in code.splitlines())


@pytest.mark.real
def test_files_of_the_home_are_for_this_user_alone(own_home: Path) -> None:
    assert edge_ttp(*ASK).returncode == 0
    for file in locate(own_home).data.glob("history.db*"):
        assert file.stat().st_mode & 0o077 == 0, file
    assert (locate(own_home).cache / "device.json").stat().st_mode & 0o077 == 0


# What is imported when


def modules_after(code: str, env: Mapping[str, str] | None = None) -> set[str]:
    """Names of the modules in memory after `code` ran in a process of its own, under an audit hook on the network."""
    program = (
        "import sys\n"
        "opened = []\n"
        "sys.addaudithook(lambda event, _: opened.append(event) if event.startswith('socket.') else None)\n"
        f"{code}\n"
        "import json\n"
        "print(json.dumps([opened, sorted(sys.modules)]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env={**os.environ, **(env or {})}
    )
    assert done.returncode == 0, done.stderr
    opened, modules = json.loads(done.stdout.splitlines()[-1])
    assert opened == []
    return set(modules)


HEAVY = {
    "numpy",
    "pydantic",
    "llama_cpp",
    "onnxruntime",
    "typer",
    "rich",
    "sqlite3",
    "sqlite_utils",
    "httpx",
    "psutil",
    "tokenizers",
    "socket",
    "ssl",
    "asyncio",
}
NEVER = {
    "torch",
    "transformers",
    "optimum",
    "edge_ttp_export",
    "datasets",
    "huggingface_hub",
    "ray",
    "litellm",
    "requests",
}


def test_importing_the_package_loads_next_to_nothing() -> None:
    assert modules_after("import edge_ttp") & (HEAVY | NEVER) == set()


FOREIGN = {"adapters", "app", "freezing"}
"""Rooms that stand on other people's frameworks: those are extras, with make targets of their own."""


@pytest.mark.slow
def test_the_whole_runtime_imports_nothing_of_the_export_side() -> None:
    names = sorted(
        ".".join(("edge_ttp", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")
        for path in PACKAGE.rglob("*.py")
        if path.name != "__main__.py" and path.parent.name not in FOREIGN
    )
    found = modules_after("\n".join(f"import {name}" for name in names))
    assert set(names) <= found
    assert found & NEVER == set()


def test_the_public_names_are_those_announced_and_all_load() -> None:
    code = (
        "import edge_ttp\n"
        "missing = [name for name in edge_ttp.__all__ if not hasattr(edge_ttp, name)]\n"
        "assert missing == [], missing\n"
        "assert not hasattr(edge_ttp, 'no_such_name')\n"
    )
    assert "edge_ttp.runtime" in modules_after(code)


def test_onnxruntime_is_imported_with_its_telemetry_off_and_leaves_no_device_id(
    elsewhere: Mapping[str, str], tmp_path: Path
) -> None:
    code = (
        "import os, edge_ttp.reward.session, onnxruntime\n"
        "assert os.environ['ORT_DISABLE_TELEMETRY'] == '1'\n"
        "assert edge_ttp.reward.session.TELEMETRY_OFF\n"
    )
    assert "onnxruntime" in modules_after(code, elsewhere)
    assert files_below(tmp_path / "elsewhere") == []


LOADED = """
import sys
from edge_ttp.__main__ import main
try:
    main()
finally:
    sys.stderr.write("\\nloaded: " + " ".join(sorted(sys.modules)) + "\\n")
"""
"""The program, which says at its end what is in memory."""

NETWORK = {"httpx", "httpcore", "requests", "urllib3", "aiohttp", "http.client", "tenacity"}
ENGINES = {"ray", "pyarrow", "litellm", "openai", "vllm"}
"""What talks to others, and what others build to reach engines and clusters."""


def loaded_by(*arguments: str, stdin: bytes = b"") -> set[str]:
    """Names of the modules in memory when the command has ended well."""
    done = edge_ttp(*arguments, program=(sys.executable, "-c", LOADED), stdin=stdin)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    return set(done.stderr.rpartition("loaded: ")[2].split())


@pytest.mark.real
def test_answers_load_nothing_that_talks_to_others(own_home: Path) -> None:
    assert loaded_by(*ASK, "--no-server") & (NETWORK | ENGINES) == set()
    ask = {"prompt": "hello", "n": 2, "sampling": {"max_tokens": 4}}
    asked = {"jsonrpc": "2.0", "id": 1, "method": "POST /ttp/v1/generate", "params": {"body": ask}}
    others = NETWORK - {"http.client"} | ENGINES  # a server has the standard library's words for HTTP
    assert loaded_by("serve", "--stdio", stdin=json.dumps(asked).encode() + b"\n") & others == set()


@pytest.mark.real
def test_an_address_that_is_given_loads_the_one_client(own_home: Path) -> None:
    with running(FakeEngine()) as engine:
        found = loaded_by(*ASK, "--policy-url", engine.url)
        assert engine.posts
    assert "httpx" in found
    assert found & (ENGINES | {"requests", "aiohttp"}) == set()


# The walls, read from the source


def imports(path: Path) -> Iterator[str]:
    """Full names of everything that a module imports anywhere in it, type checking included."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@cache
def sources() -> dict[str, set[str]]:
    """Path below edge_ttp -> what the module imports."""
    return {str(path.relative_to(PACKAGE)): set(imports(path)) for path in sorted(PACKAGE.rglob("*.py"))}


def importers(*names: str) -> set[str]:
    """Modules that import any of these names or something below them."""
    return {
        path
        for path, found in sources().items()
        if any(one == name or one.startswith(f"{name}.") for one in found for name in names)
    }


def test_only_the_bindings_touch_llama_cpp() -> None:
    found = importers("llama_cpp")
    assert found
    assert all(path == "policy/bindings.py" or path.startswith("policy/bindings/") for path in found)


def test_one_module_makes_onnxruntime_sessions() -> None:
    assert importers("onnxruntime") == {"reward/session.py"}


def test_only_the_history_touches_sql() -> None:
    found = importers("sqlite3", "sqlite_utils", "sqlite_migrate")
    assert found
    assert all(path.startswith("history/") for path in found)


def test_nothing_imports_torch_or_the_export_side() -> None:
    assert importers(*NEVER) == set()


def test_parquet_is_for_measuring_tools_and_http_for_addresses_that_a_user_names() -> None:
    assert all(path.startswith("lab/") for path in importers("pyarrow"))
    rooms = ("lab/bench/", "policy/elsewhere/", "registry/download.py")
    assert all(path.startswith(rooms) for path in importers(*NETWORK - {"http.client"}))


ROOMS = {
    "policy": ("policy/",),
    "reward": ("reward/",),
    "selection": ("selection.py", "selection/"),
    "scaling": ("scaling.py", "scaling/"),
    "budget.planner": ("budget/planner.py",),
}


@pytest.mark.parametrize("room", ROOMS)
def test_policy_reward_selection_scaling_and_planner_do_not_know_one_another(room: str) -> None:
    inside = {path: found for path, found in sources().items() if path.startswith(ROOMS[room])}
    others = [f"edge_ttp.{name}" for name in ROOMS if name != room]
    crossing = {
        f"{path} imports {one}"
        for path, found in inside.items()
        for one in found
        for other in others
        if one == other or one.startswith(f"{other}.")
    }
    assert crossing == set()


def test_history_knows_no_model() -> None:
    rooms = ("policy", "reward", "registry", "encoder", "onnx_session", "generation", "runtime", "budget")
    found = importers(*(f"edge_ttp.{name}" for name in rooms))
    assert {path for path in found if path.startswith("history/")} == set()


def test_pure_rooms_do_no_input_or_output_and_read_no_clock() -> None:
    pure = ("selection.py", "budget/planner.py", "scaling.py", "scaling/", "prompt.py")
    outside = {
        "os",
        "io",
        "sys",
        "time",
        "datetime",
        "pathlib",
        "socket",
        "subprocess",
        "threading",
        "logging",
        "random",
    }
    for path, found in sources().items():
        if path.startswith(pure):
            assert {one.split(".")[0] for one in found} & outside == set(), path


def test_commands_are_known_to_nobody_below_them() -> None:
    assert all(path.startswith("cli/") or path == "__main__.py" for path in importers("edge_ttp.cli", "typer"))


def test_the_program_can_be_run_as_a_module(home: Path) -> None:
    done = subprocess.run([*PROGRAM, "--version"], capture_output=True, text=True, env={**os.environ})
    assert done.stdout.startswith("edge-ttp ")
    assert not home.exists()
