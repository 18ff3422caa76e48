"""The salience network learns which words an input calls for, and its export is the same function."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the export extra")

from reward.test_word_features import NOBODY  # noqa: E402

from edge_ttp.errors import InvalidInput  # noqa: E402
from edge_ttp.reward.salience import INPUTS, MOST_PIECES, OUTPUTS, Salience, spelling  # noqa: E402
from edge_ttp.reward.session import Session  # noqa: E402
from edge_ttp_export.graphs import EncoderGraphs  # noqa: E402
from edge_ttp_export.minilm import KEPT_LAYERS, WIDTH, load_encoder  # noqa: E402
from edge_ttp_export.onnx_export import export_encoder, export_salience  # noqa: E402
from edge_ttp_export.quantize import quantize_weights  # noqa: E402
from edge_ttp_export.salience_network import SalienceNetwork  # noqa: E402
from edge_ttp_export.text_files import Item  # noqa: E402
from edge_ttp_export.train_salience import load_salience, save_salience, train_salience  # noqa: E402
from edge_ttp_export.user_split import part_of  # noqa: E402

pytestmark = pytest.mark.export

COLOURS = ["red", "green", "blue", "black", "white", "brown", "pink", "grey"]
THINGS = ["house", "boat", "tree", "river", "garden", "window", "table", "street", "bridge", "tower"]


def users(count: int = 12, items: int = 8) -> dict[str, list[Item]]:
    """Train users who always write down the colour, and nothing else of the input."""
    source = np.random.default_rng(1)
    names = [name for name in (f"user {number}" for number in range(100)) if part_of(name) == "train"][:count]

    def item(user: str, order: int) -> Item:
        colour, *things = source.choice(COLOURS), *source.choice(THINGS, 3, replace=False)
        words = [*things[:2], f"the {colour} one", things[2]]
        return Item(user, order, " and ".join(words), f"{colour}")

    return {name: [item(name, order) for order in range(items)] for name in names}


@pytest.fixture(scope="module")
def encoder() -> EncoderGraphs:
    made = load_encoder(layers=KEPT_LAYERS[3])
    full = export_encoder(made)
    return EncoderGraphs(made, full, full)


@pytest.fixture(scope="module")
def network(encoder: EncoderGraphs) -> SalienceNetwork:
    return train_salience(
        [users()], encoder.torch, encoder.runtime(), apart={("user 0", 7)}, epochs=12, seed=1, report=str
    )


def reader(encoder: EncoderGraphs, network: SalienceNetwork) -> Salience:
    graph = export_salience(network).SerializeToString()
    return Salience(graph, encoder.runtime(), name="test", threads=1)


def test_it_learns_which_words_are_called_for(encoder: EncoderGraphs, network: SalienceNetwork) -> None:
    made = reader(encoder, network)
    text = "the window and the tree and the green one and a river"
    words = ["green", "window", "tree", "river", "black"]
    source = made.encoder.encode([text])[0]
    numbers = made.numbers(made.read(text), NOBODY, source, words, [" ".join(words)])
    total = numbers.sum(axis=1)
    assert total[0] == total.max()
    assert numbers[4, 1] == 0  # not in the input: it has no place there


def test_the_exported_graph_is_the_network(encoder: EncoderGraphs, network: SalienceNetwork) -> None:
    source = np.random.default_rng(2)
    for tokens, count in ((1, 1), (9, 30)):
        feeds = {
            "states": source.normal(size=(1, tokens, WIDTH)).astype(np.float32),
            "mask": np.ones((1, tokens), np.float32),
            "user": source.normal(size=(1, WIDTH)).astype(np.float32),
            "recalled": source.normal(size=(1, WIDTH)).astype(np.float32),
            "words": source.integers(0, 2000, (1, count, MOST_PIECES)),
            "places": source.integers(-1, tokens, (1, count, MOST_PIECES)),
        }
        with torch.no_grad():
            expected = network(*(torch.from_numpy(feeds[name]) for name in INPUTS)).numpy()
        graph = export_salience(network)
        for each, most in ((graph, 1e-4), (quantize_weights(graph), 0.05)):
            session = Session(each.SerializeToString(), name="it", inputs=INPUTS, outputs=OUTPUTS, threads=1)
            np.testing.assert_allclose(session.run(feeds)[0], expected, atol=most)


def test_padding_changes_nothing(network: SalienceNetwork) -> None:
    states, mask = torch.randn(1, 5, WIDTH), torch.ones(1, 5)
    user = torch.randn(1, WIDTH)
    words, places = torch.tensor([[[7, 0, 0, 0]]]), torch.tensor([[[2, -1, -1, -1]]])
    longer = torch.cat([states, torch.randn(1, 4, WIDTH)], dim=1)
    with torch.no_grad():
        alone = network(states, mask, user, user, words, places)
        padded = network(longer, torch.cat([mask, torch.zeros(1, 4)], dim=1), user, user, words, places)
    torch.testing.assert_close(alone, padded, atol=1e-5, rtol=0)


def test_it_is_read_back_as_it_was(network: SalienceNetwork, tmp_path: Path) -> None:
    save_salience(tmp_path, network)
    again = load_salience(tmp_path)
    for name, value in network.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value, rtol=0, atol=0)
    (tmp_path / "salience.safetensors").write_bytes(b"nothing")
    with pytest.raises(InvalidInput, match="no salience network"):
        load_salience(tmp_path)


def test_too_few_texts_are_refused(encoder: EncoderGraphs) -> None:
    with pytest.raises(InvalidInput, match="too few"):
        train_salience([users(1, 3)], encoder.torch, encoder.runtime(), apart=(), epochs=1, seed=1, report=str)


def test_words_are_found_where_they_stand(encoder: EncoderGraphs) -> None:
    spelled, places = spelling(encoder.runtime(), "Running, RUNNING and the runner ran")
    assert spelled["run"] == "running"
    assert places["run"] == [1, 3]  # the token before them is [CLS], the one between a comma
    assert "comma" not in places
