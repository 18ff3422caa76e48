"""Judgments on answers: what the user did with them, and what that teaches. The part of Runtime that needs no model."""

from __future__ import annotations

from edge_ttp.errors import InvalidInput
from edge_ttp.history.learned_rows import StoredEvidence
from edge_ttp.learning.evidence import judged
from edge_ttp.runtime.asking import check_types
from edge_ttp.runtime.life import Life
from edge_ttp.schema import Feedback, FeedbackKind, Generation
from edge_ttp.system.arguments import checked_arguments


@checked_arguments
class Judging(Life):
    """An open runtime that takes judgments."""

    def feedback(
        self,
        generation_id: str,
        kind: FeedbackKind,
        *,
        user: str | None = None,
        candidate: int | None = None,
        text: str | None = None,
    ) -> Feedback:
        """Records what the user did with a generation, and learns from it; `edit` and `accept` also become history.

        It takes the place of what was said of it before: the last word counts. `retract` takes it back.
        `candidate` (from 0) is the preferred one for `prefer`; None means the chosen one. `text` is for `edit`.
        With `user` given, only that user's generations are found. Raises NotFound, InvalidInput, HistoryUnavailable.
        """
        check_types(generation_id=generation_id, user=user, candidate=candidate, text=text)
        generation = self.history.generation(generation_id, user)
        if kind == "prefer" and candidate is None:
            raise InvalidInput("prefer needs the candidate that is preferred", "name it")
        given = Feedback(
            generation_id=generation_id,
            user_id=generation.user,
            kind=kind,
            candidate=generation.chosen if candidate is None else candidate,
            text=text,
        )
        return self.history.add_feedback(given, self._evidence(given, generation))

    def retract(
        self, generation_id: str, *, user: str | None = None, kind: FeedbackKind | None = None
    ) -> tuple[Feedback, ...]:
        """Takes back what was said of a generation (of one `kind`, or all), as if it had never been; returns it.

        A text that it brought into the history goes out again. With `user` given, only that user's generations are
        found. Raises NotFound, HistoryUnavailable.
        """
        check_types(generation_id=generation_id, user=user)
        gone = self.history.retract(generation_id, user, kind=kind)
        generation = self.history.generation(generation_id, user)
        for left in self.history.judgments(generation_id):  # a weaker one may have stood in the shadow of those
            evidence = self._evidence(left, generation)
            if evidence is not None:
                self.history.renew_evidence(left, evidence)
        return tuple(gone)

    def _evidence(self, given: Feedback, generation: Generation) -> StoredEvidence | None:
        """What a judgment says of the candidates; None where they were not scored, or it is about none of them."""
        layer = self.history.layer(given.generation_id)
        texts = [one.text for one in generation.candidates]
        return judged(given, layer, texts) if layer is not None and 0 <= given.candidate < len(texts) else None
