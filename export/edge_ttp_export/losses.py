"""Losses on differences within a pool: what is compared when one network is trained in several ways."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from edge_ttp_export.network import Heads

Loss = Literal["beta-nll", "mse", "bradley-terry", "listwise"]

_TYPICAL = 0.06  # usual spread of utility in a pool; only makes losses of different kinds comparable in size
_LIST_TEMPERATURE = 0.03  # in utility: candidates this far apart differ by a factor e in the target


def differences(utility: Tensor, mask: Tensor) -> Tensor:
    """(B, N) utility minus its pool's mean; 0 outside the mask."""
    mean = (utility * mask).sum(1, keepdim=True) / mask.sum(1, keepdim=True).clamp(min=1)
    return (utility - mean) * mask


def difference_loss(kind: Loss, beta: float, heads: Heads, utility: Tensor, mask: Tensor) -> Tensor:
    """(B,) loss per pool on the predicted differences.

    beta-nll: Gaussian likelihood, weighted by variance^beta (Seitzer et al. 2022); beta 0 is the likelihood itself,
    beta 1 weighs errors as mse does. Under the other losses the noise is fitted beside the mean, not through it, around
    the differences in utility units (ranking losses do not fix a scale: theirs is fitted to the batch).
    """
    target = differences(utility, mask)
    if kind == "beta-nll":
        return _mean(_nll(target - heads.difference, heads.log_variance, beta), mask)
    found = heads.difference.detach() * mask
    scale = 1.0 if kind == "mse" else (found * target).sum() / found.square().sum().clamp(min=1e-9)
    noise = _mean(_nll(target - scale * found, heads.log_variance, 0.5), mask)
    if kind == "mse":
        return _mean((target - heads.difference).square(), mask) / (2 * _TYPICAL**2) + noise
    if kind == "bradley-terry":
        pairs = (target.unsqueeze(2) - target.unsqueeze(1) > 1e-6) & (mask.unsqueeze(2) * mask.unsqueeze(1) > 0)
        margins = (heads.difference.unsqueeze(2) - heads.difference.unsqueeze(1)) / _TYPICAL
        total = (F.softplus(-margins) * pairs).sum((1, 2)) / pairs.sum((1, 2)).clamp(min=1)
        return total + noise
    hidden = -1e4 * (1 - mask)
    wanted = torch.softmax(target / _LIST_TEMPERATURE + hidden, dim=1)
    chances = torch.log_softmax(heads.difference / _LIST_TEMPERATURE + hidden, dim=1)
    return -(wanted * chances * mask).sum(1) + noise


def offset_loss(heads: Heads, utility: Tensor, mask: Tensor) -> Tensor:
    """(B,) negative log-likelihood of the pool's mean utility."""
    mean = (utility * mask).sum(1) / mask.sum(1).clamp(min=1)
    return _nll(mean - heads.offset, heads.offset_log_variance, 0.5)


def _nll(error: Tensor, log_variance: Tensor, beta: float) -> Tensor:
    loss = 0.5 * (error.square() * torch.exp(-log_variance) + log_variance)
    return loss * torch.exp(beta * log_variance.detach()) / _TYPICAL ** (2 * beta)


def _mean(values: Tensor, mask: Tensor) -> Tensor:
    return (values * mask).sum(1) / mask.sum(1).clamp(min=1)
