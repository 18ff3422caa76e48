"""Files from outside are tried in a process of their own, once; what dies there never reaches this one."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hostile import gguf_parts
from hostile.judge import SOUND, exchanged
from policy import tiny

from edge_ttp.errors import Cancelled, ModelUnavailable, OutOfCapacity
from edge_ttp.paths import Paths, locate
from edge_ttp.registry import Registry, write_manifest
from edge_ttp.registry.catalog import shipped_folder
from edge_ttp.system import confined

from .makers import gguf

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def untried(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Real trials here; what was tried is counted."""
    tried: list[dict[str, Any]] = []

    def run(subject: str, request: dict[str, Any], limits: confined.ProcessLimits, **options: Any) -> Any:
        tried.append(request)
        return confined.run(subject, request, limits, **options)

    monkeypatch.setattr("edge_ttp.registry.trials.run", run)
    return tried


@pytest.fixture
def paths(home: Path) -> Paths:
    return locate(home)


@pytest.fixture
def registry(paths: Paths) -> Registry:
    return Registry(paths)


def equal_tokens(path: Path) -> Path:
    """A model that llama.cpp ends the process for, and whose header looks sound."""
    tiny.language_model(path)
    data = path.read_bytes()
    words = tiny.WORDS
    before = b"".join(len(word.encode()).to_bytes(8, "little") + word.encode() for word in words[-6:-4])
    assert data.count(before) == 1
    path.write_bytes(data.replace(before, b"".join((1).to_bytes(8, "little") + b"a" for _ in range(2))))
    return path


def test_a_sound_file_is_tried_once(registry: Registry, tmp_path: Path, untried: list[Any], paths: Paths) -> None:
    path = tiny.language_model(tmp_path / "tiny.gguf")
    assert registry.locate(path).path == path
    assert registry.locate(path).path == path
    assert Registry(paths).add(path).installed
    assert len(untried) == 1
    path.chmod(0o600)
    shutil.copy(path, tmp_path / "copy.gguf")
    registry.locate(tmp_path / "copy.gguf")
    assert len(untried) == 1, "the same content under another name was tried again"


def test_what_dies_in_its_trial_is_refused_in_one_line_and_remembered(
    registry: Registry, tmp_path: Path, untried: list[Any], paths: Paths
) -> None:
    path = equal_tokens(tmp_path / "x.gguf")
    for call in (registry.locate, registry.add, Registry(paths).locate):
        with pytest.raises(ModelUnavailable, match=r"SIGABRT.*token_to_id") as refused:
            call(path)
        assert "\n" not in str(refused.value)
    assert len(untried) == 1
    assert not (paths.models / "x").exists()


def test_verdicts_are_private(registry: Registry, tmp_path: Path, paths: Paths) -> None:
    registry.locate(tiny.language_model(tmp_path / "tiny.gguf"))
    file = paths.cache / "tried.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(json.loads(file.read_text()).values()) == [""]


@pytest.mark.parametrize("content", ["", "[]", "{", '{"a": 1}', "[" * 100_000])
def test_verdicts_that_cannot_be_read_are_none(registry: Registry, tmp_path: Path, paths: Paths, content: str) -> None:
    paths.cache.mkdir(parents=True)
    (paths.cache / "tried.json").write_text(content)
    registry.locate(tiny.language_model(tmp_path / "tiny.gguf"))


