"""Where the house meets the machine: processes with limits, files that are written, settings, the border."""
