"""What the rules of a grammar come to: whether they name what there is, end, and stay within limits written out."""

from __future__ import annotations

from edge_ttp.errors import InvalidInput
from edge_ttp.policy.gbnf import CURE, Part, Rules

MAX_SIZE = 1_000_000
"""Most characters and rules once every repetition and every rule that does not name itself is written out."""
MAX_OPTIONAL = 500
"""Most parts in a row that may all be left out: each of them can come next at once."""


def refuse_unbounded(rules: Rules) -> None:
    """Raises InvalidInput for rules that are not valid together, or that come to too much."""
    _refuse_undefined(rules)
    empty = _can_be_empty(rules)
    _refuse_left_recursion(rules, empty)
    _refuse_many_optional(rules, empty)
    _refuse_size(rules)


def _refuse_undefined(rules: Rules) -> None:
    if "root" not in rules.alternatives:
        raise InvalidInput("the grammar is not valid (it has no rule named 'root')", CURE)
    for name in rules.alternatives:
        for used in rules.named(name):
            if used not in rules.alternatives:
                raise InvalidInput(f"the grammar is not valid (Undefined rule identifier {used[:80]!r})", CURE)


def _can_be_empty(rules: Rules) -> set[str]:
    """The rules that nothing at all fits."""
    users: dict[str, set[str]] = {}
    for name in rules.alternatives:
        for used in rules.named(name):
            users.setdefault(used, set()).add(name)
    empty: set[str] = set()
    waiting = set(rules.alternatives)
    while waiting:
        name = waiting.pop()
        if name not in empty and any(
            all(_optional(part, empty) for part in sequence) for sequence in rules.alternatives[name]
        ):
            empty.add(name)
            waiting |= users.get(name, set())
    return empty


def _optional(part: Part, empty: set[str]) -> bool:
    return part.low == 0 or part.rule in empty


def _refuse_left_recursion(rules: Rules, empty: set[str]) -> None:
    """llama.cpp refuses it, and a grammar should mean the same everywhere."""
    first: dict[str, list[str]] = {}
    for name, sequences in rules.alternatives.items():
        first[name] = []
        for sequence in sequences:
            for part in sequence:
                if part.rule and part.high != 0:
                    first[name].append(part.rule)
                if not _optional(part, empty):
                    break
    order = _in_order(first)
    if order is None:
        raise InvalidInput("the grammar is not valid (left recursion: a rule begins with itself)", CURE)


def _in_order(graph: dict[str, list[str]]) -> list[str] | None:
    """The names, each after those that it names; None where they go in a circle."""
    waiting = {name: len(set(named)) for name, named in graph.items()}
    users: dict[str, list[str]] = {}
    for name, named in graph.items():
        for used in set(named):
            users.setdefault(used, []).append(name)
    ready = [name for name, count in waiting.items() if count == 0]
    order = []
    while ready:
        order.append(name := ready.pop())
        for user in users.get(name, ()):
            waiting[user] -= 1
            if waiting[user] == 0:
                ready.append(user)
    return order if len(order) == len(graph) else None


def _refuse_many_optional(rules: Rules, empty: set[str]) -> None:
    for sequences in rules.alternatives.values():
        for sequence in sequences:
            row = 0
            for part in sequence:
                row = row + 1 if _optional(part, empty) else 0
                if row > MAX_OPTIONAL:
                    raise InvalidInput(
                        f"the grammar has more than {MAX_OPTIONAL} optional parts in a row", "simplify it"
                    )


def _refuse_size(rules: Rules) -> None:
    """Counts what the rules come to when written out. Rules that name themselves count as they stand."""
    graph = {name: rules.named(name) for name in rules.alternatives}
    for name in _in_circles(graph):
        graph[name] = []
    sizes: dict[str, int] = {}
    for name in _in_order(graph) or ():
        total = 1
        for sequence in rules.alternatives[name]:
            for part in sequence:
                # A part without a size yet goes in a circle with this rule.
                total += sizes.get(part.rule, 1) * max(part.low + (part.high is None), part.high or 0)
        sizes[name] = min(total, MAX_SIZE + 1)
        if total > MAX_SIZE:
            raise InvalidInput(f"the grammar would grow beyond {MAX_SIZE:,} parts when written out", "simplify it")


def _in_circles(graph: dict[str, list[str]]) -> set[str]:
    """The names that lie on a circle or between circles, found by taking away what does not."""
    backwards: dict[str, list[str]] = {name: [] for name in graph}
    for name, named in graph.items():
        for used in named:
            backwards[used].append(name)
    left = set(graph)
    for forward, back in ((graph, backwards), (backwards, graph)):
        waiting = {name: len({used for used in forward[name] if used in left}) for name in left}
        ready = [name for name, count in waiting.items() if count == 0]
        while ready:
            name = ready.pop()
            left.discard(name)
            for user in set(back[name]):
                if user in left:
                    waiting[user] -= 1
                    if waiting[user] == 0:
                        ready.append(user)
    return left
