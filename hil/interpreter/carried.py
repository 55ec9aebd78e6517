"""Knows the inputs of a model that are its outputs of the window before: the state that a product carries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hil.interpreter.messages import Values

CLEARED, NEVER, SHORT = "cleared", "never", "short"  # usual mistakes; "" is none


class CarriedInputs:
    """pairs: of each [index of the output, of the input, what stands for real 0, the mistake that is made with it]:
    `cleared` at every window, `never` set back behind the first, `short` of its last byte.
    """

    def __init__(self, pairs: Sequence[Sequence[Any]], inputs: Sequence[Values]) -> None:
        """inputs: details of all inputs of the model."""
        self._pairs, self._begun = pairs, False
        self.values: dict[int, NDArray[Any]] = {
            index: np.full(tuple(inputs[index]["shape"]), zero, inputs[index]["dtype"]) for _, index, zero, _ in pairs
        }
        self.fed = [index for index in range(len(inputs)) if index not in self.values]

    def begin(self, fresh: bool) -> None:
        """In front of a window."""
        for _, index, zero, mistake in self._pairs:
            if mistake == CLEARED or (fresh and not (mistake == NEVER and self._begun)):
                self.values[index][...] = zero
        self._begun = True

    def end(self, outputs: Sequence[NDArray[Any]]) -> None:
        """Behind a window. Outputs that are not there, or of another size, are those of a model that was cut off."""
        for output, index, _, mistake in self._pairs:
            value = self.values[index]
            if output < len(outputs) and outputs[output].nbytes == value.nbytes:
                count = value.nbytes - (mistake == SHORT)
                value.reshape(-1).view(np.uint8)[:count] = outputs[output].reshape(-1).view(np.uint8)[:count]
