"""Forms of one encoder, all of the same weights: how large, how fast, and how well they rank."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from transformers import BertConfig, PretrainedConfig

from edge_ttp.lab.bench.corpus import Query
from edge_ttp.reward.config import RewardConfig, read_checked, read_config
from edge_ttp.reward.encoder import TextEncoder
from edge_ttp.reward.model import HEADS_INPUTS, HEADS_OUTPUTS, RewardModel, Scores
from edge_ttp.reward.salience import Salience
from edge_ttp.reward.session import Session
from edge_ttp.reward.user_profile import HISTORY_ITEMS
from edge_ttp.reward.utility import agreement, tokenize
from edge_ttp.schema import Candidate
from edge_ttp_export.export_gates import Gate, ranking_gates, spearman
from edge_ttp_export.minilm import Tokens
from edge_ttp_export.optimum_graphs import FUSED_DOMAINS, PROCESSORS, dynamic_int8, fused, static_int8
from edge_ttp_export.quantize import float_products, quantize_weights, whole_products

FLOAT, WEIGHTS, SHIPPED = "float", "weights in 8 bits", "rows in 7 bits"
CANDIDATES = 32
_HEADS = 12
"""Attention heads of MiniLM."""
_LOADS = 5
_ALONE = 24


@dataclass(frozen=True)
class EncoderForm:
    """One form."""

    name: str
    graph: onnx.ModelProto


@dataclass(frozen=True)
class FormRow:
    """What one form is worth. Times are medians, in milliseconds."""

    name: str
    megabytes: float
    """Of the encoder's file."""
    load_ms: float
    """To a session that runs."""
    encode_ms: float
    """CANDIDATES candidates to vectors."""
    score_ms: float
    """CANDIDATES candidates to scores, with the user's and the input's part made before."""
    of_weights: float
    """`score_ms` over that of WEIGHTS: the median of the pools' ratios."""
    spearman: float
    """Rank correlation with FLOAT within a query, mean."""
    spearman_least: float
    """The same, of the query where it is least."""
    utility_lost: float
    """By choosing with it in place of FLOAT, mean."""
    coverage_change: float
    """Of the 80% interval, against FLOAT."""
    alone: float
    """Largest difference between a number of a text's vector alone and among others."""
    gates: bool
    """Whether the gates of an export pass."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def forms(encoder: onnx.ModelProto, width: int, texts: Sequence[str]) -> Iterator[EncoderForm]:
    """Every form of an encoder of 8-bit weights; `texts` show static INT8 how large activations are."""
    config = BertConfig(hidden_size=width, num_attention_heads=_HEADS)
    full = float_products(encoder)
    weights = quantize_weights(full)
    yield EncoderForm(FLOAT, full)
    yield EncoderForm(WEIGHTS, weights)
    yield EncoderForm(SHIPPED, whole_products(weights))
    joined = fused(full, config)
    yield EncoderForm("fused, float", joined)
    yield EncoderForm("fused, weights in 8 bits", quantize_weights(joined))
    for processor in PROCESSORS:
        yield EncoderForm(f"dynamic INT8, {processor}", dynamic_int8(full, config, processor))
        yield EncoderForm(f"fused, dynamic INT8, {processor}", dynamic_int8(joined, config, processor))
        yield EncoderForm(f"static INT8, {processor}", _static(full, config, processor, texts))


def _static(full: onnx.ModelProto, config: PretrainedConfig, processor: Any, texts: Sequence[str]) -> onnx.ModelProto:
    tokens, batches = Tokens(), []
    for text in texts:
        ids, mask = (one.numpy() for one in tokens([text]))
        batches.append({"input_ids": ids, "attention_mask": mask})
    return static_int8(full, config, processor, batches)


@dataclass(frozen=True)
class JudgedQuery:
    """A query, its candidates, and what each is worth."""

    query: Query
    drawn: list[Candidate]

    @property
    def utility(self) -> npt.NDArray[np.float64]:
        """(N,)."""
        words = [tokenize(one.text) for one in self.drawn]
        return agreement(words, [tokenize(self.query.item.output)])[:, 0]


class FormModel:
    """The reward model in a folder, with its encoder in another form."""

    def __init__(self, folder: Path, config: RewardConfig, form: EncoderForm, threads: int) -> None:
        tokenizer, salience, heads = (
            read_checked(folder, one) for one in (config.encoder.tokenizer, config.salience, config.heads)
        )
        self.form, self.bytes = form, form.graph.SerializeToString()
        loads = []
        for _ in range(_LOADS):
            started = time.perf_counter()
            self.encoder = TextEncoder(
                self.bytes,
                tokenizer,
                name=form.name,
                fingerprint=form.name,
                width=config.encoder.width,
                max_tokens=config.encoder.max_tokens,
                threads=threads,
                domains=FUSED_DOMAINS,
            )
            loads.append(time.perf_counter() - started)
        self.load_ms = 1000 * statistics.median(loads)
        reads = Salience(salience, self.encoder, name=form.name, threads=threads)
        last = Session(heads, name="heads.onnx", inputs=HEADS_INPUTS, outputs=HEADS_OUTPUTS, threads=1)
        self.model = RewardModel(config, form.name, reads, last)

    def say(self, query: JudgedQuery) -> tuple[Scores, float, float]:
        """Scores, and the seconds that encoding and scoring took."""
        profile = self.model.profile(query.query.history[-HISTORY_ITEMS:])
        source = self.model.prepare(query.query.item.input)
        started = time.perf_counter()
        self.model.encoder.encode([candidate.text for candidate in query.drawn])
        between = time.perf_counter()
        scores = self.model.score(profile, source, query.drawn)
        return scores, between - started, time.perf_counter() - between

    def alone(self, texts: Sequence[str]) -> float:
        """Largest difference between a text's vector alone and among the others."""
        together = self.encoder.encode(texts)
        each = np.concatenate([self.encoder.encode([text]) for text in texts])
        return float(np.abs(together - each).max())


