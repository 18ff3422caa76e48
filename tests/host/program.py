"""A host program's view of the public names: checked by `make lint` with mypy --strict and pyright, never run."""

from __future__ import annotations

import asyncio
import threading
from contextlib import aclosing

from edge_ttp import (
    AsyncRuntime,
    Budget,
    Cancelled,
    DeadlineTooShort,
    EdgeTTPError,
    Event,
    Feedback,
    Generation,
    History,
    HistoryItem,
    NotFound,
    Plan,
    Registry,
    Runtime,
    Sampling,
)


def show(event: Event) -> None:
    if event.type == "delta" and event.text is not None:
        print(event.candidate, event.text)


def main() -> str:
    stop = threading.Event()
    with Runtime.open(user="ada", unload_after_s=600, memory_bytes=2**31) as runtime:
        history: History = runtime.history
        registry: Registry = runtime.registry
        print(registry, runtime.loaded, runtime.busy, runtime.memory().policies)
        history.add(HistoryItem(user_id="ada", input="Is it done?", output="done. carry on."))
        runtime.warm(cancel=stop, on_progress=lambda step: print(step.doing, step.done))
        try:
            made: Generation = runtime.generate(
                "Is the other one done?",
                turns=[("Is it done?", "done.")],
                system="Be kind.",
                context=["The other one is due on Friday."],
                budget=Budget(deadline_s=3),
                sampling=Sampling(temperature=0.5),
                cancel=stop,
                on_event=show,
                on_text=print,
            )
        except (Cancelled, DeadlineTooShort) as ended:
            return ended.cure
        except NotFound as missing:
            return missing.fact
        plan: Plan = made.plan
        said: Feedback = runtime.feedback(made.generation_id, "edit", text=f"{plan.n}")
        for event in runtime.stream(messages=[{"role": "user", "content": "again"}], n=2, priority="background"):
            show(event)
        runtime.use_model("smollm2-135m-instruct")
        runtime.unload()
        closed: bool = runtime.close(cancel=True, timeout=2)
        return f"{said.kind} {closed}"


async def main_async() -> None:
    try:
        async with AsyncRuntime.open(user="ada") as runtime:
            made: Generation = await asyncio.wait_for(runtime.generate("Hello?", n=2, on_event=show), 10)
            await runtime.feedback(made.generation_id, "accept")
            async with aclosing(runtime.stream("Hello?", n=1)) as events:
                async for event in events:
                    show(event)
            async for piece in runtime.text("Hello?"):
                print(piece, end="")
            found = await runtime.run(runtime.history.users)
            print(len(found))
    except EdgeTTPError as error:
        print(error)


if __name__ == "__main__":
    print(main())
    asyncio.run(main_async())
