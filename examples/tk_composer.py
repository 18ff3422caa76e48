"""A window with a text field, `Suggest`, `Stop` and `Send`: the runtime in a desktop app whose window never freezes.

python examples/tk_composer.py              a window to use
python examples/tk_composer.py --show       asks, edits and sends by itself, then leaves (for a test)
"""

from __future__ import annotations

import argparse
import queue
import threading
import tkinter as tk

from edge_ttp import Budget, EdgeTTPError, Event, Generation, HistoryItem, Runtime

POLL_MS = 20
WROTE = [
    ("Dinner is moved to eight.", "dinner: eight now. bring nothing."),
    ("The train is late.", "train: late. start without me."),
    ("The shop is closed.", "shop: closed. beans it is."),
]


class Composer:
    """The window. Requests run in a thread of their own and tell it what happens through a queue."""

    def __init__(self, window: tk.Tk, runtime: Runtime) -> None:
        self.window, self.runtime = window, runtime
        self.told: queue.SimpleQueue[Event | EdgeTTPError] = queue.SimpleQueue()
        self.stopped = threading.Event()
        self.generation: Generation | None = None
        window.title("edge-ttp")
        window.geometry("560x360")
        self.asked = tk.Entry(window, font=("TkDefaultFont", 12))
        self.draft = tk.Text(window, height=6, wrap="word", font=("TkDefaultFont", 12))
        self.state = tk.Label(window, anchor="w", text="Write what should be answered.")
        buttons = tk.Frame(window)
        self.suggest = tk.Button(buttons, text="Suggest", command=self.ask)
        self.stop = tk.Button(buttons, text="Stop", command=self.stopped.set, state="disabled")
        self.send = tk.Button(buttons, text="Send", command=self.sent, state="disabled")
        for button in (self.suggest, self.stop, self.send):
            button.pack(side="left", padx=4)
        self.asked.pack(fill="x", padx=8, pady=8)
        buttons.pack(anchor="w", padx=4)
        self.draft.pack(fill="both", expand=True, padx=8, pady=8)
        self.state.pack(fill="x", padx=8, pady=4)
        self.asked.focus_set()
        window.protocol("WM_DELETE_WINDOW", self.leave)
        window.after(POLL_MS, self.hear)

    def ask(self) -> None:
        """On `Suggest`."""
        if not self.asked.get().strip():
            return
        self.stopped = threading.Event()
        self.stop.config(command=self.stopped.set, state="normal")
        self.suggest.config(state="disabled")
        threading.Thread(target=self.work, args=(self.asked.get(), self.stopped), daemon=True).start()

    def work(self, asked: str, stop: threading.Event) -> None:
        """In a thread: one request. What it raises is shown like what it tells."""
        try:
            for event in self.runtime.stream(asked, n=8, budget=Budget(deadline_s=30), cancel=stop):
                self.told.put(event)
        except EdgeTTPError as error:
            self.told.put(error)

    def hear(self) -> None:
        """Every 20 ms: shows what was told since."""
        while not self.told.empty():
            self.show(self.told.get())
        self.window.after(POLL_MS, self.hear)

    def show(self, told: Event | EdgeTTPError) -> None:
        """One thing that happened."""
        if isinstance(told, EdgeTTPError):
            self.state.config(text=str(told))
        elif told.type == "leading" and told.text is not None:
            self.write(told.text, "grey50")  # not the answer yet
        elif told.type == "progress":
            self.state.config(text=f"{sum(told.tokens)} tokens in {len(told.tokens)} candidates")
        elif told.type == "done" and told.generation is not None:
            self.generation = told.generation
            self.write(told.generation.text, "black")
            self.state.config(text=told.generation.selection.reason)
            self.send.config(state="normal")
        if isinstance(told, EdgeTTPError) or told.type == "done":
            self.suggest.config(state="normal")
            self.stop.config(state="disabled")

    def write(self, text: str, colour: str) -> None:
        """Shows a draft."""
        self.draft.delete("1.0", "end")
        self.draft.insert("1.0", text)
        self.draft.config(foreground=colour)

    def sent(self) -> None:
        """On `Send`: as it was suggested, or edited. Both teach the runtime."""
        if self.generation is None:
            return
        text = self.draft.get("1.0", "end").strip()
        if text == self.generation.text:
            self.runtime.feedback(self.generation.generation_id, "accept")
        else:
            self.runtime.feedback(self.generation.generation_id, "edit", text=text)
        self.state.config(text="Sent, and learned from.")
        self.send.config(state="disabled")

    def leave(self) -> None:
        """When the window closes: what is being drawn ends within a step."""
        self.stopped.set()
        self.window.destroy()


def show_itself(composer: Composer) -> None:
    """Uses the window as a person would, then leaves."""
    window = composer.window

    def edit_and_send() -> None:
        if composer.generation is None:
            window.after(100, edit_and_send)
            return
        composer.draft.insert("end", " bring bread.")
        composer.send.invoke()
        print(composer.draft.get("1.0", "end").strip())
        window.after(1500, composer.leave)

    composer.asked.insert(0, "The picnic is moved to nine.")
    composer.suggest.invoke()
    window.after(100, edit_and_send)


def main(*, by_itself: bool) -> None:
    """Opens the window."""
    with Runtime.open(user="ada") as runtime:
        for given, written in WROTE:
            runtime.history.add(HistoryItem(user_id="ada", input=given, output=written))
        window = tk.Tk()
        composer = Composer(window, runtime)
        if by_itself:
            window.after(100, show_itself, composer)
        window.mainloop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--show", action="store_true", help="press the buttons by itself, and end")
    main(by_itself=parser.parse_args().show)
