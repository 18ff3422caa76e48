"""The command line: one module per command group. Prints, never computes."""