def compare(
    folder: Path,
    pools: Sequence[JudgedQuery],
    *,
    threads: int,
    rounds: int,
    report: Callable[[str], None],
    only: Sequence[str] = (),
) -> list[FormRow]:
    """Every form (of `only`, and FLOAT and WEIGHTS) on the same pools, in turns on each pool, `rounds` times."""
    config, _ = read_config(folder)
    encoder = onnx.load_from_string(read_checked(folder, config.encoder.graph))
    texts = [candidate.text for one in pools for candidate in one.drawn[:2]]
    models = []
    for form in forms(encoder, config.encoder.width, texts[:64]):
        if only and form.name not in (FLOAT, WEIGHTS, *only):
            continue
        models.append(FormModel(folder, config, form, threads))
        report(f"{form.name}: loaded")
    said: dict[str, list[Scores]] = {one.form.name: [] for one in models}
    times: dict[str, list[tuple[float, float]]] = {one.form.name: [] for one in models}
    for place, pool in enumerate(pools):
        for turn in range(rounds):
            for one in models:
                scores, encoding, scoring = one.say(pool)
                times[one.form.name].append((encoding, scoring))
                if turn == 0:
                    said[one.form.name].append(scores)
        if (place + 1) % 10 == 0:
            report(f"{place + 1} of {len(pools)} pools")
    utilities = [pool.utility for pool in pools]
    return [_row(one, said, times, utilities, one.alone(texts[:_ALONE])) for one in models]


def _row(
    model: FormModel,
    said: Mapping[str, list[Scores]],
    times: Mapping[str, list[tuple[float, float]]],
    utilities: Sequence[npt.NDArray[np.float64]],
    alone: float,
) -> FormRow:
    name = model.form.name
    gates = ranking_gates(said[FLOAT], said[name], utilities)
    ranks = [spearman(ours.mean, theirs.mean) for ours, theirs in zip(said[name], said[FLOAT], strict=True)]
    ratios = [mine[1] / theirs[1] for mine, theirs in zip(times[name], times[WEIGHTS], strict=True)]
    encoding, scoring = (1000 * statistics.median(one) for one in zip(*times[name], strict=True))
    return FormRow(
        name=name,
        megabytes=len(model.bytes) / 1e6,
        load_ms=model.load_ms,
        encode_ms=encoding,
        score_ms=scoring,
        of_weights=statistics.median(ratios),
        spearman=gates[0].value,
        spearman_least=min(ranks),
        utility_lost=gates[1].value,
        coverage_change=gates[2].value,
        alone=alone,
        gates=all(gate.passed for gate in gates),
    )


def shipped_gates(folder: Path, pools: Sequence[JudgedQuery], threads: int) -> tuple[onnx.ModelProto, list[Gate]]:
    """The encoder of the reward model in `folder` in the form that is shipped, and its gates against FLOAT."""
    config, _ = read_config(folder)
    full = float_products(onnx.load_from_string(read_checked(folder, config.encoder.graph)))
    small = whole_products(quantize_weights(full))
    models = [
        FormModel(folder, config, EncoderForm(name, one), threads) for name, one in ((FLOAT, full), (SHIPPED, small))
    ]
    by_float, by_shipped = ([one.say(pool)[0] for pool in pools] for one in models)
    return small, ranking_gates(by_float, by_shipped, [pool.utility for pool in pools])
