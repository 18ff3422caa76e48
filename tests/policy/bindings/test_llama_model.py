"""A GGUF file loaded: its sizes and vocabulary, control tokens, what is refused, what is said once it is closed."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_ttp.errors import Cancelled, ModelUnavailable
from edge_ttp.policy.bindings import Model
from policy.tiny import HEADS, LAYERS, WIDTH, WORDS, embedding_model, language_model, sliding_model

END = len(WORDS) - 1
"""The token <|im_end|>."""


def test_sizes_are_those_of_the_file(loaded: Model) -> None:
    assert (loaded.vocab_size, loaded.layers, loaded.heads, loaded.embedding) == (len(WORDS), LAYERS, HEADS, WIDTH)
    assert loaded.context_trained == 4096
    assert loaded.head_widths == (HEADS, WIDTH // HEADS, WIDTH // HEADS)
    assert loaded.window == 0
    assert loaded.shares_rows
    assert not loaded.on_gpu
    assert "llama" in loaded.description
    assert loaded.metadata("general.name") == "tiny"
    assert loaded.metadata("general.no_such_key") is None


def test_a_window_is_known(tmp_path: Path) -> None:
    model = Model(sliding_model(tmp_path / "gemma.gguf", window=24))
    assert model.window == 24
    model.close()


def test_control_tokens_are_read_only_where_control_is_given(loaded: Model) -> None:
    text = "ab<|im_end|>"
    assert END in loaded.tokenize(text, control=True)
    plain = loaded.tokenize(text, control=False)
    assert END not in plain
    assert b"".join(loaded.piece(token) for token in plain).strip() == text.encode()
    assert loaded.tokenize("", control=False) == []


def test_pieces_are_bytes_and_control_tokens_have_none(loaded: Model) -> None:
    assert loaded.piece(WORDS.index("<0xE2>")) == b"\xe2"
    assert loaded.piece(WORDS.index("▁a")) == b" a"
    assert loaded.piece(END) == b""


def test_control_tokens_end_an_answer_and_some_of_them_a_text(loaded: Model) -> None:
    assert loaded.bos == 1
    assert loaded.ends_answer(2)
    assert loaded.ends_text(2)
    assert loaded.ends_answer(1)
    assert not loaded.ends_text(1)
    assert not loaded.ends_answer(WORDS.index("a"))


def test_a_file_without_a_chat_template_renders_none(loaded: Model) -> None:
    assert loaded.chat_template is None
    assert loaded.render_chat([("user", "a")]) is None


def test_loading_is_told_and_can_be_ended(tmp_path: Path) -> None:
    path = language_model(tmp_path / "tiny.gguf")
    parts: list[float] = []

    def tell(part: float) -> bool:
        parts.append(part)
        return True

    Model(path, advance=tell).close()
    assert parts == sorted(parts)
    assert parts[-1] == 1
    with pytest.raises(Cancelled):
        Model(path, advance=lambda _: False)


@pytest.mark.parametrize("data", [b"", b"GGUF", b"not a model at all" * 100])
def test_what_is_no_model_is_one_line(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "broken.gguf"
    path.write_bytes(data)
    with pytest.raises(ModelUnavailable, match=r"llama\.cpp cannot load .*broken\.gguf") as raised:
        Model(path)
    assert "\n" not in str(raised.value)


def test_an_embedding_model_is_named_for_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match=r"embedding model \(bert\)"):
        Model(embedding_model(tmp_path / "bert.gguf"))


def test_a_closed_model_says_so_to_everybody(tmp_path: Path) -> None:
    model = Model(language_model(tmp_path / "tiny.gguf"))
    known = model.piece(WORDS.index("a"))
    model.close()
    model.close()
    for ask in (
        lambda: model.handle,
        lambda: model.vocab,
        lambda: model.bos,
        lambda: model.chat_template,
        lambda: model.metadata("general.name"),
        lambda: model.tokenize("a", control=False),
        lambda: model.piece(WORDS.index("b")),
        lambda: model.ends_text(2),
    ):
        with pytest.raises(ModelUnavailable, match="the policy was closed"):
            ask()
    assert model.piece(WORDS.index("a")) == known  # needs the file no more
