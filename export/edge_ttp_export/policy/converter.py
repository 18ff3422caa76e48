"""llama.cpp's own converters from Hugging Face to GGUF: fetched once, checked, and run as processes of their own.

They come from the source distribution of exactly that llama-cpp-python release which the runtime is built from, so
that what they write is what the library reads. Nothing of them is imported here: they bring modules named `gguf` and
`conversion` along.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path, PurePosixPath
from threading import Event
from urllib.parse import urljoin

from edge_ttp.errors import Cancelled, DownloadFailed, ExtraMissing, InvalidInput, ModelUnavailable, OutOfCapacity
from edge_ttp.paths import Paths, private_folder
from edge_ttp.registry.download import Downloader
from edge_ttp.registry.manifest import file_sha256
from edge_ttp.registry.sources import SIMPLE_JSON, package_index

RELEASE = "0.3.36"
"""The llama-cpp-python release that the converters belong to."""
SDIST = f"llama_cpp_python-{RELEASE}.tar.gz"
SDIST_SHA256 = "832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e"
SDIST_BYTES = 76_589_250

MODEL_SCRIPT = "convert_hf_to_gguf.py"
ADAPTER_SCRIPT = "convert_lora_to_gguf.py"
FOLDER_VARIABLE = "EDGE_TTP_CONVERTER"
"""Names a folder that holds the converters already: a checkout of llama.cpp, for instance."""

_CURE = "fetch it once: edge-ttp export converter"
_ROOT = f"llama_cpp_python-{RELEASE}/vendor/llama.cpp/"
_WANTED = ("conversion/", "gguf-py/gguf/", MODEL_SCRIPT, ADAPTER_SCRIPT, "LICENSE")
_MAX_UNPACKED = 32 << 20
_PERCENT = re.compile(rb"(\d{1,3})%\|")

Report = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""


def converter_folder(paths: Paths) -> Path:
    """Where the converters lie on this device: EDGE_TTP_CONVERTER, else below the cache folder."""
    given = os.environ.get(FOLDER_VARIABLE, "").strip()
    return Path(given).expanduser() if given else paths.cache / f"converter-{RELEASE}"


def converter(paths: Paths, script: str = MODEL_SCRIPT) -> Path:
    """The converter `script` on this device. Raises ExtraMissing where it was not fetched."""
    path = converter_folder(paths) / script
    if not path.is_file():
        raise ExtraMissing(f"llama.cpp's converter {script} is not on this device", _CURE)
    return path


def fetch(paths: Paths, *, archive: Path | None = None, report: Report, cancel: Event | None = None) -> Path:
    """The folder of the converters, taken from `archive` or, without one, from the package index.

    The archive is the source distribution of llama-cpp-python; its SHA-256 is pinned. Raises DownloadFailed,
    InvalidInput for another archive, OutOfCapacity for a full disk.
    """
    folder = paths.cache / f"converter-{RELEASE}"
    try:
        if archive is not None:
            if not archive.is_file():
                raise InvalidInput(f"there is no archive {str(archive)!r}", f"give {SDIST}")
            if file_sha256(archive, cancel=cancel) != SDIST_SHA256:
                raise InvalidInput(f"{str(archive)!r} is not {SDIST}", f"give the file with SHA-256 {SDIST_SHA256}")
            unpack(archive, folder)
        else:
            part = private_folder(paths.cache / "downloads") / f"{SDIST_SHA256}.part"
            _download(part, report, cancel)
            unpack(part, folder)
            part.unlink()
    except OSError as error:
        raise OutOfCapacity(
            f"the converter cannot be stored: {error.strerror or error}", "make room, or set EDGE_TTP_HOME"
        ) from error
    return folder


def _download(part: Path, report: Report, cancel: Event | None) -> None:
    with Downloader() as downloader:
        value, final = downloader.json(f"{package_index()}/llama-cpp-python/", SIMPLE_JSON, cancel)
        files = value.get("files") if isinstance(value, dict) else None
        urls = [
            entry["url"]
            for entry in files or []
            if isinstance(entry, dict) and entry.get("filename") == SDIST and isinstance(entry.get("url"), str)
        ]
        if not urls:
            raise DownloadFailed(f"the package index has no {SDIST}", "give the file with --archive")
        downloader.file(
            urljoin(final, urls[0]),
            part,
            sha256=SDIST_SHA256,
            size=SDIST_BYTES,
            limit=SDIST_BYTES,
            advance=lambda done, total: report("fetching the converter", done, SDIST_BYTES),
            cancel=cancel,
        )


def unpack(archive: Path, folder: Path) -> None:
    """Writes the converters in the source distribution `archive` to `folder`, replacing what is there.

    Only plain files below the expected folder are taken, each under its own name: nothing leaves `folder`.
    """
    private_folder(folder.parent)
    with tempfile.TemporaryDirectory(prefix="converter-", dir=folder.parent) as temporary:
        written = 0
        try:
            with tarfile.open(archive, "r:gz") as tar:
                for member in tar:
                    name = member.name.removeprefix(_ROOT)
                    parts = PurePosixPath(name).parts
                    if not member.isfile() or name == member.name or ".." in parts or not name.startswith(_WANTED):
                        continue
                    written += member.size
                    stream = tar.extractfile(member)
                    if written > _MAX_UNPACKED or stream is None:
                        raise DownloadFailed(f"{archive.name} holds more than the converter should need")
                    target = Path(temporary, *parts)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(stream.read())
        except (tarfile.TarError, EOFError) as error:
            raise DownloadFailed(f"the archive {archive.name} is damaged: {error}") from error
        if not (Path(temporary) / MODEL_SCRIPT).is_file() or not (Path(temporary) / ADAPTER_SCRIPT).is_file():
            raise DownloadFailed(f"the archive {archive.name} holds no converter")
        shutil.rmtree(folder, ignore_errors=True)
        # The temporary folder itself is removed at the end of the block, so its content moves to one that stays.
        shutil.copytree(temporary, folder)


def run(
    script: Path,
    arguments: list[str],
    *,
    target: Path,
    what: str,
    report: Report,
    cancel: Event | None = None,
) -> None:
    """Runs a converter that writes `target`; nothing is left there when it fails or is cancelled.

    It gets no network and no terminal. Raises ModelUnavailable with its reason, OutOfCapacity where the disk is full,
    Cancelled.
    """
    script, target = script.absolute(), target.absolute()  # the child runs in the target's folder
    partial = target.with_name(target.name + ".partial")
    environment = {
        **os.environ,
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    said = b""
    report(what, 0, 100)
    try:
        with subprocess.Popen(
            [sys.executable, str(script), *arguments, "--outfile", str(partial)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=environment,
            cwd=target.parent,
            start_new_session=True,  # Ctrl-C is for this process, which then ends the child
        ) as process:
            try:
                assert process.stderr is not None
                while chunk := process.stderr.read1(4096):  # type: ignore[attr-defined]
                    if cancel is not None and cancel.is_set():
                        raise Cancelled("the conversion was cancelled")
                    said = (said + chunk)[-20_000:]
                    if percent := _PERCENT.findall(chunk):
                        report(what, min(100, int(percent[-1])), 100)
            except BaseException:
                process.kill()
                raise
            code = process.wait()
        if code != 0 or not partial.is_file():
            raise failure(said.decode("utf-8", "replace"), code)
        os.replace(partial, target)
    finally:
        with suppress(OSError):
            partial.unlink()
    report(what, 100, 100)


def failure(said: str, code: int) -> ModelUnavailable | OutOfCapacity | InvalidInput:
    """The error for a converter that ended with `code` after it `said` this on stderr."""
    lines = [line.strip() for line in re.split(r"[\r\n]+", said) if line.strip()]
    reasons = [line for line in lines if line.startswith("ERROR:") or re.match(r"[A-Za-z_.]*(Error|Exception)\b", line)]
    last = (reasons or lines or [f"code {code}"])[-1]
    reason = re.sub(r"^ERROR:[\w.-]+:", "", last).strip()[:300]
    if "No space left" in said or "Errno 28" in said:
        return OutOfCapacity("the disk is full: the converter could not write", "make room, or set EDGE_TTP_HOME")
    if match := re.search(r"Model (\S+) is not supported", said):
        return InvalidInput(
            f"llama.cpp's converter does not support the architecture {match[1]}",
            "use a model of another architecture, such as Llama, Gemma 3 or Qwen 2.5",
        )
    if "pre-tokenizer was not recognized" in said:
        return InvalidInput(
            "llama.cpp's converter does not know this tokenizer", "restore the tokenizer files of the original model"
        )
    return ModelUnavailable(f"the converter failed: {reason or f'code {code}'}", "check the model's files")
