"""A voice adapter for rewriting, from many users' texts to a file in the model store.

Trained on train users, watched on tune users: the weights that predict these best are kept. An interrupted run goes on.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from threading import Event
from typing import Any, Literal

import torch

from edge_ttp.budget.device import cores
from edge_ttp.errors import Cancelled, InvalidInput, NotFound
from edge_ttp.lab.bench.corpus import tasks_in
from edge_ttp.paths import Paths
from edge_ttp.policy.llama import LlamaPolicy
from edge_ttp.registry import Located, Manifest, Registry
from edge_ttp.registry.manifest import file_sha256
from edge_ttp_export.policy.build import style_of
from edge_ttp_export.policy.converter import ADAPTER_SCRIPT, RELEASE, Report, converter
from edge_ttp_export.policy.imatrix import load_network
from edge_ttp_export.policy.lora import convert_adapter, inspect_lora
from edge_ttp_export.policy.lora_start import starting_weights, weights_file
from edge_ttp_export.policy.lora_train import LoraSettings, LoraTraining, write_lora
from edge_ttp_export.policy.policy_source import PolicySource, fingerprint, inspect
from edge_ttp_export.policy.register import free_name, put
from edge_ttp_export.policy.voice_texts import TRAIN, TUNE, RewritePassages
from edge_ttp_export.policy.work_folder import WorkFolder, work_folder

LEFT_OUT = ("irc_reply", "podcast_reply", "fr_kaamelott")
"""Tasks that nothing is trained on by default: they tell whether what was learned carries over."""
SAVED = 10
"""Steps between two states on disk: what an interrupted run loses at most."""
_STATE, _BEST = "state.safetensors", "best"
_TUNE_SEED = 2


@dataclass(frozen=True)
class VoiceOrder:
    """What adapter is wanted."""

    source: Path
    """The checkpoint."""
    data: Path
    """Folder of the users' texts."""
    tasks: tuple[str, ...] = ()
    """Empty: all but `left_out`. A task that stands twice counts twice."""
    left_out: tuple[str, ...] = LEFT_OUT
    base: str | None = None
    """The policy of the store that it is for; None: those that were made of the checkpoint."""
    name: str | None = None
    licence: str | None = None
    settings: LoraSettings = field(default_factory=LoraSettings)
    watched: int = 20
    """Passages of tune users that the loss is watched on."""
    every: int = 50
    """Steps between two looks at them."""
    begin: Path | None = None
    """An adapter of the checkpoint that the training goes on from: a PEFT folder or a GGUF file."""


