"""`edge-ttp serve`: OpenAI's protocol, our own, and a page to play with, on this machine."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer

from edge_ttp.cli import options
from edge_ttp.cli.output import note, parse_duration
from edge_ttp.errors import ExtraMissing, InvalidInput

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False, help=__doc__)


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen at. Others than loopback are reached by others.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free one.")] = 8642,
    announce: Annotated[
        bool,
        typer.Option(
            "--announce",
            help="For apps: one JSON line on stdout says url, token, pid, version and instance; ends with its parent.",
        ),
    ] = False,
    stdio: Annotated[bool, typer.Option("--stdio", help="For apps: JSON-RPC on stdin and stdout, no port.")] = False,
    allow_origin: Annotated[
        list[str] | None, typer.Option(metavar="ORIGIN", help="Web pages of this origin may ask; * for any.")
    ] = None,
    allow_host: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A further name of this machine that requests may use.")
    ] = None,
    idle_unload: Annotated[
        float | None,
        typer.Option(parser=parse_duration, metavar="TIME", help="Free the models after so long without a request."),
    ] = None,
    install: Annotated[
        bool,
        typer.Option(
            "--install", help="Print the file that starts this server at login (systemd, launchd); --yes writes it."
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="With --install: write the file.")] = False,
    model: options.Model = None,
    policy_url: options.PolicyUrl = None,
    reward: options.Reward = None,
    threads: options.Threads = None,
) -> None:
    """Serve the runtime to apps, chat front ends and a browser. Ends with Ctrl-C or SIGTERM.

    The page is at the address it prints. Clients send the token that `edge-ttp tokens show` prints; a bare policy on
    loopback takes any.
    """
    need_server("edge-ttp serve")
    if stdio and announce:
        raise InvalidInput("--stdio and --announce exclude each other", "give one of them")
    if install:
        if stdio or announce:
            raise InvalidInput("--stdio and --announce are for a parent, --install has none", "leave them out")
        lasting = {
            "--host": host,
            "--port": port,
            "--allow-origin": allow_origin,
            "--allow-host": allow_host,
            "--idle-unload": idle_unload,
            "--model": _lasting(model),
            "--reward": _lasting(reward),
            "--threads": threads,
            "--policy-url": policy_url,
        }
        _install(lasting, write=yes)
        return
    from edge_ttp.aio import AsyncRuntime
    from edge_ttp.cli.errand import look_for_format
    from edge_ttp.paths import locate
    from edge_ttp.server import serving
    from edge_ttp.server.access import Access
    from edge_ttp.server.guard import Doors, is_loopback
    from edge_ttp.server.state import State

    place = serving.Place(host, port)
    if not is_loopback(host):
        note(f"{host} is reached by other machines, unencrypted: put a TLS proxy in front, or use 127.0.0.1")

    def told(announced: dict[str, object]) -> None:
        if announce:
            serving.first_line(announced)
        else:
            note(f"edge-ttp is at {announced['url']} (page, /v1, /ttp/v1)")
            if policy_url is not None:
                note(f"answers are drawn by the engine at {policy_url}: prompts are sent there")
            note(f"the page with your token: {announced['url']}/#token={announced['token']}")

    async def run() -> None:
        paths = locate()
        async with AsyncRuntime.open(
            model=model, reward=reward, threads=threads, policy_url=policy_url, unload_after_s=idle_unload
        ) as runtime:
            if policy_url is None:
                look_for_format(model)
            state = State(runtime, Access(paths), bare_open=is_loopback(host))
            if stdio:
                from edge_ttp.server.stdio import converse

                await converse(state)
                return
            await serving.serve(
                state,
                paths,
                place,
                Doors(serving.hosts(place, allow_host or []), frozenset(allow_origin or [])),
                announce=told,
                parent=announce,
            )

    asyncio.run(run())


def need_server(command: str) -> None:
    """Raises ExtraMissing where what the server stands on is not installed."""
    try:
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ModuleNotFoundError as missing:
        cure = "install the extra: pip install 'edge-ttp[server]'"
        raise ExtraMissing(f"`{command}` needs the package {missing.name!r}", cure) from missing


def _lasting(name: str | None) -> str | None:
    """A model's name, or its path as it is found from any folder."""
    return str(Path(name).absolute()) if name is not None and Path(name).exists() else name


def _install(given: dict[str, Any], *, write: bool) -> None:
    """Prints the file of a service that serves with these options; writes it where that is wanted."""
    from edge_ttp.server.service import service_of

    words: list[str] = []
    for flag, value in given.items():
        for one in value if isinstance(value, list) else [value]:
            if one is not None:
                words += [flag, f"{one:g}" if isinstance(one, float) else str(one)]
    service = service_of(words)
    typer.echo(service.text, nl=False)
    if write:
        service.write()
        note(f"written to {service.path}")
    else:
        note(f"for {service.path}: --yes writes it")
    note(f"start it: {service.start}")
    note(f"end it: {service.stop}")
