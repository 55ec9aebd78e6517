"""Hardware-in-the-loop tests for TinyML firmware."""

__version__ = "0.1.0"
