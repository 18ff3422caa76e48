"""`python -m edge_ttp` and the console script `edge-ttp`: the command line, and Ctrl-C while it is still loading."""

from __future__ import annotations

import sys


def main() -> None:
    """Runs the command line and leaves the process with its exit code."""
    try:
        if getattr(sys, "frozen", False):
            from edge_ttp.confined import freeze_support

            freeze_support()
        from edge_ttp.cli.main import main as run

        run()
    except BaseException as stopped:
        from edge_ttp.errors import Cancelled, is_interrupt

        if isinstance(stopped, SystemExit) or not is_interrupt(stopped):
            raise

        error = Cancelled("interrupted")
        if "--json" in sys.argv:
            from edge_ttp.cli.output import emit_json

            emit_json({"error": error.as_dict()})
        else:
            sys.stderr.write(f"edge-ttp: {error}\n")
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
