"""Thin adapters to other people's frameworks, each in a module that imports the framework and is loaded by it alone."""
