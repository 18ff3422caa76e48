"""How a desktop app embeds the runtime: one Runtime for its life, requests on a worker thread, a button that cancels.

The window is left out so that this runs anywhere; the comments say what its parts would do.

    python examples/desktop_app.py
"""

from __future__ import annotations

import argparse
import threading
from concurrent.futures import ThreadPoolExecutor

from edge_ttp import Budget, Generation, Runtime


class Composer:
    """What stands behind a text field with a `suggest` and a `stop` button."""

    def __init__(self, user: str) -> None:
        self.user = user
        self.runtime = Runtime.open(memory_bytes=2 * 2**30)
        self.worker = ThreadPoolExecutor(1)  # the window's own thread never waits
        self.worker.submit(self.runtime.warm)  # load while the user is still typing
        self.cancel = threading.Event()

    def suggest(self, text: str) -> Generation:
        """On `suggest`: the answer, within three seconds. A real window would take the future and not wait for it."""
        self.cancel.clear()
        budget = Budget(deadline_s=3, mode="fast")
        task = self.worker.submit(self.runtime.generate, text, user=self.user, budget=budget, cancel=self.cancel)
        return task.result()

    def stop(self) -> None:
        """On `stop`: the request ends within one decode step and returns the best candidate so far."""
        self.cancel.set()

    def sent(self, generation: Generation, text: str) -> None:
        """When the user sends: as it was suggested, or edited. Both teach the runtime."""
        if text == generation.text:
            self.runtime.feedback(generation.generation_id, "accept")
        else:
            self.runtime.feedback(generation.generation_id, "edit", text=text)

    def close(self) -> None:
        """When the window closes."""
        self.stop()
        self.worker.shutdown()
        self.runtime.close()


def main() -> None:
    """One suggestion, edited and sent."""
    composer = Composer("ada")
    suggestion = composer.suggest("Dinner is moved to eight.")
    print(suggestion.text)
    composer.sent(suggestion, "dinner: eight now. bring nothing.")
    composer.close()


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    main()
