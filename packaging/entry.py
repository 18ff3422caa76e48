"""The main program of the frozen app: the command line, and the window where nothing is asked for."""

import sys

from edge_ttp.system.confined import freeze_support

freeze_support()

from edge_ttp.__main__ import main  # noqa: E402  # a trial of a model file is served before anything is loaded

if len(sys.argv) == 1:  # a click on its icon
    sys.argv.append("app")
main()
