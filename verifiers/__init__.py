"""Turns a task and a completion into a verdict. Import names from the submodules."""

__version__ = "0.1.0"
