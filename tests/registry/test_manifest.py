"""Manifests are untrusted: what is refused, and that what is written reads back equal."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from repository import DOCS

from edge_ttp.errors import InvalidInput
from edge_ttp.registry import DEFAULT_POLICY, Manifest, read_manifest, write_manifest
from edge_ttp.registry.catalog import shipped_folder
from edge_ttp.registry.manifest import MAX_MANIFEST, Bundled, Wheels

from .makers import policy_toml, reward_folder, sha256

LOCAL = '{ type = "file", path = "/x" }'


def read(tmp_path: Path, text: str) -> Manifest:
    path = tmp_path / "m.toml"
    path.write_text(text, encoding="utf-8")
    return read_manifest(path)


def test_a_policy_manifest_is_read(tmp_path: Path) -> None:
    manifest = read(tmp_path, policy_toml(LOCAL))
    assert (manifest.name, manifest.kind, manifest.prompt_style, manifest.context) == ("tiny", "policy", "chat", 2048)
    assert manifest.size == manifest.files[0].size
    assert manifest.sha256 == manifest.files[0].sha256


@pytest.mark.parametrize(
    "path",
    [
        "../x",
        "a/../../x",
        "/etc/passwd",
        "a//b",
        "./x",
        "..",
        "",
        "a/",
        "C:/x",
        "C:x",
        "a\\\\b",
        "..\\\\x",
        "~/x",
        ".hidden",
        "a/.hidden",
        "x\\u0000y",
        "x\\ny",
        "x y",
        "con.",
        "manifest.toml",
        "Manifest.TOML",
        "x" * 201,
        "é",
    ],
)
def test_a_path_that_could_leave_the_folder_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(InvalidInput, match=r"files\.0\.path"):
        read(tmp_path, policy_toml(LOCAL, path=path))


@pytest.mark.parametrize("name", ["", "Tiny", "../x", "a/b", ".x", "-x", "a b", "a.", "x" * 65, "a\\n"])
def test_a_name_that_is_no_plain_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInput, match="name: "):
        read(tmp_path, policy_toml(LOCAL, name=name))


@pytest.mark.parametrize("size", [0, -1, 1 << 41, 10**30])
def test_an_impossible_size_is_refused(tmp_path: Path, size: int) -> None:
    with pytest.raises(InvalidInput, match=r"files\.0\.size"):
        read(tmp_path, policy_toml(LOCAL, size=size))


@pytest.mark.parametrize("digest", ["0" * 63, "0" * 65, "G" * 64, "A" * 64, "0" * 64 + "\\n"])
def test_a_malformed_checksum_is_refused(tmp_path: Path, digest: str) -> None:
    with pytest.raises(InvalidInput, match=r"files\.0\.sha256"):
        read(tmp_path, policy_toml(LOCAL, digest=digest))


@pytest.mark.parametrize(
    "source",
    [
        "",
        '{ type = "ftp", url = "ftp://x/y" }',
        '{ type = "https", url = "http://example.com/x" }',
        '{ type = "https", url = "https://" }',
        '{ type = "https", url = "file:///etc/passwd" }',
        '{ type = "https", url = "https://x/\\u001b[2J" }',
        '{ type = "file" }',
        '{ type = "file", path = "" }',
        '{ type = "pypi", parts = [] }',
        '{ type = "pypi", parts = [{ package = "../x", version = "1", member = "m" }] }',
        '{ type = "pypi", parts = [{ package = "x", version = "1/2", member = "m" }] }',
        '{ type = "bundled", extra = 1 }',
        "{ }",
        "3",
    ],
)
def test_a_source_that_cannot_be_meant_is_refused(tmp_path: Path, source: str) -> None:
    with pytest.raises(InvalidInput, match=r"files\.0\.sources"):
        read(tmp_path, policy_toml(source))


@pytest.mark.parametrize(
    "line",
    [
        'description = "a\\u001b[31mred"',
        'description = "two\\nlines"',
        'description = "\\u202eturned"',
        'nonsense = "x"',
        'licence_url = "javascript:x"',
    ],
)
def test_texts_that_would_disturb_a_terminal_and_unknown_fields_are_refused(tmp_path: Path, line: str) -> None:
    with pytest.raises(InvalidInput, match=r"malformed"):
        read(tmp_path, line + "\n" + policy_toml(LOCAL))


def test_a_policy_must_say_how_it_is_used(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="needs prompt_style and context"):
        read(tmp_path, policy_toml(LOCAL).replace('prompt_style = "chat"\n', ""))


@pytest.mark.parametrize("other", ["tiny.gguf", "TINY.gguf", "tiny.gguf/x"])
def test_two_files_cannot_share_a_path(tmp_path: Path, other: str) -> None:
    text = policy_toml(LOCAL)
    block = text[text.index("[[files]]") :]
    with pytest.raises(InvalidInput, match="used twice"):
        read(tmp_path, text + block.replace("tiny.gguf", other))


@pytest.mark.parametrize(
    "data",
    [b"\xff\xfe", b"name = ", b"x = " + b"[" * 5000, b"\0", b"#" * (MAX_MANIFEST + 1), b"", b"a = " + b"9" * 5000],
)
def test_a_file_that_is_no_manifest_is_one_line(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "m.toml"
    path.write_bytes(data)
    with pytest.raises(InvalidInput, match=r"m\.toml") as refused:
        read_manifest(path)
    assert "\n" not in str(refused.value)


def test_a_missing_manifest_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"nothing\.toml"):
        read_manifest(tmp_path / "nothing.toml")


def test_write_manifest_takes_sizes_and_checksums_from_the_files(tmp_path: Path) -> None:
    folder = reward_folder(tmp_path / "judge")
    manifest = read_manifest(folder / "manifest.toml")
    assert manifest.bundled
    assert manifest.kind == "reward"
    assert [(file.path, file.size, file.sha256, file.sources) for file in manifest.files] == [
        ("heads.onnx", 500, sha256(b"heads" * 100), (Bundled(),)),
        ("reward.json", 14, sha256(b'{"version": 1}'), (Bundled(),)),
    ]
    assert manifest.recipe == {"steps": 3, "tasks": ["a", "b"]}
    assert manifest.measurements == {"share": 0.25, "by task": {"a": 0.5}}
    assert manifest.place(folder) == folder


def test_a_manifest_of_several_files_is_identified_by_all_of_them(tmp_path: Path) -> None:
    one = reward_folder(tmp_path / "one")
    before = read_manifest(one / "manifest.toml").sha256
    (one / "heads.onnx").write_bytes(b"other")
    changed = write_manifest(
        one, name="judge", kind="reward", files=["heads.onnx", "reward.json"], description="", licence="x"
    )
    assert changed.sha256 != before


@pytest.mark.parametrize("value", [None, object()])
def test_write_manifest_refuses_what_toml_cannot_hold(tmp_path: Path, value: Any) -> None:
    (tmp_path / "x").write_bytes(b"x")
    with pytest.raises(InvalidInput):
        write_manifest(
            tmp_path, name="x", kind="reward", files=["x"], description="", licence="x", recipe={"a": {"b": value}}
        )


_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_VALUES = st.recursive(
    st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False) | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(_TEXT, _VALUES, max_size=4), st.text("abcäöü \"'\\{}[]#=", max_size=30))
def test_what_is_written_reads_back_equal(recipe: dict[str, Any], description: str) -> None:
    fields = {
        "name": "x",
        "kind": "reward",
        "licence": "MIT",
        "description": description,
        "recipe": recipe,
        "files": [{"path": "a/b", "size": 1, "sha256": "0" * 64, "sources": [{"type": "bundled"}]}],
    }
    manifest = Manifest.model_validate(fields)
    assert Manifest.model_validate(tomllib.loads(manifest.to_toml())) == manifest


def test_shipped_manifests_are_sound_and_carry_their_licence() -> None:
    manifests = [read_manifest(path) for path in sorted(shipped_folder().glob("*.toml"))]
    assert {manifest.name for manifest in manifests} >= {DEFAULT_POLICY, "gemma3-270m"}
    for manifest in manifests:
        assert manifest.licence_url.startswith("https://")
        sources = [source for file in manifest.files for source in file.sources]
        assert manifest.bundled or all(isinstance(source, Wheels) for source in sources)


def test_the_manifest_in_the_documentation_is_one(tmp_path: Path) -> None:
    text = (DOCS / "models.md").read_text(encoding="utf-8")
    example = text.split("```toml\n")[1].split("```")[0]
    manifest = read(tmp_path, example)
    assert [source.type for source in manifest.files[0].sources] == ["file", "pypi", "https"]


@pytest.mark.parametrize(
    ("kind", "more", "words"),
    [
        ("policy", 'uses = ["rewrite"]', "belong to an adapter"),
        ("adapter", 'uses = ["rewrite"]', "names its bases"),
        ("adapter", 'uses = ["sing"]', "uses"),
        ("adapter", 'bases = ["abc"]', "bases"),
        ("reward", "temperatures = [0.5]", "temperatures belong"),
    ],
)
def test_what_an_adapter_is_for_is_checked(tmp_path: Path, kind: str, more: str, words: str) -> None:
    text = policy_toml(LOCAL).replace('kind = "policy"', f'kind = "{kind}"')
    if kind != "policy":
        text = "\n".join(
            line for line in text.splitlines() if not line.startswith(("prompt_style", "context", "format"))
        )
    with pytest.raises(InvalidInput, match=words):
        read(tmp_path, f"{more}\n{text}")
