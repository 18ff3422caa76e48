"""What decoding takes at the least: the llama_decode calls of a request without the engine around them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edge_ttp.budget.timed import CHUNK
from edge_ttp.policy.bindings import Context, Step, replay
from edge_ttp.policy.formats.fidelity import load
from edge_ttp.policy.gpu import ALL_LAYERS
from edge_ttp.policy.request import Sampled


def steps_of(sampled: Sampled) -> list[Step]:
    """The decode calls that drew `sampled` in one wave with shared rows, from the tokens drawn.

    Candidate i is sequence i + 1. A step decodes the last token of all candidates that drew another one after it;
    those that drew the same so far are one row.
    """
    alive = dict(enumerate(sampled.token_ids, start=1))
    steps: list[Step] = []
    for drawn in range(1, max((len(tokens) for tokens in alive.values()), default=0)):
        ended = tuple(sequence for sequence, tokens in alive.items() if len(tokens) == drawn)
        for sequence in ended:
            del alive[sequence]
        rows: dict[tuple[int, ...], list[int]] = {}
        for sequence, tokens in alive.items():
            rows.setdefault(tokens[:drawn], []).append(sequence)
        steps.append(
            Step(
                tokens=tuple(prefix[-1] for prefix in rows),
                position=sampled.prompt_tokens + drawn - 1,
                members=tuple(tuple(row) for row in rows.values()),
                drops=ended,
            )
        )
    return steps


class Bare:
    """A model of its own with one prompt in its cache, to repeat decode calls on. Close it."""

    def __init__(self, path: Path, *, cells: int, most: int, threads: int, on_gpu: bool) -> None:
        """`cells` tokens and `most` candidates at most. Raises ModelUnavailable or OutOfCapacity."""
        self._model = load(path, gpu_layers=ALL_LAYERS if on_gpu else 0)
        self._context = Context(self._model, cells=cells, sequences=most + 1, chunk=CHUNK, threads=threads)

    def read(self, prompt: Sequence[int]) -> None:
        """Reads another prompt."""
        self._context.clear()
        for start in range(0, len(prompt), CHUNK):
            piece = prompt[start : start + CHUNK]
            self._context.prefill(piece, start, want_logits=start + CHUNK >= len(prompt))

    def seconds(self, sampled: Sampled) -> float:
        """Seconds of the decode calls that drew `sampled` behind the prompt read last."""
        return replay(self._context, list(range(1, len(sampled.candidates) + 1)), steps_of(sampled))

    def close(self) -> None:
        """Frees the model."""
        self._context.close()
        self._model.close()
