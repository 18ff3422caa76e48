"""Which format of a model this device should use: how fast each one is, what it lost, and a rule that decides.

Also makes a format that the device does not have, with its loss and its speeds in its manifest.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from threading import Event
from typing import Any

from edge_ttp.errors import InvalidInput
from edge_ttp.paths import Paths, private_folder
from edge_ttp.policy import bindings
from edge_ttp.policy.formats import speeds
from edge_ttp.policy.formats.fidelity import Fidelity, Passage, PolicyScorer, Reference, compare, reference
from edge_ttp.policy.formats.speeds import ANSWER_TOKENS, COUNTS, PROMPT_TOKENS, USUAL, FormatSpeed
from edge_ttp.policy.llama import LlamaPolicy
from edge_ttp.registry import Facts, Located, Manifest, PromptStyle, Registry
from edge_ttp.registry.variants import processor, refuse_derivation

MAX_KL = 0.05
"""Largest mean KL divergence from the model's own file, in nats, that a format may have to be chosen."""
LEAST_GAIN = 1.05
"""How many times faster a format must be to be chosen instead of the own file."""
TIE = 0.03
"""Formats whose speeds differ by less than this share count as equally fast: the smaller file is taken."""

_UNQUANTIZED = ("F32", "F16", "BF16")

Report = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""


@dataclass(frozen=True)
class Text:
    """What formats are compared on."""

    name: str
    """For the manifest: the file, or the sample histories."""
    passages: Callable[[LlamaPolicy, PromptStyle], Sequence[Passage]]
    """Its passages as the runtime would put them to a policy whose prompts have this style."""


@dataclass(frozen=True)
class Findings:
    """What `bench formats` found out about one model on this device."""

    model: str
    own: str
    """The format of the model's own file: what the others are compared with."""
    sizes: Mapping[str, int]
    speeds: Mapping[str, FormatSpeed]
    losses: Mapping[str, Fidelity | None]
    """None for the own file, which is the reference."""
    unfit: Mapping[str, str]
    """Formats that this device's memory does not hold, and why."""
    choice: str
    reason: str
    threads: int
    max_kl: float

    def as_dict(self) -> dict[str, Any]:
        """For JSON: rows (one per format and number of candidates), choice, and how it came about."""
        rows = [
            {
                "format": name,
                "n": n,
                "prompt_tps": speed.prompt_tps,
                "decode_tps": speed.decode_tps[n],
                "size_bytes": self.sizes[name],
                "ratio_prompt": speed.prompt_ratio,
                "ratio_decode": speed.decode_ratio[n],
            }
            for name, speed in self.speeds.items()
            for n in COUNTS
        ]
        return {
            "rows": rows,
            "choice": self.choice,
            "reason": self.reason,
            "model": self.model,
            "own_format": self.own,
            "formats": {
                name: {
                    "request_ratio": speed.request_ratio,
                    "rounds_faster": speed.rounds_faster,
                    "rounds": speed.rounds,
                    "loss": loss.as_dict() if (loss := self.losses[name]) is not None else None,
                }
                for name, speed in self.speeds.items()
            },
            "unfit": dict(self.unfit),
            "max_kl": self.max_kl,
            "threads": self.threads,
            "device": processor(),
        }