def export_voice(
    order: VoiceOrder,
    paths: Paths,
    *,
    report: Report = lambda what, done, total: None,
    note: Callable[[str], None] = lambda text: None,
    cancel: Event | None = None,
) -> tuple[Manifest, Path]:
    """Trains the adapter and registers it; its manifest and where it lies.

    Raises InvalidInput, ModelUnavailable, NotFound, ExtraMissing, OutOfCapacity, Cancelled.
    """
    registry = Registry(paths)
    source = inspect(order.source)
    if source.is_gguf:
        raise InvalidInput("an adapter is trained on a checkpoint", "read the GGUF back: edge-ttp export checkpoint")
    script = converter(paths, ADAPTER_SCRIPT)
    made_of = fingerprint(source, cancel)
    bases = _bases(registry, order.base, source, made_of)
    name = free_name(registry, order.name or f"voice-{bases[0].name.partition(':')[0]}", source, None)
    tasks = order.tasks or tuple(one for one in tasks_in(order.data) if one not in order.left_out)
    settings = _settled(order.settings)
    # Of the number of steps only the rate depends, so that a longer run may go on from a shorter one.
    same = {key: str(value) for key, value in asdict(replace(settings, steps=1, workers=1)).items()}
    parts = {"what": "voice", "fingerprint": made_of, "data": str(order.data.absolute()), "tasks": " ".join(tasks)}
    begun = None
    if order.begin is not None:
        begun = starting_weights(order.begin, source.path, settings)
        same["begun"] = file_sha256(weights_file(order.begin))
    with work_folder(paths, {**parts, **same}, note) as folder:
        losses, watched, users = _train(
            order,
            settings=settings,
            tasks=tasks,
            source=source,
            policy_file=bases[0].path,
            begun=begun,
            folder=folder,
            report=report,
            note=note,
            cancel=cancel,
        )
        lora = inspect_lora(folder.file(_BEST), source.path)
        path = folder.file("voice.gguf")
        convert_adapter(script, lora, source.path, path, report=report, cancel=cancel)
        few = max(1, len(losses) // 10)
        fields: dict[str, Any] = {
            "kind": "adapter",
            "description": f"Voice adapter for {source.name}: says notes and drafts in the manner of the user's texts.",
            "licence": order.licence or source.licence or "unknown",
            "licence_url": source.licence_url,
            "bases": sorted({one.sha256 for one in bases}),
            "uses": ["rewrite"],
            "recipe": {
                "base": source.name,
                "base_sha256": made_of,
                "tasks": sorted(set(tasks)),
                "left_out": list(order.left_out),
                **({} if begun is None else {"begun_with": same["begun"]}),
                "users": users,
                "passages": len(losses) * settings.batch,
                **{key: getattr(settings, key) for key in ("rank", "alpha", "steps", "batch", "rate", "precision")},
                "converter": f"llama.cpp of llama-cpp-python {RELEASE}",
            },
            "measurements": {
                "loss_first": round(statistics.fmean(losses[:few]), 4),
                "loss_last": round(statistics.fmean(losses[-few:]), 4),
                "tune_losses": {str(step): round(loss, 4) for step, loss in watched.items()},
            },
        }
        return put(registry, path, name, fields, folder)


def _train(
    order: VoiceOrder,
    *,
    settings: LoraSettings,
    tasks: tuple[str, ...],
    source: PolicySource,
    policy_file: Path,
    begun: dict[str, torch.Tensor] | None,
    folder: WorkFolder,
    report: Report,
    note: Callable[[str], None],
    cancel: Event | None,
) -> tuple[list[float], dict[int, float], int]:
    """The losses of all steps, those of the watched passages by step, and the users trained on."""
    report("reading the texts", 0, 1)
    policy = LlamaPolicy(policy_file, threads=1)  # gives tokens only
    try:
        style = style_of(policy)
        train = RewritePassages(order.data, tasks, policy, style, tenths=TRAIN, seed=settings.seed)
        tune = RewritePassages(order.data, tasks, policy, style, tenths=TUNE, seed=_TUNE_SEED)
        held = [tune.passage(number) for number in range(order.watched)]
        report("loading the checkpoint", 0, 1)
        training = LoraTraining(load_network(source.path), settings)
        state, best = folder.file(_STATE), folder.file(_BEST)
        if state.is_file():
            training.load(state)
            note(f"going on after step {training.step_number} of {settings.steps}")
        elif begun is not None:
            training.begin(begun)
        watched = {int(step): float(loss) for step, loss in folder.noted("watched", dict).items()}
        while True:
            done = training.step_number
            if done not in watched and (done % order.every == 0 or done >= settings.steps):
                loss = training.loss(held)
                if loss < min(watched.values(), default=float("inf")) or not best.is_dir():
                    write_lora(training.tensors(), settings, source.path, best)
                watched[done] = loss
                folder.note("watched", {str(step): value for step, value in watched.items()})
                note(f"step {done}: {loss:.3f} nats a token of tune users")
            if done >= settings.steps:
                return training.losses, watched, train.users
            if cancel is not None and cancel.is_set():
                raise Cancelled("the training was cancelled")
            training.step([train.passage(done * settings.batch + one) for one in range(settings.batch)])
            if training.step_number % SAVED == 0 or training.step_number == settings.steps:
                training.save(state)
            report("training the voice", training.step_number, settings.steps)
    finally:
        policy.close()


def _bases(registry: Registry, wanted: str | None, source: PolicySource, made_of: str) -> list[Located]:
    """The policies that the adapter is for: the one that is named, or those on this device made of the checkpoint."""
    if wanted is not None:
        return [registry.own(wanted) if "/" not in wanted else registry.locate(wanted, kind="policy")]
    names = [source.name]
    for entry in registry.list():
        if entry.kind == "policy" and entry.installed and entry.variant_of is None:
            recipe = registry.manifest(entry.name).recipe
            names += [entry.name] if recipe.get("source_sha256") == made_of else []
    bases = []
    for name in dict.fromkeys(names):
        try:
            bases.append(registry.own(name))
        except (NotFound, InvalidInput):
            continue
    if not bases:
        raise InvalidInput(
            f"no policy on this device was made of {source.name!r}",
            "name one with --base, or make one: edge-ttp export policy",
        )
    return bases


def _settled(settings: LoraSettings) -> LoraSettings:
    """The settings with what this machine does best: workers share the cores, each with its own passage."""
    workers = max(1, min(settings.workers or cores(), settings.batch))
    torch.set_num_threads(max(1, cores() // workers))
    return replace(settings, workers=workers)


def best_precision(device: str) -> Literal["float32", "bfloat16"]:
    """16 bits where the device computes in them, else 32."""
    if device != "cpu":
        return "bfloat16"
    known = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return "bfloat16" if known is not None and known() else "float32"
