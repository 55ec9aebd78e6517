"""What the answer should be: gate, prepare and decide from docs/pipeline.md, the int8 oracle and the float model."""

from hil.reference.compute import compute

__all__ = ["compute"]
