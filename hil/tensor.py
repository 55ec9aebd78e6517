"""What an int8 tensor is, wherever it is spoken of: in a model, a case, a bundle, or by a device."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

INT8_MIN, INT8_MAX = -128, 127


@dataclass(frozen=True)
class Quantisation:
    """Affine int8 quantisation: real = (q - zero_point) * scale. `scale` is the float32 value the model stores."""

    scale: float
    zero_point: int


@dataclass(frozen=True)
class TensorContract:
    """Type name as in the TFLite schema (`"INT8"`), shape with the batch of 1, quantisation, size in bytes."""

    dtype: str
    shape: tuple[int, ...]
    quantisation: Quantisation
    bytes: int

    @property
    def elements(self) -> int:
        return int(np.prod(self.shape)) if self.shape else 1
