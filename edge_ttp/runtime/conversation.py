"""A conversation with a runtime: its turns are kept, and its examples stay, so that what was read is not read again."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Protocol, Self, Unpack

from edge_ttp.errors import InvalidInput
from edge_ttp.runtime.asking import Options
from edge_ttp.schema import Event, Feedback, FeedbackKind, Generation

KEPT_TURNS = 6
"""Earlier exchanges that a prompt carries."""


class Answers(Protocol):
    """What a conversation needs of a runtime."""

    def prepared(self, prompt: str | None, options: Options, emit: None) -> Any:
        """The request, checked."""

    def generate(
        self,
        prompt: str | None = None,
        *,
        on_event: Callable[[Event], None] | None = None,
        on_text: Callable[[str], None] | None = None,
        **options: Unpack[Options],
    ) -> Generation:
        """The answer."""

    def stream(self, prompt: str | None = None, **options: Unpack[Options]) -> Iterator[Event]:
        """Its events."""

    def feedback(
        self, generation_id: str, kind: FeedbackKind, *, user: str | None = None, text: str | None = None
    ) -> Feedback:
        """Learns from what was sent."""


class Conversation:
    """One line after another with the same person. Use as a context manager; from one thread at a time.

    Runtime.conversation(user="ada", system="Be kind.") takes any options of Runtime.generate, for all its requests.
    """

    def __init__(self, runtime: Answers, **options: Unpack[Options]) -> None:
        """Begins one. `turns` may hold what was said before."""
        self._runtime = runtime
        self._options = options
        self.name = options.get("conversation") or secrets.token_hex(6)
        """What its generations and items know it by."""
        self.turns: list[tuple[str, str]] = list(runtime.prepared("?", options, None).turns)
        """What was said so far: prompts and answers, oldest first."""
        self.last: Generation | None = None
        """The newest answer."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """The models stay in memory; nothing else is held."""

    def generate(
        self,
        prompt: str,
        *,
        on_event: Callable[[Event], None] | None = None,
        on_text: Callable[[str], None] | None = None,
        **options: Unpack[Options],
    ) -> Generation:
        """The answer to the next line. Options given here outdo the conversation's. Raises as Runtime.generate."""
        made = self._runtime.generate(prompt, on_event=on_event, on_text=on_text, **self._all(prompt, options))
        self._said(prompt, made)
        return made

    def stream(self, prompt: str, **options: Unpack[Options]) -> Iterator[Event]:
        """The events of the next line's answer. As Runtime.stream; it counts as said when it came to its end."""
        events = self._runtime.stream(prompt, **self._all(prompt, options))
        return self._listened(prompt, events)

    def begin_anew(self) -> None:
        """Forgets what was said, so that the next line begins a conversation of its own; `last` can still be judged."""
        self.turns.clear()
        self.name = secrets.token_hex(6)

    def sent(self, text: str | None = None) -> None:
        """The newest answer was sent, as it was (None) or as `text`: the conversation goes on with that, and the
        runtime learns from it. Raises InvalidInput where nothing was answered yet.
        """
        if self.last is None:
            raise InvalidInput("nothing was answered in this conversation yet", "ask first")
        edited = text is not None and text != self.last.text
        self._runtime.feedback(
            self.last.generation_id, "edit" if edited else "accept", user=self.last.user, text=text if edited else None
        )
        if text is not None and self.turns:  # none are left where the conversation began anew since
            self.turns[-1] = (self.turns[-1][0], text)

    def _all(self, prompt: str, options: Options) -> Options:
        first = self.turns[0][0] if self.turns else prompt
        every: Options = {"recall_for": first, **self._options, **options}
        every["turns"], every["conversation"] = self.turns[-KEPT_TURNS:], self.name
        return every

    def _listened(self, prompt: str, events: Iterator[Event]) -> Iterator[Event]:
        for event in events:
            if event.generation is not None:
                self._said(prompt, event.generation)
            yield event

    def _said(self, prompt: str, made: Generation) -> None:
        self.last = made
        self.turns.append((prompt, made.text))
