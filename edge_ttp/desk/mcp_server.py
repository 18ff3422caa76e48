"""An MCP server for programs with assistants: rewrite_as_me, draft_as_me, remember. On stdio, by the official SDK.

The Model Context Protocol: https://modelcontextprotocol.io. stdout belongs to the protocol; nothing else may be written
there. One user's history is served, the one that the server was started for.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Annotated, Any, ParamSpec, TypeVar

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import BaseModel, Field

from edge_ttp.aio import AsyncRuntime
from edge_ttp.errors import EdgeTTPError, InvalidInput
from edge_ttp.history.user import default_user, valid_user
from edge_ttp.schema import Budget, HistoryItem, Keep

P = ParamSpec("P")
T = TypeVar("T")

INSTRUCTIONS = (
    "Texts in this user's own voice, written on their device. Give rewrite_as_me any text or notes to have it said the "
    "way they write; draft_as_me what is to be answered. When you learn what was really sent, tell remember, with the "
    "generation_id."
)

Kind = Annotated[str | None, Field(description="Sort of text, as in the user's history: email, chat, commit ...")]


class Draft(BaseModel):
    """A text in the user's voice."""

    text: str
    generation_id: str
    """For `remember`, with what was really sent."""
    missing: list[str] = []
    """Facts of the given text that are not in it."""
    added: list[str] = []
    """Facts that the given text has not."""
    notes: list[str] = []


class Remembered(BaseModel):
    """What was stored."""

    kind: str
    user: str


def _told(tool: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """`tool` with our errors as the protocol's: the fact and the cure, never a traceback."""

    @wraps(tool)
    async def called(*arguments: P.args, **options: P.kwargs) -> T:
        try:
            return await tool(*arguments, **options)
        except EdgeTTPError as error:
            raise ToolError(str(error)) from error

    return called


def server(runtime: AsyncRuntime, user: str | None = None, *, deadline_s: float | None = None) -> MCPServer:
    """The server over an open runtime, for `user` (None: the default one). `deadline_s`: for each text."""
    name = default_user(runtime.runtime.paths) if user is None else valid_user(user)
    budget = Budget(deadline_s=deadline_s)
    app = MCPServer("edge-ttp", instructions=INSTRUCTIONS)

    @_told
    async def rewrite_as_me(
        text: Annotated[str, Field(description="The text or notes to say again.")],
        kind: Kind = None,
        notes: Annotated[bool, Field(description="The text is notes to be written out.")] = False,
        keep: Annotated[Keep, Field(description="strict: facts word for word, or no change.")] = "words",
    ) -> Draft:
        """Say a text again in the user's own voice; numbers, dates, names, links, code and negations stay."""
        made = await runtime.rewrite(text, notes=notes, keep=keep, kind=kind, user=name, budget=budget)
        kept, whole = made.kept, made.generation
        return Draft(
            text=made.text,
            generation_id=whole.generation_id,
            missing=list(kept.missing),
            added=list(kept.added),
            notes=list(whole.notes),
        )

    @_told
    async def draft_as_me(
        prompt: Annotated[str, Field(description="What is to be answered, such as the mail that came.")],
        kind: Kind = None,
    ) -> Draft:
        """Draft an answer the way the user would write it."""
        made = await runtime.generate(prompt, kind=kind, user=name, budget=budget)
        return Draft(text=made.text, generation_id=made.generation_id, notes=list(made.notes))

    @_told
    async def remember(
        text: Annotated[str, Field(description="What the user really wrote or sent.")],
        in_answer_to: Annotated[str, Field(description="What it answers, if anything.")] = "",
        kind: Annotated[str, Field(description="Sort of text: email, chat, commit ...")] = "text",
        generation_id: Annotated[str | None, Field(description="Of the draft that it was made of.")] = None,
    ) -> Remembered:
        """Keep a text that the user wrote themselves, so that later ones sound like it. Never what a model wrote."""
        if not text.strip():
            raise InvalidInput("there is no text to remember", "give what was written")
        if generation_id is not None:
            made = await runtime.run(runtime.history.generation, generation_id, name)
            same = made.text.strip() == text.strip()
            await runtime.feedback(generation_id, "accept" if same else "edit", user=name, text=None if same else text)
            return Remembered(kind=made.kind or "text", user=name)
        item = HistoryItem(user_id=name, input=in_answer_to, output=text, kind=kind, source="mcp")
        stored = await runtime.run(runtime.history.add, item)
        return Remembered(kind=stored.kind, user=name)

    app.add_tool(rewrite_as_me)
    app.add_tool(draft_as_me)
    app.add_tool(remember)
    return app
