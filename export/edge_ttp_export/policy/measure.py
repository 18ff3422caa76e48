"""What is measured: the conversion against the checkpoint, and every format against the unquantized file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edge_ttp.answer.prompt import Style
from edge_ttp.errors import InvalidInput
from edge_ttp.lab.bench.passages import passages
from edge_ttp.policy.formats import speeds
from edge_ttp.policy.formats.fidelity import Fidelity, Passage, PolicyScorer, Reference, compare, reference
from edge_ttp.policy.formats.speeds import FormatSpeed
from edge_ttp.policy.llama import LlamaPolicy
from edge_ttp_export.policy.agreement import as_dict, compare_logits, compare_tokenizers, template_kept
from edge_ttp_export.policy.benefit import Utilities, compare_utilities, measure_utilities
from edge_ttp_export.policy.build import Workshop, style_of
from edge_ttp_export.policy.format_gates import MeasuredFormat
from edge_ttp_export.policy.held_out import Texts

POSITIONS = 512
"""Held-out tokens that formats are compared on."""
_CONVERSION_POSITIONS = 128
MAX_CONVERSION_KL = 0.01
"""Largest mean KL divergence of the converted file from the checkpoint, in nats: beyond it the conversion is wrong."""


@dataclass(frozen=True)
class Test:
    """What is measured, and on how much."""

    texts: Texts
    positions: int
    queries: int
    candidates: int
    rounds: int

    @property
    def key(self) -> str:
        """Identifies it among the notes of a work folder."""
        return f"{self.texts.name} {self.positions} {self.queries} {self.candidates}"


class Bench:
    """Measures the files of one export. What was measured is noted, so that an interrupted run does not do it again."""

    def __init__(self, shop: Workshop, test: Test) -> None:
        self._shop, self._test = shop, test
        self._passages: list[Passage] | None = None
        self._reference: Reference | None = None
        self.style: Style = "few-shot"

    def prepare(self) -> Style:
        """How the policy is spoken to; also reads the held-out text."""
        policy = LlamaPolicy(self._shop.full, threads=self._shop.threads)
        try:
            self.style = style_of(policy)
            self._passages = passages(policy, self.style, self._test.texts.held_out, self._test.positions)
        finally:
            policy.close()
        return self.style

    def conversion(self, network: Callable[[], Any]) -> dict[str, Any]:
        """How the converted file agrees with the checkpoint. Raises InvalidInput where it is not the same model."""
        found = self._shop.folder.noted("conversion", lambda: self._conversion(network()))
        kl = float(found["logits"]["mean_kl"])
        if not kl <= MAX_CONVERSION_KL:
            raise InvalidInput(
                f"the converted model is not the checkpoint: its predictions differ by {kl:.3f} nats",
                "the architecture may not be supported; report it with the model's name",
            )
        return found

    def _conversion(self, network: Any) -> dict[str, Any]:
        from transformers import AutoTokenizer

        some, count = [], 0
        for passage in self._known_passages():
            some.append(passage)
            count += len(passage.scored)
            if count >= _CONVERSION_POSITIONS:
                break
        self._shop.report("comparing with the checkpoint", 0, 1)
        tokenizer = AutoTokenizer.from_pretrained(self._shop.checkpoint, local_files_only=True)
        logits = compare_logits(network, self._shop.full, some, threads=self._shop.threads)
        tokens = compare_tokenizers(tokenizer, self._shop.full)
        template = template_kept(getattr(tokenizer, "chat_template", None), self._shop.full)
        self._shop.report("comparing with the checkpoint", 1, 1)
        return as_dict(logits, tokens, template)

    def measure(self, files: Mapping[str, tuple[Path, int]], base: str, own: str) -> list[MeasuredFormat]:
        """Every file's measurements, `base` (the reference) among them. `own`: the format that the source was in."""
        losses = {name: self.loss(path, name) for name, (path, _) in files.items() if name != base}
        utilities = {name: self._utilities(path, name) for name, (path, _) in files.items()}
        found = self._speeds({name: path for name, (path, _) in files.items()}, base)
        return [
            MeasuredFormat(
                format=name,
                size_bytes=path.stat().st_size,
                loss=losses.get(name),
                speed=found.get(name),
                benefit=compare_utilities(utilities[name], utilities[base], self._test.candidates),
                fallbacks=fallbacks,
                own=bool(own) and name == own,
            )
            for name, (path, fallbacks) in files.items()
        ]

    def loss(self, path: Path, name: str) -> Fidelity:
        """How the file's predictions differ from the unquantized file's on the held-out text."""

        def find() -> dict[str, Any]:
            known = self._known_reference()
            total = len(known.observed)
            with PolicyScorer(path, threads=self._shop.threads) as scorer:
                return compare(
                    scorer, known, advance=lambda done: self._shop.report(f"comparing {name}", done, total)
                ).as_dict()

        return Fidelity(**self._shop.folder.noted(f"loss {name} {self._test.key}", find))

    def _utilities(self, path: Path, name: str) -> Utilities:
        queries = self._test.texts.queries(self._test.queries)

        def find() -> dict[str, Any]:
            return asdict(
                measure_utilities(
                    path,
                    queries,
                    candidates=self._test.candidates,
                    threads=self._shop.threads,
                    advance=lambda done: self._shop.report(f"answering with {name}", done, len(queries)),
                )
            )

        noted = self._shop.folder.noted(f"utility {name} {self._test.key}", find)
        return Utilities(*(tuple(noted[key]) for key in ("chosen", "mean", "best")))

    def _speeds(self, files: Mapping[str, Path], base: str) -> dict[str, FormatSpeed]:
        """Speeds of all files in the same minutes, so they are not kept from an earlier run."""
        total = len(files) * self._test.rounds
        found, _ = speeds.measure(
            files,
            base=base,
            threads=self._shop.threads,
            rounds=self._test.rounds,
            advance=lambda done: self._shop.report("measuring speeds", done, total),
        )
        return found

    def _known_passages(self) -> Sequence[Passage]:
        if self._passages is None:
            self.prepare()
        assert self._passages is not None
        return self._passages

    def _known_reference(self) -> Reference:
        if self._reference is None:
            some = self._known_passages()
            total = sum(len(passage.scored) for passage in some)
            with PolicyScorer(self._shop.full, threads=self._shop.threads) as scorer:
                self._reference = reference(
                    scorer, some, advance=lambda done: self._shop.report("reading the reference", done, total)
                )
        return self._reference
