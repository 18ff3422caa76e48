"""An assistant for three people at once in one event loop: each is answered in their own voice, none waits for another.

python examples/async_assistant.py
"""

from __future__ import annotations

import argparse
import asyncio
from contextlib import aclosing

from edge_ttp import AsyncRuntime, Budget, HistoryItem

WROTE = {
    "ada": [("Is the build green?", "build: green. carry on."), ("Who broke it?", "broke: me. mended.")],
    "ben": [("Is the build green?", "Yes! All green, wonderful."), ("Who broke it?", "Nobody did, I promise!")],
    "cy": [("Is the build green?", "It would seem so."), ("Who broke it?", "One prefers not to say.")],
}
ASKED = "Is the release out?"


async def converse(runtime: AsyncRuntime, user: str) -> None:
    """One person's turn: shows candidates as they end, then the answer."""
    async with aclosing(runtime.stream(ASKED, user=user, budget=Budget(max_candidates=4), n=4)) as events:
        async for event in events:
            if event.type == "finished":
                print(f"  {user} might say: {event.text}")
            elif event.type == "done" and event.generation is not None:
                print(f"{user}: {event.text}")
                await runtime.feedback(event.generation.generation_id, "accept")


async def main() -> None:
    """Three people ask at the same moment; a fourth request is given up."""
    async with AsyncRuntime.open() as runtime:
        for user, wrote in WROTE.items():
            for given, written in wrote:
                runtime.history.add(HistoryItem(user_id=user, input=given, output=written))
        await runtime.warm()
        nobody = asyncio.create_task(runtime.generate("Never mind.", user="ada", n=64))
        await asyncio.gather(*(converse(runtime, user) for user in WROTE))
        nobody.cancel()  # drawing ends within a step
        await asyncio.wait([nobody])


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    asyncio.run(main())