def decide(
    own: str,
    speeds: Mapping[str, FormatSpeed],
    losses: Mapping[str, Fidelity | None],
    sizes: Mapping[str, int],
    *,
    max_kl: float = MAX_KL,
) -> tuple[str, str]:
    """The format to use, and why in words.

    The one with the fastest usual request among those whose mean KL divergence from the own file is at most `max_kl`;
    the smaller file among equally fast ones. The own file unless that is faster by LEAST_GAIN and in four of five
    rounds.
    """
    gain = {name: speed.request_ratio for name, speed in speeds.items()}
    loss = {name: one.mean_kl if (one := losses[name]) is not None else 0.0 for name in speeds}
    lossy = [name for name in speeds if loss[name] > max_kl and gain[name] > 1]
    surely = [
        name
        for name, speed in speeds.items()
        if name != own
        and loss[name] <= max_kl
        and gain[name] >= LEAST_GAIN
        and speed.rounds_faster * 5 >= speed.rounds * 4
    ]
    passed_over = "; faster but too lossy: " + ", ".join(
        f"{name} ({gain[name]:.2f}x, KL {loss[name]:.3f})" for name in sorted(lossy, key=gain.__getitem__, reverse=True)
    )
    tail = passed_over if lossy else ""
    if not surely:
        others = (
            "no other format was measured" if len(speeds) == 1 else "no other format is clearly faster at that loss"
        )
        return own, f"{own}, the model's own file: {others} (mean KL at most {max_kl:g} nats){tail}"
    fastest = max(gain[name] for name in surely)
    choice = min((name for name in surely if gain[name] >= fastest * (1 - TIE)), key=lambda name: (sizes[name], name))
    speed = speeds[choice]
    why = (
        f"{choice}: {gain[choice]:.2f} times as fast as {own} for a usual request ({PROMPT_TOKENS} prompt tokens, "
        f"{USUAL[0]} to {USUAL[-1]} candidates of {ANSWER_TOKENS}), in {speed.rounds_faster} of {speed.rounds} rounds, "
        f"at a mean KL divergence of {loss[choice]:.3f} nats (allowed: {max_kl:g})"
    )
    return choice, why + tail


TABLE_HEADER = ("format", "MB", "KL", "top-1", "n", "prompt t/s", "decode t/s", "x prompt", "x decode")
"""Names of the columns of `table`; the last two relative to the model's own file."""


def table(findings: Findings) -> list[tuple[str, ...]]:
    """The measurements as lines of text, one per format and number of candidates."""
    lines = []
    for name, speed in findings.speeds.items():
        loss = findings.losses[name]
        head = (
            name,
            f"{findings.sizes[name] / 1e6:.0f}",
            f"{loss.mean_kl:.4f}" if loss is not None else "own",
            f"{loss.top1_agreement:.1%}" if loss is not None else "",
        )
        for n in COUNTS:
            lines.append(
                (
                    *(head if n == COUNTS[0] else ("",) * len(head)),
                    str(n),
                    f"{speed.prompt_tps:.0f}",
                    f"{speed.decode_tps[n]:.0f}",
                    f"{speed.prompt_ratio:.2f}",
                    f"{speed.decode_ratio[n]:.2f}",
                )
            )
    return lines


class Comparison:
    """What other formats of one file lose. The file itself is read once, when the first of them is compared."""

    def __init__(self, source: Located, text: Text, threads: int, report: Report) -> None:
        self._source, self._text, self._threads, self._report = source, text, threads, report
        self._reference: Reference | None = None

    def of(self, path: Path, format: str) -> Fidelity:
        """The loss of the GGUF file at `path`."""
        known = self._reference = self._reference or self._read()
        total = len(known.observed)
        with PolicyScorer(path, threads=self._threads) as scorer:
            return compare(scorer, known, advance=lambda done: self._report(f"comparing {format}", done, total))

    def _read(self) -> Reference:
        policy = LlamaPolicy(self._source.path, threads=self._threads)
        try:
            found = self._text.passages(policy, self._source.prompt_style or "few-shot")
        finally:
            policy.close()
        total = sum(len(passage.scored) for passage in found)
        what = f"reading {self._source.format} for comparison"
        with PolicyScorer(self._source.path, threads=self._threads) as scorer:
            return reference(scorer, found, advance=lambda done: self._report(what, done, total))


