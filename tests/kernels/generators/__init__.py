"""Knows, for each operator, how to make a model of it with shapes, types, scales and values drawn at random: a file for
each family of operators, found by itself, and in it one generator for each operator, which enters itself into a table.
"""

from importlib import import_module
from pkgutil import iter_modules

from generators.draw import GENERATORS

__all__ = ["GENERATORS"]

for family in iter_modules(__path__):
    import_module(f"{__name__}.{family.name}")
