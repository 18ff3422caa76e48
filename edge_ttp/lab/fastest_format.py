"""The fastest format of a policy within the loss limit: looked for once, format by format, and used from then on.

Every format is made, tried and measured on its own (`edge_ttp.policy.formats.derive`), so that a search that was
cut off goes on with the next one. Formats that were made for the search and are not chosen go again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from threading import Event

from edge_ttp.lab.search_state import SearchState
from edge_ttp.paths import Paths
from edge_ttp.policy.formats.derive import MAX_KL, Findings, Report, Text, derive, measure
from edge_ttp.policy.formats.speeds import ROUNDS
from edge_ttp.registry import Registry

FORMATS = ("Q8_0", "Q4_0")
"""What is tried beside the model's own file: the formats whose kernels were fastest on the processors measured."""


def find_fastest(
    registry: Registry,
    paths: Paths,
    name: str,
    text: Text,
    *,
    threads: int,
    rounds: int = ROUNDS,
    max_kl: float = MAX_KL,
    formats: Iterable[str] | None = None,
    report: Report = lambda what, done, total: None,
    cancel: Event | None = None,
) -> Findings:
    """Measures `formats` (None: FORMATS) of the model `name`, uses the fastest within the loss limit from now on.

    Raises as `derive` and `measure`; what was made until then is found again by the next call.
    """
    own = registry.own(name)
    model = own.manifest.name if own.manifest is not None else own.name
    here = {one.format for one in registry.formats(model)}
    state = SearchState.read(paths, model, own.sha256)
    for format in FORMATS if formats is None else formats:
        if format not in here:
            state = replace(state, made=(*dict.fromkeys((*state.made, format)),))
            state.write(paths, model)  # before it is made: what a cut-off search leaves is known to be its own
            derive(registry, model, format, text, threads=threads, rounds=1, report=report, cancel=cancel)
    found = measure(
        registry,
        paths,
        model,
        [],
        text,
        threads=threads,
        rounds=rounds,
        max_kl=max_kl,
        choose=True,
        report=report,
        cancel=cancel,
    )
    for format in state.made:
        if format != found.choice and format in found.sizes:
            registry.remove(f"{model}:{format}")
    replace(state, made=()).write(paths, model)
    return found
