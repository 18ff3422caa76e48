"""`edge-ttp doctor`: looks at every part of the installation."""

from __future__ import annotations

from dataclasses import asdict

import typer

from edge_ttp.cli import options
from edge_ttp.cli.output import console, emit_json

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)


@app.command()
def doctor(policy_url: options.PolicyUrl = None, as_json: options.AsJson = False) -> None:
    """Check the engines, the models' checksums, the history and that nothing is sent anywhere but to --policy-url.

    Exit code 1 if something would keep a request from being answered.
    """
    from edge_ttp.lab.doctor import examine
    from edge_ttp.paths import locate

    checks = list(examine(locate(), policy_url))
    failed = any(check.status == "fail" for check in checks)
    if as_json:
        emit_json({"ok": not failed, "checks": [asdict(check) for check in checks]})
    else:
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, show_header=False)
        for check in checks:
            cure = f"\n-> {check.cure}" if check.cure else ""
            table.add_row(check.status, Text(check.name), Text(check.detail + cure))
        console().print(table)
    if failed:
        raise typer.Exit(1)
