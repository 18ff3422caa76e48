"""reward.json: what a reward model's folder holds, checked before any of it is loaded."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from edge_ttp.errors import ModelUnavailable
from edge_ttp.reward.features import CONTEXT, FEATURES
from edge_ttp.reward.word_features import WORD_FEATURES

CONFIG_FILE = "reward.json"
FORMAT = 3
MAX_CONFIG_BYTES = 4 * 2**20
MAX_FILE_BYTES = 512 * 2**20

Finite = Annotated[float, Field(allow_inf_nan=False)]
Cure = "pull it again (`edge-ttp models pull`) or export it again (`edge-ttp export reward onnx`)"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class File(_Part):
    """One file of the folder, with what it must be."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    bytes: Annotated[int, Field(gt=0, le=MAX_FILE_BYTES)]


class EncoderFiles(_Part):
    """The text encoder's files and shape."""

    graph: File
    tokenizer: File
    width: Annotated[int, Field(gt=0, le=4096)]
    max_tokens: Annotated[int, Field(ge=8, le=8192)]
    layers: Annotated[int, Field(gt=0, le=128)]


class PriorWeights(_Part):
    """Gaussian over the last layer's weights, fitted to the training users: the prior of every user.

    The difference of a candidate from its pool's mean is features . mean; its epistemic variance features' covariance.
    """

    mean: Annotated[list[Finite], Field(min_length=1, max_length=512)]
    covariance: list[list[Finite]]

    @model_validator(mode="after")
    def _square(self) -> PriorWeights:
        size = len(self.mean)
        if len(self.covariance) != size or any(len(row) != size for row in self.covariance):
            raise ValueError("the covariance must be square, of the mean's length")
        matrix = np.array(self.covariance)
        if not np.allclose(matrix, matrix.T, atol=1e-9) or np.linalg.eigvalsh(matrix)[0] < -1e-9:
            raise ValueError("the covariance must be symmetric and positive semidefinite")
        return self


class Distance(_Part):
    """What a candidate's distance from the training data adds to its epistemic variance.

    Up to `usual` nothing; beyond it, variance * (distance / usual - 1).
    """

    usual: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    """95% of the training candidates are nearer than this."""
    variance: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    """Squared utility units: the spread that the mean usually has within a pool."""


class RewardConfig(_Part):
    """The whole of reward.json."""

    format: int
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
    encoder: EncoderFiles
    salience: File
    heads: File
    features: list[str]
    context: list[str]
    words: list[str]
    weights: PriorWeights
    distance: Distance
    made: dict[str, Any]
    """How it was trained: data fingerprints, seed, settings. For people; nothing reads it."""


def read_config(folder: Path) -> tuple[RewardConfig, str]:
    """The config in `folder` and the sha256 of its bytes. Raises ModelUnavailable for anything but a sound one."""
    path = folder / CONFIG_FILE
    try:
        if path.exists() and not path.is_file():  # a pipe has no end
            raise ModelUnavailable(f"{path} is no regular file", Cure)
        if path.stat().st_size > MAX_CONFIG_BYTES:
            raise ModelUnavailable(f"{path} is too large to be a reward model's config", Cure)
        raw = path.read_bytes()
    except OSError as error:
        raise ModelUnavailable(f"no reward model in {folder}: {error.strerror or error}", Cure) from error
    try:
        config = RewardConfig.model_validate(json.loads(raw))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"])
        raise ModelUnavailable(f"{path} is not a reward model's config: {where}: {first['msg']}", Cure) from error
    except (ValueError, RecursionError, np.linalg.LinAlgError) as error:
        raise ModelUnavailable(f"{path} is not a reward model's config: {str(error)[:120]}", Cure) from error
    made_for = (tuple(config.features), tuple(config.context), tuple(config.words))
    if config.format != FORMAT or made_for != (FEATURES, CONTEXT, WORD_FEATURES):
        raise ModelUnavailable(f"{path} was made for another version of edge-ttp", Cure)
    return config, hashlib.sha256(raw).hexdigest()


def read_checked(folder: Path, file: File) -> bytes:
    """The bytes of one file of the model, equal in size and sha256 to what the config says."""
    path = folder / file.name
    try:
        size = path.stat().st_size
        if size != file.bytes:
            raise ModelUnavailable(f"{path} has {size} bytes instead of {file.bytes} (truncated or altered)", Cure)
        data = path.read_bytes()
    except OSError as error:
        raise ModelUnavailable(f"{path} cannot be read: {error.strerror or error}", Cure) from error
    if hashlib.sha256(data).hexdigest() != file.sha256:
        raise ModelUnavailable(f"{path} is not the file the model was published with (sha256 differs)", Cure)
    return data


def prior(weights: PriorWeights) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Mean (D,) and covariance (D, D) of the last layer's weights."""
    return np.array(weights.mean), np.array(weights.covariance)
