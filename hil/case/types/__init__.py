"""What a case is, once read and checked: frozen values, no file access."""

from hil.case.types.case import BASELINES, CONTRACTS, PARTS, STAGES, Case
from hil.case.types.limits import Contracts, LatencyLimit, Limit, OutputLimits, SoakLimits, Tolerance
from hil.case.types.model import ModelFile, StatePair
from hil.case.types.pipeline import MAX_PAYLOAD, OWN, Channel, Decide, Gate, InputPart, Prepare, Window
from hil.case.types.vectors import Expected, Vectors, sent_bytes

__all__ = [
    "BASELINES",
    "CONTRACTS",
    "MAX_PAYLOAD",
    "OWN",
    "PARTS",
    "STAGES",
    "Case",
    "Channel",
    "Contracts",
    "Decide",
    "Expected",
    "Gate",
    "InputPart",
    "LatencyLimit",
    "Limit",
    "ModelFile",
    "OutputLimits",
    "Prepare",
    "SoakLimits",
    "StatePair",
    "Tolerance",
    "Vectors",
    "Window",
    "sent_bytes",
]
