"""Runs an untrusted program in isolation by the kernel. Import names from the submodules."""

__version__ = "0.1.0"
