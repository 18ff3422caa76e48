"""The tokenizer files of a Hugging Face checkpoint, made from the vocabulary in a GGUF file.

transformers reads a GGUF's tokenizer back without its pre-tokenizer (digits, for one, are then no longer apart) and
Gemma's as another kind of model; both give other tokens than the file itself. So this is done here, for the kinds
whose rules are known, and refused for all others.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_ttp.errors import InvalidInput

# GGUF token types (gguf.TokenType), the numbers of SentencePiece.
_NORMAL, _UNKNOWN, _CONTROL, _USER_DEFINED, _UNUSED = 1, 2, 3, 4, 5

# Split patterns of the pre-tokenizers, as in the models' own tokenizer.json and llama.cpp's llama-vocab.cpp.
_GPT4 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_SPLITS = {"qwen2": _GPT4 % "", "llama-bpe": _GPT4 % "{1,3}"}
_BYTE_LEVEL = ("gpt-2", "default", "smollm", *_SPLITS)


@dataclass(frozen=True)
class Vocabulary:
    """What a GGUF file says about its tokenizer."""

    model: str
    """`gpt2` (byte-level BPE) or `llama` (SentencePiece)."""
    pre: str
    tokens: list[str]
    types: list[int]
    scores: list[float]
    merges: list[str]
    special: dict[str, int]
    """bos, eos, unknown, padding -> token."""
    adds_bos: bool
    adds_space: bool
    chat_template: str | None


def read_vocabulary(path: Path) -> Vocabulary:
    """The vocabulary in the GGUF file at `path`, whose header was checked before."""
    from gguf import GGUFReader

    reader = GGUFReader(path)

    def value(key: str, default: Any = None) -> Any:
        field = reader.get_field(f"tokenizer.{key}")
        return default if field is None else field.contents()

    names = ("bos", "eos", "unknown", "padding")
    ids = {name: value(f"ggml.{name}_token_id") for name in names}
    tokens = value("ggml.tokens", [])
    return Vocabulary(
        model=str(value("ggml.model", "")),
        pre=str(value("ggml.pre", "default")),
        tokens=tokens,
        types=value("ggml.token_type") or [_NORMAL] * len(tokens),
        scores=value("ggml.scores", []),
        merges=value("ggml.merges", []),
        special={name: int(token) for name, token in ids.items() if token is not None},
        adds_bos=bool(value("ggml.add_bos_token", value("ggml.model") == "llama")),
        adds_space=bool(value("ggml.add_space_prefix", True)),
        chat_template=value("chat_template"),
    )


def write_tokenizer(vocabulary: Vocabulary, architecture: str, folder: Path) -> None:
    """Writes tokenizer.json and its configuration, and for SentencePiece tokenizer.model, to `folder`.

    Raises InvalidInput for a kind of tokenizer that cannot be written.
    """
    if vocabulary.model == "gpt2" and vocabulary.pre in _BYTE_LEVEL:
        tokenizer = _byte_level(vocabulary)
    elif vocabulary.model == "llama" and len(vocabulary.scores) == len(vocabulary.tokens):
        _sentencepiece(vocabulary, folder / "tokenizer.model")
        tokenizer = _with_scores(vocabulary, architecture)
    else:
        raise InvalidInput(
            f"a tokenizer of kind {vocabulary.model}/{vocabulary.pre} cannot be written as Hugging Face files",
            "use the model's original checkpoint",
        )
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(
        json.dumps(_configuration(vocabulary, architecture), ensure_ascii=False, indent=1), encoding="utf-8"
    )


def _byte_level(vocabulary: Vocabulary) -> Any:
    from tokenizers import Regex, Tokenizer, decoders, normalizers, pre_tokenizers
    from tokenizers.models import BPE

    ids = {token: index for index, token in enumerate(vocabulary.tokens)}
    merges = [(left, right) for left, _, right in (merge.partition(" ") for merge in vocabulary.merges)]
    tokenizer = Tokenizer(BPE(ids, merges, fuse_unk=False, byte_fallback=False))
    if vocabulary.pre in _SPLITS:
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(_SPLITS[vocabulary.pre]), "isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )
    elif vocabulary.pre == "smollm":
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    if vocabulary.pre == "qwen2":
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.decoder = decoders.ByteLevel()
    return _with_added(tokenizer, vocabulary)


def _with_added(tokenizer: Any, vocabulary: Vocabulary) -> Any:
    """`tokenizer` with the control tokens as special ones, and the tokens that are taken whole wherever they stand."""
    from tokenizers import AddedToken

    whole = {
        index: token
        for index, (token, kind) in enumerate(zip(vocabulary.tokens, vocabulary.types, strict=True))
        if kind in (_CONTROL, _UNKNOWN, _USER_DEFINED)
    }
    special = [index for index in whole if vocabulary.types[index] != _USER_DEFINED]
    plain = [index for index in whole if vocabulary.types[index] == _USER_DEFINED]
    # In one call each: every call builds the search for them anew.
    tokenizer.add_special_tokens([AddedToken(whole[index], special=True, normalized=False) for index in special])
    tokenizer.add_tokens([AddedToken(whole[index], special=False, normalized=False) for index in plain])
    for index, token in whole.items():
        if tokenizer.token_to_id(token) != index:
            raise InvalidInput(f"the token {token!r} stands twice in the vocabulary", "use the original checkpoint")
    return tokenizer


def _sentencepiece(vocabulary: Vocabulary, path: Path) -> None:
    """Writes the SentencePiece model: BPE over scores, bytes for what has no piece, no change of the text."""
    from sentencepiece import sentencepiece_model_pb2

    model = sentencepiece_model_pb2.ModelProto()
    model.trainer_spec.model_type = 2  # BPE
    model.trainer_spec.vocab_size = len(vocabulary.tokens)
    model.trainer_spec.byte_fallback = True
    for name, key in (("unk_id", "unknown"), ("bos_id", "bos"), ("eos_id", "eos"), ("pad_id", "padding")):
        setattr(model.trainer_spec, name, vocabulary.special.get(key, -1))
    model.normalizer_spec.name = "identity"
    model.normalizer_spec.add_dummy_prefix = vocabulary.adds_space
    model.normalizer_spec.remove_extra_whitespaces = False
    model.normalizer_spec.escape_whitespaces = True
    for token, score, kind in zip(vocabulary.tokens, vocabulary.scores, vocabulary.types, strict=True):
        piece = model.pieces.add()
        # A converter writes the spaces of tokens that are taken whole as plain ones.
        piece.piece = token.replace(" ", "\u2581") if kind == _USER_DEFINED else token
        piece.score, piece.type = score, kind
    path.write_bytes(model.SerializeToString())


def _with_scores(vocabulary: Vocabulary, architecture: str) -> Any:
    """The same as a tokenizer of merges, most probable first (transformers' convert_slow_tokenizer.generate_merges)."""
    from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers
    from tokenizers.models import BPE

    ids = {token: index for index, token in enumerate(vocabulary.tokens)}
    found: list[tuple[float, int, int, int, str, str]] = []
    for token, score in zip(vocabulary.tokens, vocabulary.scores, strict=True):
        for cut in range(1, len(token)):
            left, right = ids.get(token[:cut]), ids.get(token[cut:])
            if left is not None and right is not None:
                found.append((-score, -cut, -left, -right, token[:cut], token[cut:]))
    found.sort(key=lambda one: one[:4])
    merges = [(left, right) for *_, left, right in found]
    unknown = vocabulary.special.get("unknown")
    tokenizer = Tokenizer(
        BPE(
            ids,
            merges,
            unk_token=vocabulary.tokens[unknown] if unknown is not None else None,
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    if architecture.startswith("gemma"):
        tokenizer.normalizer = normalizers.Replace(" ", "\u2581")
        tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    else:
        scheme = "first" if vocabulary.adds_space else "never"
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace("\u2581", prepend_scheme=scheme, split=False)
    steps = [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()]
    if vocabulary.adds_space and not architecture.startswith("gemma"):
        steps.append(decoders.Strip(" ", 1, 0))
    tokenizer.decoder = decoders.Sequence(steps)
    return _with_added(tokenizer, vocabulary)


_SPECIAL = (("bos", "bos"), ("eos", "eos"), ("unk", "unknown"), ("pad", "padding"))


def _configuration(vocabulary: Vocabulary, architecture: str) -> dict[str, Any]:
    sentencepiece = vocabulary.model == "llama"
    gemma = architecture.startswith("gemma")
    kind = ("GemmaTokenizer" if gemma else "LlamaTokenizer") if sentencepiece else "PreTrainedTokenizerFast"
    configuration: dict[str, Any] = {
        "tokenizer_class": kind,
        "add_bos_token": vocabulary.adds_bos,
        "clean_up_tokenization_spaces": False,
        "model_max_length": 1_000_000_000,
    }
    if sentencepiece and not gemma:
        configuration |= {"legacy": False, "add_prefix_space": vocabulary.adds_space}
    for key, name in _SPECIAL:
        if name in vocabulary.special:
            configuration[f"{key}_token"] = vocabulary.tokens[vocabulary.special[name]]
    if vocabulary.chat_template:
        configuration["chat_template"] = vocabulary.chat_template
    # The converter takes the kinds of the tokens from here.
    configuration["added_tokens_decoder"] = {
        str(index): {
            "content": token.replace(" ", "\u2581") if kind == _USER_DEFINED and sentencepiece else token,
            "special": kind in (_CONTROL, _UNKNOWN),
            "normalized": False, "lstrip": False, "rstrip": False, "single_word": False,
        }
        for index, (token, kind) in enumerate(zip(vocabulary.tokens, vocabulary.types, strict=True))
        if kind in (_CONTROL, _UNKNOWN, _USER_DEFINED)
    }  # fmt: skip
    return configuration
