"""Holds two runs against each other, vector by vector and operator by operator."""

from hil.compare.runs import COLUMNS, Comparison, Difference, compare

__all__ = ["COLUMNS", "Comparison", "Difference", "compare"]
