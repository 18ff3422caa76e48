"""Runtime: what an app embeds, and how it asks."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Unpack, cast

from edge_ttp.answer import generate
from edge_ttp.answer.ask import Ask, Rooms
from edge_ttp.answer.events import FinalText
from edge_ttp.budget.device_profile import Profile
from edge_ttp.errors import InvalidInput
from edge_ttp.policy.job import EitherFlag, Priority
from edge_ttp.policy.llama import LlamaPolicy
from edge_ttp.registry import Located, Use
from edge_ttp.runtime.asking import (
    Message,
    Options,
    Turn,
    check_names,
    check_types,
    checked_flag,
    checked_rule,
    in_messages,
    in_turns,
)
from edge_ttp.runtime.conversation import Conversation
from edge_ttp.runtime.loading import Ready
from edge_ttp.runtime.teaching import Teaching
from edge_ttp.schema import (
    DEFAULT_RULE,
    REWRITE_RULE,
    Budget,
    Event,
    Generation,
    Keep,
    Rewrite,
    Rewritten,
    Rule,
    Sampling,
    Speaker,
)
from edge_ttp.system.settings import settings_in_force

if TYPE_CHECKING:
    from edge_ttp.answer.explain import Explanation

USUAL_PROMPT = "Please answer this in a sentence or two, the way I would."
"""What a plan is made for where there is no prompt and no history."""


class Runtime(Teaching):
    """A personalized runtime: a policy, a reward model and the history of this device's users.

    Use as a context manager. Models load when they are first needed, or with `warm`. Safe to call from several
    threads: requests are answered side by side, step by step in turns, every user with an equal part of the time.
    """

    _inner = frozenset({"prepared", "serving"})

    def generate(
        self,
        prompt: str | None = None,
        *,
        user: str | None = None,
        messages: Sequence[Message] | None = None,
        turns: Sequence[Turn] = (),
        system: str | None = None,
        context: Sequence[str] = (),
        n: int | None = None,
        budget: Budget | None = None,
        select: Rule = DEFAULT_RULE,
        sampling: Sampling | None = None,
        seed: int | None = None,
        kind: str | None = None,
        examples: int | None = None,
        core: int = 0,
        recall_for: str | None = None,
        remember: str | None = None,
        conversation: str | None = None,
        speaker: Speaker = "user",
        model: str | None = None,
        adapter: str | None = None,
        priority: Priority = "interactive",
        store: bool = True,
        cancel: threading.Event | None = None,
        on_event: Callable[[Event], None] | None = None,
        on_text: Callable[[str], None] | None = None,
    ) -> Generation:
        """The answer to `prompt` that `user` (None: the one given at `open`, or the default) would have written.

        `messages`: a conversation in OpenAI's shape, in place of prompt, turns and system. `turns`: what was said
        before in the same conversation, oldest first, as (prompt, answer) or as messages; with `recall_for` its first
        prompt, the examples stay the same, and what was read before is not read again. `system` is what is to be
        observed besides; `context` are documents that the prompt is about: the policy reads them, but they are never
        recalled nor stored, and nobody takes them for the user's writing. `speaker` says who answers: anybody else than
        the user is the bare policy, with nothing recalled and no instruction of ours.
        `remember` is the input under which an accepted text is kept, in place of the prompt; `conversation` names the
        one that this is part of.
        `n` None: as many candidates as the budget allows. `examples`, past items in the prompt, are kept or the request
        is refused; None: up to 4, fewer where there is no room or a deadline presses. `core`: as many items that stand
        for all of the user's come before them, the same in every request, and are read once. `kind` keeps recall to
        items of that kind. `model`: another policy than the usual one. `adapter`: the voice adapter's name or file,
        "none" for the policy as it is; None: the one that the policy was given for this, if any. Requests of `priority`
        "background" wait while others are under way. `store` False keeps it out of the history. `cancel`, set from any
        thread, ends decoding within a step and returns what there is; so does the budget's deadline, which does not
        count the loading of models and knows of the other requests. `on_event` is called in this thread with what
        happens, `on_text` with the answer's text alone, in pieces where it is certain before it is complete.

        Raises InvalidInput, ModelUnavailable, HistoryUnavailable, OutOfCapacity, DeadlineTooShort, Cancelled.
        """
        options = Options(
            user=user,
            messages=messages,
            turns=turns,
            system=system,
            context=context,
            n=n,
            budget=budget,
            select=select,
            sampling=sampling,
            seed=seed,
            kind=kind,
            examples=examples,
            core=core,
            recall_for=recall_for,
            remember=remember,
            conversation=conversation,
            speaker=speaker,
            model=model,
            adapter=adapter,
            priority=priority,
            store=store,
            cancel=cancel,
        )
        emit = on_event if on_text is None else FinalText(on_text, on_event)
        return self._answer(self.prepared(prompt, options, emit))

    def rewrite(
        self,
        text: str,
        *,
        notes: bool = False,
        keep: Keep = "words",
        on_event: Callable[[Event], None] | None = None,
        on_text: Callable[[str], None] | None = None,
        **options: Unpack[Options],
    ) -> Rewritten:
        """`text` said again the way the user would, its facts kept; `notes`: written out from notes.

        Facts are numbers, dates, names, links, code and negations. `keep` "words" keeps them and every other word that
        says something; "strict" puts facts back word for word; "loose" prefers a version that keeps all. Takes the
        options of `generate`: `kind` says whose manner, `n` how many versions, `select` which one (here "consensus");
        `stream(text, rewrite=Rewrite())` has the same as events. Judged by `feedback` with the generation's id.
        Raises as `generate`.
        """
        how = Rewrite(notes=notes, keep=keep)
        emit = on_event if on_text is None else FinalText(on_text, on_event)
        from edge_ttp.answer.rewriting import described

        return described(self.history, self._answer(self.prepared(text, options, emit, rewrite=how)))

    def prepared(
        self,
        prompt: str | None,
        options: Options,
        emit: Callable[[Event], None] | None,
        *,
        rewrite: Rewrite | None = None,
    ) -> Ask:
        """The request, checked before any model is looked at. For those who serve it step by step (aio.py)."""
        check_names(options)
        check_types(prompt=prompt, **options)
        messages, turns, system = options.get("messages"), options.get("turns", ()), options.get("system")
        if messages is not None:
            if prompt is not None or turns or system is not None:
                raise InvalidInput("a request has messages beside prompt, turns or system", "give one or the other")
            prompt, turns, system = in_messages(messages)
        context = options.get("context", ())
        return Ask(
            prompt="" if prompt is None else prompt,
            user=self._whose(options.get("user")),
            n=options.get("n"),
            budget=self._budget(options.get("budget")),
            rule=checked_rule(options.get("select", DEFAULT_RULE if rewrite is None else REWRITE_RULE)),
            sampling=options.get("sampling") or Sampling(),
            seed=options.get("seed"),
            kind=options.get("kind"),
            examples=options.get("examples"),
            core=options.get("core", 0),
            recall_for=options.get("recall_for"),
            remember=options.get("remember"),
            conversation=options.get("conversation"),
            turns=in_turns(turns),
            system=system,
            context=(context,) if isinstance(context, str) else tuple(context),
            speaker=options.get("speaker", "user"),
            rewrite=rewrite,
            model=options.get("model"),
            adapter=options.get("adapter"),
            priority=options.get("priority", "interactive"),
            store=options.get("store", True),
            cancel=checked_flag(options.get("cancel")),
            emit=emit,
        )

    def _budget(self, given: Budget | None) -> Budget:
        """The caller's budget, with the configured mode where they left it open."""
        mode = settings_in_force(self.paths).mode
        budget = given or Budget()
        if mode is None or "mode" in budget.model_fields_set:
            return budget
        return Budget.model_validate({**budget.model_dump(exclude_unset=True), "mode": mode})

    def _answer(self, ask: Ask) -> Generation:
        with self.serving(ask) as rooms:
            return generate(rooms, ask)

    @contextmanager
    def serving(self, ask: Ask) -> Iterator[Rooms]:
        """The rooms for a request, which stay open and loaded while the block runs. As `prepared`."""
        with (
            self._request(),
            self._foreground.active(),
            self.scheduler.present(ask.user, ask.priority),
            self.models.using(ask.model, within=ask.budget.memory_bytes, cancel=ask.cancel) as ready,
        ):
            if ask.n is None or ask.budget.deadline_s is not None:  # the plan goes by what was measured
                ready.measure(cancel=ask.cancel)
            rooms = self._rooms(ready, ask.rule, ask.budget, self._voice_for(ready, ask))
            adapters = () if ready.address else ask.sampling.adapters  # an engine elsewhere refuses them itself
            for adapter in adapters:  # like the loading of models, before the deadline begins
                self.registry.try_adapter(Path(adapter.path), ready.located, cancel=ask.cancel)
            yield rooms
            self.models.measure_later(ready)

    def _voice_for(self, ready: Ready, ask: Ask) -> Located | None:
        """The voice adapter of a request. Where files were named, or the bare policy speaks, none of ours."""
        if ask.sampling.adapters or (ask.speaker != "user" and ask.adapter is None):
            return None
        use: Use = "generate" if ask.rewrite is None else "rewrite"
        return self._voice(ready, use, ask.adapter, cancel=ask.cancel)

    def plan(
        self,
        prompt: str | None = None,
        *,
        user: str | None = None,
        budget: Budget | None = None,
        select: Rule = DEFAULT_RULE,
        sampling: Sampling | None = None,
        kind: str | None = None,
        examples: int | None = None,
    ) -> Explanation:
        """How a request would be answered on this device now, without answering it.

        `prompt` None: like the user's newest item. Loads the models. Raises as `generate`.
        """
        check_types(
            prompt=prompt, user=user, budget=budget, select=select, sampling=sampling, kind=kind, examples=examples
        )
        name = self._whose(user)
        if prompt is None:
            newest = self.history.items(name, kind=kind, limit=1, prompts=False)
            prompt = newest[0].input if newest and newest[0].input.strip() else USUAL_PROMPT
        ask = Ask(
            prompt=prompt,
            user=name,
            budget=self._budget(budget),
            rule=checked_rule(select),
            sampling=sampling or Sampling(),
            kind=kind,
            examples=examples,
        )
        with self._request(), self.models.using(within=ask.budget.memory_bytes) as ready:
            ready.measure()
            from edge_ttp.answer.explain import explain

            return explain(self._rooms(ready, ask.rule, ask.budget, self._voice_for(ready, ask)), ask)

    def profile(self, *, advance: Callable[[float], None] | None = None) -> Profile:
        """Measures this policy on this device, thoroughly: up to a minute. Stores and returns the profile.

        Run it in a thread of its own to have it in the background: requests go on, between the measurements.
        `advance` is called with the number of thread counts done. Raises as `warm`.
        """
        with self._request(), self.models.using() as ready:
            if ready.address is not None:
                raise InvalidInput("an engine elsewhere is not this device's to measure", "leave --policy-url out")
            return ready.watch.measure(cast("LlamaPolicy", ready.policy), thorough=True, advance=advance)

    def stream(
        self, prompt: str | None = None, *, rewrite: Rewrite | None = None, **options: Unpack[Options]
    ) -> Iterator[Event]:
        """The events of one request as they happen; the last one (`done`) carries the generation.

        `rewrite`: the prompt is a text to be said again (as `rewrite` does), not answered.

        Takes the options of `generate`, which are checked now; the request begins with the first `next`. Closing the
        iterator early cancels it. Raises as `generate`.
        """
        events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        flag = EitherFlag(checked_flag(options.get("cancel")))
        ask = replace(self.prepared(prompt, options, events.put, rewrite=rewrite), cancel=flag)
        return self._stream(ask, flag, events)

    def _stream(self, ask: Ask, flag: EitherFlag, events: queue.SimpleQueue[Event | None]) -> Iterator[Event]:
        with ThreadPoolExecutor(1, "edge-ttp-stream") as beside:
            answer = beside.submit(self._answer, ask)
            answer.add_done_callback(lambda _: events.put(None))
            try:
                while (event := events.get()) is not None:
                    yield event
                answer.result()  # raises what the request raised
            finally:
                flag.set()  # closed early

    def conversation(self, **options: Unpack[Options]) -> Conversation:
        """One line after another: turns are carried, examples stay. `options` of `generate` hold for all of them."""
        return Conversation(self, **options)