def test_another_build_of_the_library_tries_again(
    registry: Registry, tmp_path: Path, untried: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tiny.language_model(tmp_path / "tiny.gguf")
    registry.locate(path)
    monkeypatch.setattr("edge_ttp.registry.trials._installed", lambda library: "another")
    registry.locate(path)
    assert len(untried) == 2


def test_models_of_this_package_need_no_trial(models_home: Path, untried: list[Any]) -> None:
    registry = Registry(locate(models_home))
    policy = registry.locate("smollm2-135m-instruct")
    registry.locate(policy.path)  # the same bytes, named by path
    registry.locate("reward-minilm-1")
    assert untried == []


def test_a_reward_model_from_outside_is_tried(registry: Registry, tmp_path: Path, untried: list[Any]) -> None:
    folder = tmp_path / "judge"
    shutil.copytree(shipped_folder() / "reward-minilm-1", folder)
    manifest = (shipped_folder() / "reward-minilm-1.toml").read_text()
    (folder / "manifest.toml").write_text(manifest.replace('name = "reward-minilm-1"', 'name = "judge"'))
    card = (folder / "MODEL_CARD.md").read_bytes()
    import hashlib

    (folder / "manifest.toml").write_text(
        (folder / "manifest.toml").read_text()
        + f'\n[[files]]\npath = "MODEL_CARD.md"\nsize = {len(card)}\nsha256 = "{hashlib.sha256(card).hexdigest()}"\n'
        'sources = [{ type = "bundled" }]\n'
    )
    registry.locate(folder)
    registry.locate(folder)
    assert [Path(one["path"]).name for one in untried] == ["judge"]


def test_an_adapter_is_tried_with_its_policy(registry: Registry, tmp_path: Path, untried: list[Any]) -> None:
    policy = registry.locate(tiny.language_model(tmp_path / "tiny.gguf"))
    adapter = tmp_path / "style.gguf"
    tiny.adapter(adapter, seed=1)
    registry.try_adapter(adapter, policy)
    registry.try_adapter(adapter, policy)
    assert [one.get("adapter") for one in untried] == [None, str(adapter)]
    tiny.adapter(adapter, seed=1, adapted=(("blk.0.attn_q.weight", 32, 16),))
    with pytest.raises(ModelUnavailable, match="adapter"):
        registry.try_adapter(adapter, policy)


def test_an_adapter_is_tried_when_it_is_added_with_the_policy_it_fits(
    registry: Registry, tmp_path: Path, untried: list[Any]
) -> None:
    told: list[str] = []
    adapter = tmp_path / "style.gguf"
    tiny.adapter(adapter, seed=1)
    registry.add(adapter, name="early", note=told.append)
    assert told == [
        "early could not be tried yet (there is no policy on this device); "
        "it is tried when a policy is first used with it"
    ]
    registry.add(tiny.language_model(tmp_path / "tiny.gguf"))
    untried.clear()
    registry.add(adapter, name="style", note=told.append)
    assert [one["adapter"] for one in untried] == [str(adapter)]
    policy = registry.locate("tiny")
    registry.adapter("style", policy)
    assert len(untried) == 1, "using it tried it again"
    tiny.adapter(adapter, seed=1, adapted=(("blk.0.attn_q.weight", 32, 16),))
    registry.add(adapter, name="other", note=told.append)
    assert told[1:] == [
        "other could not be tried yet (tiny: its tensor 'blk.0.attn_q.weight.lora_a' is not of the policy's size); "
        "it is tried when a policy is first used with it"
    ]
    with pytest.raises(ModelUnavailable, match="adapter"):
        registry.adapter("other", policy)


def test_an_adapter_that_does_not_survive_is_not_added(registry: Registry, paths: Paths, tmp_path: Path) -> None:
    registry.add(tiny.language_model(tmp_path / "tiny.gguf"))
    path = tmp_path / "bad.gguf"
    tiny.adapter(path, seed=1)
    parts = gguf_parts.apart(path.read_bytes())
    for tensor in parts.tensors:
        tensor.kind = 99  # llama.cpp knows no such type
    path.write_bytes(gguf_parts.together(parts))
    with pytest.raises(ModelUnavailable, match=r"cannot (be used|load)"):
        registry.add(path)
    assert not (paths.models / "bad").exists()


def test_threads_that_name_one_file_try_it_once(registry: Registry, tmp_path: Path, untried: list[Any]) -> None:
    path = tiny.language_model(tmp_path / "tiny.gguf")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(registry.locate, [path] * 4))
    assert len(untried) == 1


def test_a_cancel_ends_the_trial(registry: Registry, tmp_path: Path) -> None:
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        registry.locate(tiny.language_model(tmp_path / "tiny.gguf"), cancel=cancel)


