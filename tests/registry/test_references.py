from __future__ import annotations

import pytest

from edge_ttp.errors import InvalidInput, NotFound
from edge_ttp.registry.references import (
    AddressReference,
    HubReference,
    choose_file,
    file_name,
    is_reference,
    parse_reference,
)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("hf:Qwen/Qwen2.5-0.5B-Instruct-GGUF", HubReference("Qwen/Qwen2.5-0.5B-Instruct-GGUF")),
        ("hf:a/b:Q4_K_M", HubReference("a/b", "Q4_K_M")),
        ("hf:a/b:sub/x.gguf", HubReference("a/b", "sub/x.gguf")),
        ("https://example.com/x.gguf", AddressReference("https://example.com/x.gguf")),
    ],
)
def test_a_reference_comes_back_as_it_was_written(text: str, meant: object) -> None:
    assert is_reference(text)
    assert parse_reference(text) == meant
    assert str(parse_reference(text)) == text


@pytest.mark.parametrize("text", ["hf:", "hf:a", "hf:a/..", "hf:a/b/c", "hf:a b/c", "http://x/y.gguf", "file:///etc/x"])
def test_what_is_no_reference_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_reference(text)


def test_names_are_no_references() -> None:
    assert not any(map(is_reference, ("smollm2-135m-instruct", "smollm2:Q8_0", "./x.gguf", "hf")))


NAMES = ["m-Q2_K.gguf", "m-Q4_K_M.gguf", "m-Q4_K_M-imat.gguf", "m.Q8_0.gguf", "sub/m-f16.gguf", "README.md"]


@pytest.mark.parametrize(
    ("pick", "file"),
    [
        ("", "m-Q4_K_M.gguf"),
        ("q8_0", "m.Q8_0.gguf"),
        ("F16", "sub/m-f16.gguf"),
        ("m-f16.gguf", "sub/m-f16.gguf"),
        ("sub/m-f16.gguf", "sub/m-f16.gguf"),
        ("Q4_K_M-imat", "m-Q4_K_M-imat.gguf"),
    ],
)
def test_the_file_meant_is_chosen(pick: str, file: str) -> None:
    assert choose_file(HubReference("a/b", pick), NAMES) == file


@pytest.mark.parametrize("pick", ["Q4_K", "K_M", "Q3_K_S", "m-Q9.gguf"])
def test_half_a_quantization_is_none(pick: str) -> None:
    with pytest.raises(NotFound, match="has no such file; there are F16, Q2_K, Q4_K_M, Q8_0"):
        choose_file(HubReference("a/b", pick), NAMES)


def test_a_repository_of_one_model_needs_no_choice() -> None:
    assert choose_file(HubReference("a/b"), ["only.gguf"]) == "only.gguf"
    with pytest.raises(NotFound, match="has no GGUF file"):
        choose_file(HubReference("a/b"), ["model.safetensors"])


def test_a_files_name_is_what_stands_last_in_the_path() -> None:
    assert file_name("https://h/a/b%20c.gguf?download=true#x") == "b c.gguf"
    assert file_name("https://h") == ""
