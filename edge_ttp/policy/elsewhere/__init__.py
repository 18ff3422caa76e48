"""Policies behind an address that the user named: engines that speak OpenAI's protocol."""
