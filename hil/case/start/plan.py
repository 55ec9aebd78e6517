"""What a new case is made of, before it is written."""

from __future__ import annotations

from dataclasses import dataclass

from hil.case.start.state import lasts
from hil.case.start.windows import Windows
from hil.case.types import ModelFile

THRESHOLD = 0.5
FLOAT_ROUNDING = 1e-5  # of the largest output: what float32 kernels of two builds differ by, with room


@dataclass(frozen=True)
class Plan:
    """What is about to be written."""

    name: str
    model: ModelFile
    model_name: str
    float_name: str | None
    inputs: tuple[Windows, ...]  # of each
    labels: tuple[str, ...]
    labels_by: str
    tolerance: float | None  # of the outputs of a model that computes in float32 throughout
    cured: tuple[str, ...]  # what was put right of the model as it was given
    state_named: bool = False  # by the user

    @property
    def state(self) -> bool:
        """Whether the model's state is guessed to last from window to window."""
        return lasts(self.model)

    @property
    def windows(self) -> Windows:
        """Of the first input, for most the only one."""
        return self.inputs[0]