class Maker:
    """Makes formats of one model's own file and measures them."""

    def __init__(
        self, own: Located, text: Text, *, threads: int, rounds: int, report: Report, cancel: Event | None = None
    ) -> None:
        self._own, self._text, self._threads, self._rounds = own, text, threads, rounds
        self._report, self._cancel = report, cancel
        self.comparison = Comparison(own, text, threads, report)
        self._fallbacks: dict[str, int] = {}

    def write(self, format: str, target: Path) -> None:
        """Writes the own file in `format` to `target`."""
        made = bindings.quantize(
            self._own.path,
            target,
            format,
            threads=self._threads,
            allow_requantize=True,
            progress=lambda done, total: self._report(f"making {format}", done, total),
            cancel=self._cancel,
        )
        self._fallbacks[format] = made.fallbacks

    def speeds(self, files: Mapping[str, Path]) -> tuple[dict[str, FormatSpeed], dict[str, str]]:
        """The speeds of `files` beside the own file's, and which do not fit."""
        together = {self._own.format: self._own.path, **files}
        total = len(together) * self._rounds
        return speeds.measure(
            together,
            base=self._own.format,
            threads=self._threads,
            rounds=self._rounds,
            advance=lambda done: self._report("measuring speeds", done, total),
        )

    def facts(self, format: str, loss: Fidelity, speeds: Mapping[str, FormatSpeed]) -> Facts:
        """Recipe and measurements for the manifest of a format that `write` made."""
        recipe = {
            "tool": f"llama_model_quantize of llama-cpp-python {bindings.version()}",
            "requantized": self._own.format not in _UNQUANTIZED,
            "fallback_tensors": self._fallbacks[format],
        }
        measurements: dict[str, Any] = {"loss": {"text": self._text.name, **loss.as_dict()}}
        if format in speeds:
            measured = asdict(speeds[format])
            for key in ("decode_tps", "decode_ratio"):
                measured[key] = {str(n): value for n, value in measured[key].items()}
            measurements["speed"] = {"device": processor(), "threads": self._threads, **measured}
        return Facts(recipe, measurements)


def derive(
    registry: Registry,
    name: str,
    format: str,
    text: Text,
    *,
    threads: int,
    rounds: int = speeds.ROUNDS,
    force: bool = False,
    report: Report = lambda what, done, total: None,
    note: Callable[[str], None] | None = None,
    cancel: Event | None = None,
) -> Located:
    """The model `name` in `format`, made from its own file and measured unless this device has it already.

    Raises as Registry.derive, bindings.quantize and the measurements do; nothing stays then.
    """
    own = _own(registry, name, format)
    maker = Maker(own, text, threads=threads, rounds=rounds, report=report, cancel=cancel)

    def make(source: Path, target: Path) -> Facts:
        maker.write(format, target)
        loss = maker.comparison.of(target, format)
        found, _ = maker.speeds({format: target})
        return maker.facts(format, loss, found)

    return registry.derive(name, format, make, force=force, note=note, cancel=cancel)


def measure(
    registry: Registry,
    paths: Paths,
    name: str,
    extra: Sequence[str],
    text: Text,
    *,
    threads: int,
    rounds: int = speeds.ROUNDS,
    max_kl: float = MAX_KL,
    choose: bool = False,
    report: Report = lambda what, done, total: None,
    cancel: Event | None = None,
) -> Findings:
    """Measures the formats of the model `name` on this device, also those of `extra`, made for the measurement only.

    `choose` notes the choice for this device; a format made for the measurement is kept in the store if it is chosen.
    """
    own = _own(registry, name, *extra)
    here = {one.format: one for one in registry.formats(name)}
    wanted = [format for format in dict.fromkeys(extra) if format not in here]
    maker = Maker(own, text, threads=threads, rounds=rounds, report=report, cancel=cancel)
    losses: dict[str, Fidelity | None] = {own.format: None}
    with _temporary(paths) as folder:
        files = {format: one.path for format, one in here.items() if format != own.format}
        for format in wanted:
            files[format] = folder / f"{format}.gguf"
            maker.write(format, files[format])
        for format, path in files.items():
            losses[format] = _recorded(here.get(format), text) or maker.comparison.of(path, format)
        speeds, unfit = maker.speeds(files)
        sizes = {format: path.stat().st_size for format, path in {own.format: own.path, **files}.items()}
        choice, reason = decide(own.format, speeds, losses, sizes, max_kl=max_kl)
        if choose:
            loss = losses[choice]
            if choice in wanted and loss is not None:
                _keep(registry, own, choice, files[choice], maker.facts(choice, loss, speeds))
            registry.choose(name, choice, reason)
    return Findings(
        model=own.manifest.name if own.manifest is not None else own.name,
        own=own.format,
        sizes=sizes,
        speeds=speeds,
        losses=losses,
        unfit=unfit,
        choice=choice,
        reason=reason,
        threads=threads,
        max_kl=max_kl,
    )


