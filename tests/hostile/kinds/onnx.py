"""ONNX graphs in the place of a reward model's: endless, huge, reaching for other files, damaged."""

from __future__ import annotations

import random
import struct
from pathlib import Path

from edge_ttp.paths import locate
from edge_ttp.registry import Registry
from edge_ttp.reward.model import RewardModel
from edge_ttp.schema import Candidate

from ..case import Case
from ..judge import SOUND, exchanged
from ..protobuf import (
    BOOL,
    FLOAT,
    INT64,
    STRING,
    graph,
    info,
    inner,
    integers,
    model,
    node,
    number,
    part,
    scalar,
    tensor,
    whole,
)  # fmt: skip

WIDTH = 384
_INPUTS = (info("input_ids", INT64, ["b", "t"]), info("attention_mask", INT64, ["b", "t"]))
_OUTPUTS = (info("embedding", FLOAT, ["b", WIDTH]), info("states", FLOAT, ["b", "t", WIDTH]))
UNARY = "Abs Neg Exp Log Sqrt Sigmoid Tanh Erf Ceil Floor Round Sign Reciprocal Identity Softplus Relu Not".split()  # noqa: SIM905
BINARY = "Add Sub Mul Div Pow MatMul Max Min Mod Equal Less And".split()  # noqa: SIM905


def _encoder(nodes: list[bytes], tensors: list[bytes] | None = None, **options: bytes) -> bytes:
    return model(graph(nodes, _INPUTS, _OUTPUTS, tensors or []), **options)  # type: ignore[arg-type]


def _plain() -> list[bytes]:
    """Nodes of a small encoder that runs: states of zeros, and their mean."""
    return [
        node("Shape", ["input_ids"], ["shape"]),
        node("Concat", ["shape", "width"], ["full"], whole("axis", 0)),
        node("ConstantOfShape", ["full"], ["states"]),
        node("ReduceMean", ["states"], ["embedding"], part(1, "axes") + part(8, 1) + part(20, 7), whole("keepdims", 0)),
    ]


_WIDTHS = [integers("width", [WIDTH])]


def loop(chance: random.Random) -> tuple[bytes, str]:
    """A loop of nearly endless trips."""
    body = graph(
        [node("Identity", ["go"], ["on"]), node("Add", ["x", "one"], ["y"])],
        [info("i", INT64, []), info("go", BOOL, []), info("x", FLOAT, [])],
        [info("on", BOOL, []), info("y", FLOAT, [])],
        [tensor("one", FLOAT, [], struct.pack("<f", 1))],
    )
    trips = chance.choice((2**62, 2**40, 2**63 - 1))
    nodes = [*_plain(), node("Loop", ["trips", "go", "zero"], ["sum"], inner("body", body))]
    zero = tensor("zero", FLOAT, [], struct.pack("<f", 0))
    return _encoder(nodes, [*_WIDTHS, scalar("trips", INT64, trips), scalar("go", BOOL, 1), zero]), f"a loop of {trips}"


def condition(chance: random.Random) -> tuple[bytes, str]:
    """A condition, within conditions."""
    depth = chance.choice((1, 3, 200))
    body = graph([node("Identity", ["width"], ["w"])], [], [info("w", INT64, [1])])
    for _ in range(depth):
        body = graph([node("If", ["go"], ["w"], inner("then_branch", body), inner("else_branch", body[:0]))], [], [])
    return _encoder(
        [*_plain(), node("If", ["go"], ["w"], inner("then_branch", body))], _WIDTHS
    ), f"conditions {depth} deep"


def outside(chance: random.Random) -> tuple[bytes, str]:
    """Numbers that lie in another file."""
    name = chance.choice(["weights.bin", "/etc/passwd", "../../weights.bin", "encoder.onnx", "/proc/self/mem", ""])
    made = tensor("width", INT64, [1], b"", outside=name or " ")
    if chance.random() < 0.5:
        constant = node("Constant", [], ["width"], part(1, "value") + part(5, made) + part(20, 4))
        return _encoder([constant, *_plain()]), f"a constant in {name!r}"
    return _encoder(_plain(), [made]), f"numbers in {name!r}"


def texts(chance: random.Random) -> tuple[bytes, str]:
    """Outputs that are texts."""
    nodes = [*_plain()[:-1], node("Cast", ["input_ids"], ["embedding"], whole("to", STRING))]
    outputs = (info("embedding", STRING, ["b", "t"]), _OUTPUTS[1])
    if chance.random() < 0.3:
        outputs = (info("embedding", FLOAT, ["b", "t"]), _OUTPUTS[1])
    return model(graph(nodes, _INPUTS, outputs, _WIDTHS)), "outputs of text"


def huge(chance: random.Random) -> tuple[bytes, str]:
    """Tensors that would be huge."""
    size = chance.choice((2**28, 2**31, 2**34, 2**40, 2**62, -1))
    which = chance.randrange(4)
    if which == 0:
        return _encoder(
            [node("ConstantOfShape", ["size"], ["x"]), *_plain()], [*_WIDTHS, integers("size", [size])]
        ), f"zeros: {size}"
    if which == 1:
        nodes = [node("Expand", ["width", "size"], ["x"]), node("ReduceSum", ["x"], ["y"]), *_plain()]
        return _encoder(nodes, [*_WIDTHS, integers("size", [abs(size)])]), f"expanded to {size}"
    if which == 2:
        return _encoder(
            _plain(), [*_WIDTHS, tensor("w", FLOAT, [abs(size), 4], b"")]
        ), f"a tensor of {size} without numbers"
    steps = [scalar("from", INT64, 0), scalar("to", INT64, abs(size)), scalar("by", INT64, 1)]
    return _encoder([node("Range", ["from", "to", "by"], ["x"]), *_plain()], [*_WIDTHS, *steps]), f"a range to {size}"


