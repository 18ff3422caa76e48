"""The converter: unpacked without trust, run as a process of its own, its failures in one line."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tarfile
from pathlib import Path

import pytest

from edge_ttp.errors import DownloadFailed, ExtraMissing, InvalidInput, ModelUnavailable, OutOfCapacity
from edge_ttp.paths import locate
from edge_ttp_export.policy import converter

pytestmark = pytest.mark.export

ROOT = f"llama_cpp_python-{converter.RELEASE}/vendor/llama.cpp/"


def quiet(what: str, done: int, total: int) -> None:
    """Takes reports."""


def archive(path: Path, *names: str) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name in names:
            entry = tarfile.TarInfo(name)
            entry.size = len(name)
            tar.addfile(entry, io.BytesIO(name.encode()))
        link = tarfile.TarInfo(f"{ROOT}conversion/link.py")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    return path


def test_only_the_converters_files_are_unpacked_and_nothing_leaves_the_folder(tmp_path: Path) -> None:
    scripts = (ROOT + converter.MODEL_SCRIPT, ROOT + converter.ADAPTER_SCRIPT)
    others = (f"{ROOT}conversion/../../../evil.py", f"{ROOT}src/llama.cpp", "/absolute.py", f"{ROOT}conversion/base.py")
    converter.unpack(archive(tmp_path / "a.tar.gz", *scripts, *others), tmp_path / "below" / "out")
    found = {str(path.relative_to(tmp_path / "below")) for path in (tmp_path / "below").rglob("*") if path.is_file()}
    assert found == {"out/conversion/base.py", "out/convert_hf_to_gguf.py", "out/convert_lora_to_gguf.py"}
    assert not (tmp_path / "evil.py").exists()


def test_archives_that_hold_no_converter_or_are_damaged_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DownloadFailed, match="holds no converter"):
        converter.unpack(archive(tmp_path / "a.tar.gz", ROOT + "LICENSE"), tmp_path / "out")
    (tmp_path / "b.tar.gz").write_bytes(b"no archive")
    with pytest.raises(DownloadFailed, match="damaged"):
        converter.unpack(tmp_path / "b.tar.gz", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_another_archive_than_the_pinned_one_is_not_opened(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.tar.gz", ROOT + converter.MODEL_SCRIPT)
    with pytest.raises(InvalidInput, match="is not llama_cpp_python"):
        converter.fetch(locate(tmp_path), archive=path, report=quiet)
    with pytest.raises(InvalidInput, match="no archive"):
        converter.fetch(locate(tmp_path), archive=tmp_path / "none", report=quiet)


def test_the_pinned_archive_is_kept_as_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(converter.FOLDER_VARIABLE)
    paths = locate(tmp_path / "home")
    with pytest.raises(ExtraMissing, match="edge-ttp export converter"):
        converter.converter(paths)
    path = archive(tmp_path / "a.tar.gz", ROOT + converter.MODEL_SCRIPT, ROOT + converter.ADAPTER_SCRIPT)
    monkeypatch.setattr(converter, "SDIST_SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    folder = converter.fetch(paths, archive=path, report=quiet)
    assert converter.converter(paths) == folder / converter.MODEL_SCRIPT


@pytest.mark.parametrize(
    ("said", "kind", "words"),
    [
        ("INFO:x\nERROR:hf-to-gguf:Model FooForCausalLM is not supported\n", InvalidInput, "FooForCausalLM"),
        ("NotImplementedError: BPE pre-tokenizer was not recognized - update it\n", InvalidInput, "this tokenizer"),
        ("Traceback\nOSError: [Errno 28] No space left on device\n", OutOfCapacity, "disk is full"),
        ("Traceback (most recent call last):\n  x\nKeyError: 'hidden_size'\n", ModelUnavailable, "KeyError: 'hidden"),
        ("", ModelUnavailable, "code 137"),
    ],
)
def test_a_failure_becomes_one_line(said: str, kind: type[Exception], words: str) -> None:
    found = converter.failure(said, 137)
    assert isinstance(found, kind)
    assert words in str(found)
    assert "\n" not in str(found)


def test_an_architecture_that_the_converter_does_not_know(checkpoint: Path, script: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(checkpoint, tmp_path / "other"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "architectures": ["MarsForCausalLM"]}))
    with pytest.raises(InvalidInput, match="does not support the architecture MarsForCausalLM"):
        converter.run(script, [str(folder)], target=tmp_path / "out.gguf", what="converting", report=quiet)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "other"] or not (tmp_path / "out.gguf").exists()
    assert not list(tmp_path.glob("*.partial"))
