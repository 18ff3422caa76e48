"""What a runtime is taught: texts from elsewhere, and what it learns of a user's own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edge_ttp.answer.ask import NO_ADAPTER, Rooms
from edge_ttp.answer.select import NEEDS_REWARD
from edge_ttp.budget import device
from edge_ttp.errors import InvalidInput
from edge_ttp.history.user import default_user, valid_user
from edge_ttp.learning.idle import Idle
from edge_ttp.learning.learned import Learned, learned
from edge_ttp.learning.self_calibration import Adapted, Manners, Progress, calibrate
from edge_ttp.registry import Located, Use
from edge_ttp.runtime.asking import (
    check_types,
)
from edge_ttp.runtime.judging import Judging
from edge_ttp.runtime.loading import Ready
from edge_ttp.schema import DEFAULT_RULE, Budget, Generation, LoraAdapter, Rule
from edge_ttp.system.arguments import checked_arguments

if TYPE_CHECKING:
    from edge_ttp.history.importing import Imported


@checked_arguments
class Teaching(Judging):
    """An open runtime that takes judgments and texts, and learns from them. Use Runtime."""

    def _whose(self, user: str | None) -> str:
        if user is not None:
            return valid_user(user)
        return default_user(self.paths) if self._user is None else self._user

    def _voice(
        self, ready: Ready, use: Use, adapter: str | None = None, *, cancel: threading.Event | None = None
    ) -> Located | None:
        """The adapter that was named, or that the policy is given for `use`; None for the policy as it is."""
        if adapter == NO_ADAPTER:
            return None
        if ready.address is not None:
            if adapter is not None:
                raise InvalidInput("an engine elsewhere has its own adapters", "name one of its models with --model")
            return None
        if adapter is not None:
            return self.registry.adapter(adapter, ready.located, cancel=cancel)
        if use not in ready.voices:
            ready.voices[use] = self.registry.voice(ready.located, use, cancel=cancel)
        return ready.voices[use]

    def _rooms(self, ready: Ready, rule: Rule, budget: Budget, voice: Located | None = None) -> Rooms:
        """The parts that a request with this rule passes through, and the state of the device now."""
        own = () if voice is None else voice.temperatures
        return Rooms(
            policy=ready.policy,
            policy_name=ready.located.name,
            style=ready.located.prompt_style or "few-shot",
            reward=self.models.reward() if rule in NEEDS_REWARD else None,
            history=self.history,
            costs=ready.watch.profile,
            memory_bytes=self.models.limit(ready, budget.memory_bytes),
            free_cores=ready.watch.free_cores(),
            energy=device.energy(),
            hot=ready.watch.hot(),
            observe=ready.watch.observe,
            share=self.scheduler.share,
            temperatures=own or ready.located.temperatures,
            adapters=() if voice is None else (LoraAdapter(path=str(voice.path)),),
            adapter_name=None if voice is None else voice.name,
            languages=ready.located.languages,
            noted=self._noted,
            logprobs=ready.logprobs,
            policy_url=None if ready.address is None else ready.address.url,
            sent=None if ready.address is None else ready.address.remark,
        )

    def generations(self, user: str | None = None, *, limit: int | None = None) -> list[Generation]:
        """The answers stored for `user` (None: the default user), newest first, each whole. At most `limit`."""
        check_types(user=user, limit=limit)
        return self.history.generations(self._whose(user), limit)

    def learned(self, user: str | None = None) -> Learned:
        """What this user's evidence says: weights with trust, and the calibration record. Loads the reward model.

        Raises ModelUnavailable, NotFound, HistoryUnavailable.
        """
        name = self._whose(user)
        with self._request():
            return learned(self.history, name, self.models.reward())

    def import_(
        self,
        path: Path | str,
        *,
        user: str | None = None,
        form: str | None = None,
        kind: str | None = None,
        authors: Sequence[str] = (),
        columns: Mapping[str, str] | None = None,
        date_form: str | None = None,
        encoding: str | None = None,
        role: str | None = None,
        body: bool = False,
        strict: bool = False,
        advance: Callable[[float], None] | None = None,
    ) -> Imported:
        """Takes in what was written elsewhere, as `edge-ttp history import` does; its `id` undoes it
        (`history.undo_import`).

        `path`: a file, folder or repository of a format that docs/exchange.md lists. `user` None: whom its lines name,
        else the default user. `form`: the format, where the file should not tell it. `authors`: who the user is in
        mails, chats and git logs. `columns`: field -> column of a table. `date_form`: as strptime takes it. `strict`:
        store nothing if a record is bad. `advance` is called with the amount read. InvalidInput for a file that cannot
        be imported, with what it looks like.
        """
        from edge_ttp.exchange.readers import described
        from edge_ttp.history.importing import import_from
        from edge_ttp.history.rows import checked_label

        what = described(
            str(path),
            user=None if user is None else valid_user(user),
            fallback=self._whose(None),
            form=form,
            kind=None if kind is None else checked_label("kind", kind),
            authors=tuple(authors),
            columns=columns,
            date_form=date_form,
            encoding=encoding,
            role=role,
            body=body,
        )
        with self._request():
            return import_from(self.history, what, strict=strict, advance=advance or (lambda done: None))

    def adapt(
        self,
        user: str | None = None,
        *,
        for_s: float | None = None,
        while_idle: bool = False,
        cancel: threading.Event | None = None,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> Adapted:
        """Learns from the user's own past items (None: the default user's): the policy answers them, and what the user
        really wrote judges the answers.

        Ends after `for_s` seconds, when `cancel` is set, when nothing is left or the last items taught too little.
        Every item is stored at once, so that it may be ended or killed at any moment and called again. Requests have
        right of way, those of other processes too; with `while_idle` it also waits for an idle device between items.
        Raises InvalidInput, ModelUnavailable, NotFound, HistoryUnavailable.
        """
        name = self._whose(user)
        check_types(user=user, for_s=for_s)
        if for_s is not None and not for_s > 0:
            raise InvalidInput(f"{for_s} seconds are no time", "allow more than 0")
        deadline = None if for_s is None else time.monotonic() + for_s
        with (
            self._request(),
            self.scheduler.present(name, "background"),
            self.models.using(cancel=cancel) as ready,
        ):
            manners = Manners(
                deadline=deadline,
                cancel=(self._closing,) if cancel is None else (self._closing, cancel),
                busy=self._foreground.busy,
                idle=Idle().now if while_idle else lambda: True,
            )
            ready.measure(cancel=cancel)
            rooms = self._rooms(ready, DEFAULT_RULE, Budget(), self._voice(ready, "generate"))
            return calibrate(rooms, name, manners, advance=on_progress or (lambda _: None))