def test_a_file_that_is_no_model_is_refused_as_before(registry: Registry, tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    path.write_bytes(gguf())
    with pytest.raises(ModelUnavailable, match="cannot load"):
        registry.locate(path)


HOST = """
import os, sys, threading
for handle in {closed}:
    os.close(handle)
from edge_ttp.registry import Registry
from edge_ttp.paths import locate
found = []
def work():
    found.append(Registry(locate(sys.argv[2])).locate(sys.argv[1]).kind)
thread = threading.Thread(target=work)
thread.start()
thread.join()
os.write(int(sys.argv[3]), b"".join(one.encode() for one in found))
"""


@pytest.mark.parametrize("closed", [(), (0,), (0, 1, 2)])
def test_a_host_needs_no_main_guard_and_no_streams(tmp_path: Path, closed: tuple[int, ...]) -> None:
    path = tiny.language_model(tmp_path / "tiny.gguf")
    read, write = os.pipe()
    script = tmp_path / "host.py"
    script.write_text(HOST.format(closed=closed))
    try:
        subprocess.run(
            [sys.executable, script, path, tmp_path / "home", str(write)], pass_fds=(write,), timeout=120, cwd=tmp_path
        )
    finally:
        os.close(write)
    assert os.read(read, 100) == b"policy"
    os.close(read)


FROZEN = """
import sys
import edge_ttp
{support}
sys.frozen = True
from edge_ttp.registry import Registry
from edge_ttp.paths import locate
try:
    print(Registry(locate(sys.argv[2])).locate(sys.argv[1]).kind)
except edge_ttp.EdgeTTPError as error:
    print(error)
"""


@pytest.fixture
def frozen(tmp_path: Path) -> Any:
    """Runs a program whose sys.executable starts that program again, as a frozen app's does."""
    path = tiny.language_model(tmp_path / "tiny.gguf")

    def run(support: str) -> str:
        program, app = tmp_path / "app.py", tmp_path / "app"
        program.write_text(f"import sys\nsys.executable = {str(app)!r}\n" + FROZEN.format(support=support))
        app.write_text(f'#!/bin/sh\nexec {sys.executable} {program} "$@"\n')
        app.chmod(0o700)
        done = subprocess.run([app, path, tmp_path / "home"], capture_output=True, text=True, timeout=120)
        return done.stdout + done.stderr

    return run


def test_a_frozen_app_is_its_own_trial_process(frozen: Any) -> None:
    assert frozen("edge_ttp.freeze_support()") == "policy\n"


def test_a_frozen_app_that_does_not_serve_trials_is_told_how(frozen: Any) -> None:
    said = frozen("")
    assert "has to begin with edge_ttp.freeze_support()" in said
    assert said.count("\n") == 1


def test_a_program_that_is_no_python_is_told_how(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("multiprocessing.spawn._python_exe", b"/bin/true")
    with pytest.raises(ModelUnavailable, match=r"multiprocessing.set_executable"):
        registry.locate(tiny.language_model(tmp_path / "tiny.gguf"))
    monkeypatch.setattr("multiprocessing.spawn._python_exe", None)
    with pytest.raises(ModelUnavailable, match=r"multiprocessing.set_executable"):
        registry.locate(tmp_path / "tiny.gguf")
    monkeypatch.setattr("multiprocessing.spawn._python_exe", b"/no/such/python")
    with pytest.raises(OutOfCapacity, match="cannot be started"):
        registry.locate(tmp_path / "tiny.gguf")


def test_a_folder_without_a_manifest_is_tried_by_its_config(
    registry: Registry, tmp_path: Path, untried: list[Any]
) -> None:
    folder = exchanged(tmp_path / "judge", "tokenizer.json", (SOUND / "tokenizer.json").read_bytes())
    (folder / "manifest.toml").unlink()
    assert registry.reward_folder(str(folder)) == folder
    assert registry.reward_folder(str(folder)) == folder
    assert len(untried) == 1
    exchanged(tmp_path / "other", "tokenizer.json", b"{}")
    with pytest.raises(ModelUnavailable, match="tokenizer"):
        registry.reward_folder(str(tmp_path / "other"))
    assert registry.reward_folder("reward-minilm-1").name == "reward-minilm-1"
    assert len(untried) == 2


def test_files_that_the_manifest_does_not_name_count_too(
    registry: Registry, tmp_path: Path, untried: list[Any]
) -> None:
    folder = exchanged(tmp_path / "judge", "tokenizer.json", (SOUND / "tokenizer.json").read_bytes())
    write_manifest(folder, name="judge", kind="reward", files=["heads.onnx"], description="", licence="MIT")
    registry.locate(folder)
    config = folder / "reward.json"
    config.write_text(config.read_text() + " ")
    registry.locate(folder)
    assert len(untried) == 2