def growing(chance: random.Random) -> tuple[bytes, str]:
    """A tensor that doubles at every node."""
    count = chance.choice((10, 26, 34, 60, 2000))
    nodes = [node("Concat", [f"x{i}", f"x{i}"], [f"x{i + 1}"], whole("axis", 0)) for i in range(count)]
    first = node("Cast", ["width"], ["x0"], whole("to", FLOAT))
    return _encoder(
        [first, *nodes, node("ReduceMax", [f"x{count}"], ["y"]), *_plain()], _WIDTHS
    ), f"doubled {count} times"


def strange(chance: random.Random) -> tuple[bytes, str]:
    """Functions, other operators, other forms of file."""
    which = chance.randrange(6)
    if which == 0:
        function = part(1, "f") + part(4, "a") + part(5, "b") + part(7, node("f", ["a"], ["b"], domain="me"))
        return _encoder(_plain(), _WIDTHS, extra=part(25, function + part(10, "me"))), "a function that calls itself"
    if which == 1:
        domain = chance.choice(["com.microsoft", "ai.onnx.ml", "me", "ai.onnx.training"])
        return _encoder(
            [*_plain(), node("Gelu", ["states"], ["y"], domain=domain)], _WIDTHS
        ), f"an operator of {domain}"
    if which == 2:
        return _encoder(_plain(), _WIDTHS, extra=part(20, part(1, b""))), "a training graph"
    if which == 3:
        return b"\0\0\0\0ORTM" + bytes(chance.randrange(256) for _ in range(200)), "onnxruntime's own form"
    if which == 4:
        return _encoder(_plain(), _WIDTHS) + _encoder(_plain(), _WIDTHS)[: chance.randrange(200)], "two models in one"
    return _encoder([_plain()[0]] * chance.choice((2, 30_000)) + _plain(), _WIDTHS), "one node many times"


def soup(chance: random.Random) -> tuple[bytes, str]:
    """Operators put together at random."""
    names = ["width", "input_ids", "states"]
    nodes = _plain()
    for index in range(chance.choice((1, 5, 40))):
        out = f"s{index}"
        if chance.random() < 0.5:
            nodes.append(node(chance.choice(UNARY), [chance.choice(names)], [out]))
        else:
            nodes.append(node(chance.choice(BINARY), [chance.choice(names), chance.choice(names)], [out]))
        names.append(out)
    if chance.random() < 0.3:
        nodes.append(node("Identity", [names[-1]], ["embedding"]))
    return _encoder(nodes, _WIDTHS), f"{len(nodes)} operators at random"


def numbers(chance: random.Random) -> tuple[bytes, str]:
    """A graph that runs and gives no numbers, or other shapes."""
    nodes = _plain()
    bad = chance.choice(["nan", "wide", "flat"])
    if bad == "nan":
        nodes[-1] = node("Log", ["less"], ["embedding"])
        nodes.insert(3, node("Sub", ["mean", "one"], ["less"]))
        nodes.insert(
            3,
            node("ReduceMean", ["states"], ["mean"], part(1, "axes") + part(8, 1) + part(20, 7), whole("keepdims", 0)),
        )
    elif bad == "wide":
        nodes[-1] = node("Identity", ["states"], ["embedding"])
    else:
        nodes[-1] = node("ReduceMean", ["states"], ["embedding"])
    return _encoder(nodes, [*_WIDTHS, tensor("one", FLOAT, [], struct.pack("<f", 1))]), f"an encoder that is {bad}"


def damaged(chance: random.Random) -> tuple[bytes, str]:
    """A sound graph with bytes changed or cut off."""
    data = bytearray(_encoder(_plain(), _WIDTHS) if chance.random() < 0.5 else (SOUND / "heads.onnx").read_bytes())
    if chance.random() < 0.3:
        return bytes(data[: (length := chance.randrange(len(data)))]), f"cut to {length}"
    for _ in range(count := chance.choice((1, 3, 30))):
        data[chance.randrange(min(len(data), 30_000))] = chance.randrange(256)
    return bytes(data), f"{count} bytes changed"


MAKERS = (loop, condition, outside, texts, huge, huge, growing, strange, strange, soup, soup, numbers, damaged, damaged)


_POOL = [Candidate(text=text, tokens=2, logprob=-1.0) for text in ("one thing é 今", "a" * 3000)]


class _Graphs:
    deadline_s = 55.0  # what a trial may take at the most (registry/trials.py)
    budget_bytes = 0

    def __init__(self, home: Path) -> None:
        self._registry = Registry(locate(home))

    def case(self, chance: random.Random, folder: Path) -> Case:
        data, what = chance.choice(MAKERS)(chance)
        name = chance.choice(["encoder.onnx", "encoder.onnx", "heads.onnx", "salience.onnx"])
        where = exchanged(folder / "judge", name, data or number(0))
        return Case(f"{name}: {what}", lambda: self._use(where))

    def _use(self, folder: Path) -> None:
        model = RewardModel.load(self._registry.locate(folder, kind="reward").path, threads=1)
        model.score(model.profile(()), "hello there", _POOL)


def open(home: Path) -> _Graphs:
    return _Graphs(home)
