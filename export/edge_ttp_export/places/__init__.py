"""Where work is done that is cut into tasks: this process, processes of this machine, a Ray cluster."""
