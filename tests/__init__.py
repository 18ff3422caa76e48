"""Tests, in the same rooms as `edge_ttp`."""
