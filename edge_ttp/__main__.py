"""`python -m edge_ttp` and the console script `edge-ttp`: the command line, and Ctrl-C while it is still loading."""

from __future__ import annotations

import os
import sys
from _signal import SIG_IGN, SIGINT, getsignal, signal  # type: ignore[import-not-found]  # `signal` loads slowly

_INTERRUPTED = 130


def _end_at_once(number: int, frame: object) -> None:
    """Ends the process with one line. While modules load, an exception could come up anywhere, as anything."""
    if "--json" in sys.argv:
        message = b'{"error": {"code": "cancelled", "message": "interrupted", "cure": "", "exit_code": 130}}\n'
        stream = 1
    else:
        message, stream = b"edge-ttp: interrupted\n", 2
    try:
        os.write(stream, message)
    finally:
        os._exit(_INTERRUPTED)


def main() -> None:
    """Runs the command line and leaves the process with its exit code."""
    if getsignal(SIGINT) != SIG_IGN:  # a job in the background is not to be interrupted
        signal(SIGINT, _end_at_once)
    # numpy's matrices are small here: threads that wait for one another make them ten times slower on a busy machine.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        if getattr(sys, "frozen", False):
            from edge_ttp.system.confined import freeze_support

            freeze_support()
        if len(sys.argv) > 2 and sys.argv[1] in ("generate", "rewrite"):
            from edge_ttp.cli.express import attempt

            given = sys.argv[1:]
            code = attempt(given)
            sys.argv[1:] = given
            if code is not None:
                sys.exit(code)
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
