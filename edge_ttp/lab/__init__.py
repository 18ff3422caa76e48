"""Measuring tools: bench, diagnosis, reproduction. The runtime never imports them."""
