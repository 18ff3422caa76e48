"""The server: OpenAI's protocol and our own over HTTP, a page to play with, a desktop app's sidecar (extra `server`).

It shows what the runtime can do and decides nothing itself: AsyncRuntime answers, edge_ttp.schema is what it speaks.
"""
