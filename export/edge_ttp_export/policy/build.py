"""From a source to GGUF files: merge, convert, find out what matters, quantize. The work folder keeps each step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from typing import Any

from edge_ttp.answer.prompt import Style
from edge_ttp.lab.bench.passages import passages
from edge_ttp.policy import bindings
from edge_ttp.policy.llama import LlamaPolicy
from edge_ttp_export.policy.converter import Report, run
from edge_ttp_export.policy.held_out import Texts
from edge_ttp_export.policy.imatrix import compute_imatrix, load_network
from edge_ttp_export.policy.imatrix_file import ImportanceMatrix, read_imatrix, write_imatrix
from edge_ttp_export.policy.lora import Lora, merge
from edge_ttp_export.policy.policy_source import PolicySource
from edge_ttp_export.policy.work_folder import WorkFolder

CALIBRATION_TOKENS = 8192
"""Scored tokens of the passages that an importance matrix is computed on, at most."""


@dataclass(frozen=True)
class Workshop:
    """What the steps work with."""

    source: PolicySource
    folder: WorkFolder
    script: Path | None
    """llama.cpp's converter; None for a source that is GGUF already."""
    lora: Lora | None
    threads: int
    report: Report
    cancel: Event | None = None

    @property
    def checkpoint(self) -> Path:
        """The checkpoint that is converted: the source, or its copy with the adapter merged in."""
        if self.lora is None:
            return self.source.path
        lora = self.lora

        def make(partial: Path) -> None:
            merge(self.source.path, lora, partial, report=self.report, cancel=self.cancel)

        return self.folder.made("merged", make)

    @property
    def full(self) -> Path:
        """The unquantized GGUF file; of a GGUF source, the source itself."""
        if self.source.is_gguf:
            return self.source.path
        script = self.script
        assert script is not None

        def make(partial: Path) -> None:
            arguments = [
                str(self.checkpoint),
                "--outtype",
                self.source.format.lower(),
                "--model-name",
                self.source.name,
            ]
            run(script, arguments, target=partial, what="converting", report=self.report, cancel=self.cancel)

        return self.folder.made("full.gguf", make)

    def network(self) -> Any:
        """The checkpoint in torch."""
        self.report("loading the checkpoint", 0, 1)
        return load_network(self.checkpoint)

    def imatrix(self, texts: Texts | None, given: Path | None, network: Callable[[], Any]) -> ImportanceMatrix | None:
        """The importance matrix in the file `given`, or computed on the earlier items of `texts`; None for neither."""
        if given is not None:
            return read_imatrix(given)
        if texts is None:
            return None

        def make(partial: Path) -> None:
            policy = LlamaPolicy(self.full, threads=self.threads)
            try:
                found = passages(policy, style_of(policy), texts.earlier, CALIBRATION_TOKENS)
            finally:
                policy.close()
            total = sum(len(one.tokens) for one in found)
            matrix = compute_imatrix(
                network(),
                [one.tokens for one in found],
                text=texts.name,
                advance=lambda done: self.report("computing the importance matrix", done, total),
            )
            write_imatrix(matrix, partial)

        return replace(read_imatrix(self.folder.made("imatrix.gguf", make)), text=texts.name)

    def quantized(self, format: str, imatrix: ImportanceMatrix | None) -> tuple[Path, int]:
        """The file in `format`, and how many of its tensors that format cannot hold."""
        if format == self.source.format:
            return self.full, 0
        full = self.full
        counted: dict[str, int] = {}

        def make(partial: Path) -> None:
            made = bindings.quantize(
                full,
                partial,
                format,
                threads=self.threads,
                allow_requantize=self.source.is_gguf and bool(self.source.quantized),
                imatrix=usable(imatrix),
                progress=lambda done, total: self.report(f"quantizing to {format}", done, total),
                cancel=self.cancel,
            )
            counted["fallbacks"] = made.fallbacks

        path = self.folder.made(f"{format}.gguf", make)
        noted = self.folder.noted(f"fallbacks {format}", lambda: {"fallbacks": counted["fallbacks"]} if counted else {})
        return path, int(noted.get("fallbacks", 0))


def usable(imatrix: ImportanceMatrix | None) -> Mapping[str, Any] | None:
    """What the quantizer takes of an importance matrix."""
    return imatrix.columns if imatrix is not None else None


def style_of(policy: LlamaPolicy) -> Style:
    """How the policy is spoken to: chat where llama.cpp knows its template."""
    return "chat" if policy.encode_chat([("user", "a")]) is not None else "few-shot"