def in_words(manifest: Manifest) -> list[str]:
    """What the manifest of a derived format says of its loss and its speeds, one line each."""
    lines = []
    loss = manifest.measurements.get("loss")
    if (found := _fidelity(loss)) is not None and isinstance(loss, dict):
        lines.append(
            f"loss on {found.positions} tokens of the {loss.get('text')}: KL {found.mean_kl:.4f} nats (mean), "
            f"{found.p99_kl:.3f} (99th percentile), same likeliest token {found.top1_agreement:.1%}, "
            f"perplexity {found.perplexity:.2f} after {found.perplexity_reference:.2f}"
        )
    speed = manifest.measurements.get("speed")
    if isinstance(speed, dict) and isinstance(ratios := speed.get("decode_ratio"), dict):
        numbers = ", ".join(f"{ratio:.2f} (N={n})" for n, ratio in ratios.items() if isinstance(ratio, int | float))
        lines.append(f"times as fast as {manifest.recipe.get('source_format')}: decoding {numbers}")
    return lines


def _own(registry: Registry, name: str, *formats: str) -> Located:
    """The model's own file, if the `formats` asked for can be made of it. Raises before any work is done."""
    own = registry.own(name)
    assert own.manifest is not None
    if own.kind != "policy":
        raise InvalidInput(f"{name!r} is no policy: it has one format", "see `edge-ttp models list`")
    if not own.format:
        raise InvalidInput(f"the file of {name!r} does not say what format it has", "write `format` into its manifest")
    for format in formats:
        if format not in bindings.FORMATS:
            raise InvalidInput(f"the format {format!r} cannot be made", f"choose from {', '.join(bindings.FORMATS)}")
    if formats:
        refuse_derivation(own.manifest)
    return own


def _keep(registry: Registry, own: Located, format: str, made: Path, facts: Facts) -> None:
    def move(_: Path, target: Path) -> Facts:
        shutil.move(made, target)
        return facts

    assert own.manifest is not None
    registry.derive(own.manifest.name, format, move, force=True)


def _recorded(variant: Located | None, text: Text) -> Fidelity | None:
    """The loss on `text` noted in a variant's manifest; None where there is none that can be read."""
    manifest = variant.manifest if variant is not None else None
    loss = manifest.measurements.get("loss") if manifest is not None else None
    return _fidelity(loss) if isinstance(loss, dict) and loss.get("text") == text.name else None


def _fidelity(loss: object) -> Fidelity | None:
    """A manifest's entry as measured; None where it is not one."""
    numbers = {field.name: loss.get(field.name) for field in fields(Fidelity)} if isinstance(loss, dict) else {}
    known = {key: value for key, value in numbers.items() if isinstance(value, int | float)}
    return Fidelity(**known) if numbers and len(known) == len(numbers) else None  # type: ignore[arg-type]


@contextmanager
def _temporary(paths: Paths) -> Iterator[Path]:
    """A folder on the cache's disk that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="formats-", dir=private_folder(paths.cache)) as folder:
        yield Path(folder)
