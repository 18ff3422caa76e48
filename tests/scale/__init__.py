"""Tests that need other people's engines: `make test-scale`."""
