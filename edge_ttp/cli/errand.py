"""One request of the command line, and who answers it: a running server of this home, or models loaded here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer

from edge_ttp.cli import options
from edge_ttp.cli.drawing import sampling_of
from edge_ttp.errors import Cancelled, HistoryUnavailable

if TYPE_CHECKING:
    from edge_ttp.runtime import Runtime
    from edge_ttp.schema import Budget, Generation, Sampling


@dataclass
class Errand:
    """What a command asks for, checked by whoever answers."""

    user: str | None
    budget: Budget
    sampling: Sampling
    asked: dict[str, Any]
    """The rest of what Runtime.generate or Runtime.rewrite takes besides the text."""
    opened: dict[str, Any]
    """What Runtime.open takes; None for what was not given."""
    no_server: bool
    cancelled: bool = False
    """Ctrl-C ended it, with what there was."""
    answered_here: bool = False
    """Models were loaded for it in this process."""

    @classmethod
    def of(
        cls,
        user: str | None,
        drawing: dict[str, Any],
        *,
        deadline: float | None,
        mode: str | None,
        memory: int | None,
        model: str | None,
        reward: str | None,
        threads: int | None,
        policy_url: str | None,
        no_server: bool,
        **asked: Any,
    ) -> Errand:
        """The errand of a command's options. `drawing`: those of `with_drawing`; `asked`: as the field."""
        from edge_ttp.schema import Budget

        return cls(
            user,
            Budget.model_validate(options.given(deadline_s=deadline, mode=mode, memory_bytes=memory)),
            sampling_of(drawing),
            asked=asked,
            opened={
                "model": model,
                "reward": reward,
                "threads": threads,
                "policy_url": policy_url,
                "memory_bytes": memory,
            },
            no_server=no_server,
        )

    @property
    def for_server(self) -> bool:
        """Whether a running server may answer.

        What it holds (threads, memory, reward model) and files that are named as seen from here are not its to say.
        """
        named_here = any(value for name, value in self.opened.items() if name != "model")
        by_file = (self.asked["adapter"] or "").lower().endswith(".gguf")
        return not (self.no_server or named_here or self.sampling.adapters or by_file)

    def wish(self, **text: str) -> dict[str, Any]:
        """The request as a server takes it: a JSON body."""
        return {
            **options.given(**text, model=self.opened["model"], **self.asked),
            "budget": self.budget.model_dump(mode="json", exclude_unset=True),
            "sampling": self.sampling.model_dump(mode="json", exclude_unset=True),
        }

    @contextmanager
    def here(self) -> Iterator[tuple[Runtime, dict[str, Any]]]:
        """A runtime of its own, open while the block runs, and the options to ask it with. Ctrl-C ends drawing."""
        from edge_ttp.runtime import Runtime

        with Runtime.open(**self.opened) as runtime, options.interruptible() as cancel:
            how = {"user": self.user, "budget": self.budget, "sampling": self.sampling, "cancel": cancel}
            yield runtime, {**self.asked, **how}
            self.cancelled, self.answered_here = cancel.is_set(), True

    def leave(self, generation: Generation) -> None:
        """Ends the command with the exit code of one that was not recorded, or was cancelled; after printing."""
        if self.answered_here and not self.cancelled and self.opened["policy_url"] is None:
            look_for_format(self.opened["model"])
        if not generation.stored and self.asked["store"]:
            raise typer.Exit(HistoryUnavailable.exit_code)
        if self.cancelled:
            raise typer.Exit(Cancelled.exit_code)


def look_for_format(model: str | None) -> None:
    """Begins the search for the fastest format of this policy (None: the usual one) in the background, if it is open;
    says so once. After the answer: nobody waits for it.
    """
    from edge_ttp.cli.output import note
    from edge_ttp.lab.format_search import begin
    from edge_ttp.paths import locate
    from edge_ttp.registry import DEFAULT_POLICY
    from edge_ttp.system.settings import settings_in_force

    paths = locate()
    said = begin(paths, model or settings_in_force(paths).model or DEFAULT_POLICY)
    if said:
        note(said)
